"""results/reference/paper against a second transcription of the paper's numbers, and the arithmetic that they obey.

The literals here were typed from the sources again, not copied from the files under test.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

PAPER = Path(__file__).parents[2] / "results" / "reference" / "paper"
GRADES = {"CODE", "VERL", "FIG", "PN", "PB", "REV", "D"}


def rows(name: str) -> list[dict[str, str]]:
    with (PAPER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def table1(benchmark: str) -> list[float]:
    """A column of Table 1: math base, grpo, entreg, aent, then openr1."""
    found = {
        (row["setting"], row["method"]): row["score"] for row in rows("table1.csv") if row["benchmark"] == benchmark
    }
    order = [(setting, method) for setting in ("math", "openr1") for method in ("base", "grpo", "entreg", "aent")]
    return [float(found[key]) for key in order]


@pytest.mark.parametrize(
    ("benchmark", "math", "openr1"),  # base, GRPO, EntReg, AEnt
    [
        ("AIME24", (0.083, 0.192, 0.167, 0.217), (0.225, 0.367, 0.342, 0.392)),
        ("AMC23", (0.406, 0.550, 0.562, 0.581), (0.594, 0.769, 0.794, 0.825)),
        ("MATH-500", (0.584, 0.756, 0.752, 0.750), (0.792, 0.865, 0.872, 0.882)),
        ("MATH-Hard", (0.368, 0.524, 0.546, 0.552), (0.661, 0.773, 0.808, 0.813)),
        ("MinervaMath", (0.179, 0.311, 0.316, 0.330), (0.311, 0.347, 0.359, 0.359)),
        ("OlympiadBench", (0.279, 0.364, 0.370, 0.377), (0.432, 0.576, 0.576, 0.591)),
    ],
)
def test_table_1(benchmark: str, math: tuple[float, ...], openr1: tuple[float, ...]) -> None:
    assert table1(benchmark) == [*math, *openr1]


def test_table_1_has_every_cell_once() -> None:
    cells = [(row["setting"], row["method"], row["benchmark"]) for row in rows("table1.csv")]
    assert len(cells) == len(set(cells)) == 2 * 4 * 6


@pytest.mark.parametrize(
    ("setting", "method", "mean"),
    [
        ("math", "base", 0.3165),
        ("math", "grpo", 0.4495),
        ("math", "entreg", 0.4522),
        ("math", "aent", 0.4678),
        ("openr1", "base", 0.5025),
        ("openr1", "grpo", 0.6162),
        ("openr1", "entreg", 0.6252),
        ("openr1", "aent", 0.6437),
    ],
)
def test_table_1s_means(setting: str, method: str, mean: float) -> None:
    own = [float(row["score"]) for row in rows("table1.csv") if (row["setting"], row["method"]) == (setting, method)]
    assert sum(own) / len(own) == pytest.approx(mean, abs=0.00006)


@pytest.mark.parametrize(("benchmark", "answers"), [("AIME24", 120), ("AMC23", 160), ("MinervaMath", 1088)])
def test_scores_are_whole_numbers_of_answers(benchmark: str, answers: int) -> None:
    """Problems x 4 samples: avg@4 can only take multiples of 1/answers, printed with three digits."""
    for score in table1(benchmark):
        assert abs(round(score * answers) / answers - score) <= 0.0005 + 1e-12


def series(name: str, method: str, column: str) -> dict[int, float]:
    return {int(row["step"]): float(row[column]) for row in rows(name) if row["method"] == method}


# read again off section 4.5, in thousandths, ten points a line from step 50 on
SCORES = {
    "grpo": """
        539 551 561 568 574 583 587 582 588 600
        586 600 605 612 598 599 593 613 600 599
        614 598 605 605 597 597 594 604 604 616
        601 610 599 604 597 599 610""",
    "entreg": """
        546 559 566 564 588 575 583 578 581 580
        591 604 589 600 589 611 608 599 595 613
        605 611 614 610 607 617 613 615 628 622
        614 627 625 616 623 625 614""",
    "aent": """
        542 558 570 581 575 567 580 586 584 592
        591 599 597 598 605 598 607 613 602 606
        603 621 603 616 625 614 632 633 628 637
        630 628 639 642 644 644 639""",
}
CORRECT = {  # AIME24, of 120, ten points a line from step 0 on
    "grpo": """
        21 34 23 28 30 34 33 31 38 32
        32 38 30 37 35 40 35 36 33 41
        43 38 42 32 39 34 33 36 32 36
        38 44 40 39 36 39 32 33 40""",
    "entreg": """
        21 23 34 29 34 29 39 31 34 29
        36 31 35 38 28 36 34 39 35 33
        32 38 38 45 33 30 37 42 36 38
        36 35 36 41 44 40 38 38 36""",
    "aent": """
        21 31 30 31 32 32 30 32 34 36
        33 37 33 39 33 35 37 34 40 39
        36 37 36 43 33 39 40 37 40 40
        37 44 46 38 43 44 40 47 48""",
}


@pytest.mark.parametrize("method", ["grpo", "entreg", "aent"])
def test_curves(method: str) -> None:
    scores = [int(value) / 1000 for value in SCORES[method].split()]
    assert series("average_scores.csv", method, "average_score") == dict(zip(range(50, 951, 25), scores, strict=True))
    correct = [int(value) for value in CORRECT[method].split()]
    assert series("benchmark_scores.csv", method, "correct") == dict(zip(range(0, 951, 25), correct, strict=True))


def test_hidden_markers_are_marked_with_their_larger_error() -> None:
    hidden = [
        (row["method"], row["step"], row["read_off_error"])
        for row in rows("average_scores.csv")
        if row["marker"] != "read"
    ]
    assert hidden == [("grpo", "475", "0.002"), ("entreg", "300", "0.002")]
    assert [(row["method"], row["step"]) for row in rows("benchmark_scores.csv") if row["marker"] != "read"] == [
        ("entreg", "200")
    ]


@pytest.mark.parametrize(
    ("method", "best_step", "best", "score_mean", "aime_mean"),
    [("grpo", 775, 0.616, 0.604, 0.314), ("entreg", 750, 0.628, 0.621, 0.318), ("aent", 900, 0.644, 0.636, 0.356)],
)
def test_stars_and_means_of_the_last_ten_evaluations(
    method: str, best_step: int, best: float, score_mean: float, aime_mean: float
) -> None:
    scores = series("average_scores.csv", method, "average_score")
    correct = series("benchmark_scores.csv", method, "correct")
    assert max(scores.values()) == scores[best_step] == best
    last = range(725, 951, 25)
    assert sum(scores[step] for step in last) / 10 == pytest.approx(score_mean, abs=0.0006)
    assert sum(correct[step] for step in last) / 1200 == pytest.approx(aime_mean, abs=0.0006)


def test_gpu_hours_and_table_3() -> None:
    hours = {(row["setting"], row["method"], row["quantity"]): row["gpu_hours"] for row in rows("gpu_hours.csv")}
    known = {key: float(value) for key, value in hours.items() if value != "UNKNOWN"}
    best = "to GRPO's best score"
    assert known == {
        ("math", "grpo", "one step"): 0.234,
        ("math", "aent", "one step"): 0.256,
        ("math", "grpo", best): 57,
        ("math", "aent", best): 35,
        ("openr1", "grpo", best): 237,
        ("openr1", "aent", best): 186,
    }
    extra = known["math", "aent", "one step"] / known["math", "grpo", "one step"] - 1
    assert extra == pytest.approx(0.094, abs=0.0005)
    table3 = {
        (row["method"], row["benchmark"]): row["score"] for row in rows("table3.csv") if row["score"] != "UNKNOWN"
    }
    assert table3 == {("grpo", "MATH-Hard"): "0.628", ("aent", "MATH-Hard"): "0.657"}


# section 4.1 and the reward, prompt and data of section 5, typed again: (a) MATH, (b) OpenR1-Math
SETTINGS: list[tuple[str, Any, Any]] = [
    ("model.base_model", "Qwen2.5-Math-1.5B", "DeepSeek-R1-Distill-Qwen-1.5B"),
    ("model.vocabulary", 151_936, 151_936),
    ("data.train", "DigitalLearningGmbH/MATH-lighteval", "open-r1/OpenR1-Math-220k"),
    ("data.rows", 7_500, 40_000),
    ("data.selection_rule", "all", "UNKNOWN"),
    ("data.overlong_prompts", "filtered out", "filtered out"),
    ("hardware.gpus", 4, 8),
    ("hardware.gpu", "A100", "A100"),
    ("trainer.prompts_per_step", 512, 256),
    ("trainer.rollouts_per_prompt", 16, 8),
    ("trainer.minibatch_prompts", 128, 64),
    ("trainer.minibatch_responses", 2_048, 512),
    ("trainer.updates_per_step", 4, 4),
    ("trainer.micro_batch", "16 sequences", "at most 32768 tokens"),
    ("trainer.max_prompt_tokens", 1024, 1024),
    ("trainer.max_response_tokens", 3072, 7168),
    ("trainer.learning_rate", 2e-6, 1e-6),
    ("trainer.schedule", "constant", "constant"),
    ("trainer.warmup_updates", 0, 0),
    ("trainer.optimizer", "AdamW", "AdamW"),
    ("trainer.beta1", 0.9, 0.9),
    ("trainer.beta2", 0.999, 0.999),
    ("trainer.weight_decay", 0.01, 0.01),
    ("trainer.grad_clip", 1.0, 1.0),
    ("trainer.master_weights", "fp32", "fp32"),
    ("trainer.autocast", "bf16", "bf16"),
    ("trainer.clip_low", 0.2, 0.2),
    ("trainer.clip_high", 0.2, 0.2),
    ("trainer.dual_clip", 3, 3),
    ("trainer.log_ratio_clamp", 20, 20),
    ("trainer.advantage_epsilon", 1e-6, 1e-6),
    ("trainer.loss_agg", "token-mean", "token-mean"),
    ("trainer.kl", "none", "none"),
    ("trainer.ppo_epochs", 1, 1),
    ("trainer.temperature", 1.0, 1.0),
    ("trainer.top_p", 1, 1),
    ("trainer.top_k", "off", "off"),
    ("trainer.tensor_parallel", 4, 4),
    ("trainer.epochs", 30, 6),
    ("trainer.steps_per_epoch", 14, 156),
    ("trainer.steps", 420, 936),
    ("trainer.test_every", 15, 25),
    ("trainer.save_every", 45, 156),
    ("trainer.data_seed", 1, 1),
    ("trainer.runs", "UNKNOWN", "UNKNOWN"),
    ("evaluation.samples", 4, 4),
    ("evaluation.temperature", 0.6, 0.6),
    ("evaluation.top_p", 0.95, 0.95),
    ("evaluation.top_k", 20, "off"),
    ("aent.coefficient", 0.002, 0.0003),
    ("aent.clamp", 0.33, 0.25),
    ("aent.removed", 50_138, 37_984),
    ("aent.entropy_low", 0.15, 0.35),
    ("aent.entropy_high", 0.24, 0.62),
    ("aent.coefficient_rate", 0.002, 0.0001),
    ("aent.coefficient_low", 0.0006, 0.00004),
    ("aent.coefficient_high", 0.009, 0.001),
    ("aent.warmup", 30, 156),
    ("aent.pull", 0, 0),
    ("aent.entropy_checkpointing", "off", "on"),
    ("entreg.coefficient", "UNKNOWN", "UNKNOWN"),
]
OUTSIDE = {"data.prompt_suffix", "evaluation.checkpoint"}  # texts


def settings() -> dict[str, dict[str, Any]]:
    content = yaml.safe_load((PAPER / "settings.yaml").read_text())
    return {f"{section}.{key}": values for section, part in content.items() for key, values in part.items()}


@pytest.mark.parametrize(("key", "math", "openr1"), SETTINGS)
def test_settings(key: str, math: Any, openr1: Any) -> None:
    values = settings()[key]
    assert (values.get("math", values.get("value")), values.get("openr1", values.get("value"))) == (math, openr1)


def test_settings_are_complete_and_graded() -> None:
    found = settings()
    assert set(found) == {key for key, _, _ in SETTINGS} | OUTSIDE
    for key, values in found.items():
        grades = values["grade"].values() if isinstance(values["grade"], dict) else [values["grade"]]
        assert all(grade in GRADES or key.startswith("hardware") for grade in grades), key
    assert found["data.prompt_suffix"]["value"] == (
        "Let's think step by step and output the final answer within \\boxed{}."
    )


def test_removed_tokens_follow_from_p_and_the_vocabulary() -> None:
    from entrobench.entropy.selection import removed_count

    assert [removed_count(p, 151_936) for p in (0.33, 0.25)] == [50_138, 37_984]


def test_every_number_has_a_source_and_a_grade() -> None:
    graded: dict[str, set[str]] = defaultdict(set)
    for path in sorted(PAPER.glob("*.csv")):
        for row in rows(path.name):
            assert row["source"]
            graded[path.name].add(row["grade"])
    assert graded == {
        "benchmark_scores.csv": {"FIG"},
        "gpu_hours.csv": {"PB"},
        "synthetic_process.csv": {"FIG"},
        "average_scores.csv": {"FIG"},
        "table1.csv": {"PN"},
        "table3.csv": {"PB"},
    }
