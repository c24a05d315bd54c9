"""What `entrobench plan` says, against sums made here by hand and against the published GPU-hours."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest

from entrobench.config import EvaluationConfig, Hardware, TrainerConfig
from entrobench.models.cost import RATE, SPREAD
from entrobench.run_config import MATHEMATICS, RunConfig, RunDataset, RunModel, Variant
from entrobench.studies.plan import as_json, describe_schedule, plan_study, stage, study_sizes
from entrobench.studies.runs import Run
from entrobench.studies.schedule import simulate, study_jobs
from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[2]
# by hand from the sizes in the model's config.json: 151,936 x 1,536 embeddings, used twice; 28 layers of attention
# (1,536 x 1,536 twice, 1,536 x 256 twice, biases 2,048), MLP (3 x 1,536 x 8,960) and two norms; a last norm
LAYER = 2 * 1536 * 1536 + 2 * 1536 * 256 + (1536 + 2 * 256) + 3 * 1536 * 8960 + 2 * 1536
QWEN_1_5B = 151_936 * 1536 + 28 * LAYER + 1536
DISTILLED_1_5B = QWEN_1_5B + 151_936 * 1536  # its output layer has weights of its own
MATH_STEP = 512 * 16 * 3072  # response tokens at most: prompts x answers x longest answer
OPENR1_STEP = 256 * 8 * 7168


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def published_hours(setting: str, quantity: str) -> float:
    """GRPO's GPU-hours as the paper's Table 2 gives them."""
    with (ROOT / "results/reference/paper/gpu_hours.csv").open() as file:
        wanted = (setting, "grpo", quantity)
        return next(
            float(r["gpu_hours"]) for r in csv.DictReader(file) if (r["setting"], r["method"], r["quantity"]) == wanted
        )


def test_the_rate_is_that_of_the_two_published_runs() -> None:
    assert (QWEN_1_5B, DISTILLED_1_5B) == (1_543_714_304, 1_777_088_000)  # as the models' own files state them
    math_rate = 10 * QWEN_1_5B * MATH_STEP / (3600 * published_hours("math", "one step"))
    steps_to_best = 775
    tokens = OPENR1_STEP * steps_to_best
    openr1_rate = 10 * DISTILLED_1_5B * tokens / (3600 * published_hours("openr1", "to GRPO's best score"))
    assert math.sqrt(math_rate * openr1_rate) == pytest.approx(RATE, rel=0.01)
    assert math.sqrt(math_rate / openr1_rate) == pytest.approx(SPREAD, rel=0.01)


def test_gpu_hours_of_a_study_by_hand(in_root: None) -> None:
    """Training of 20 runs; at half a token's cost six benchmarks, for the base and at every 15th of a run's steps."""
    rows = {"math_hard": 1324, "math500": 500, "aime24": 30, "minerva_math": 272, "olympiadbench": 675, "amc23": 40}
    training = 20 * 420 * MATH_STEP
    evaluation = (20 * 28 + 1) * sum(rows.values()) * 4 * 3072
    plan = plan_study(load_study("paper-math"))
    assert plan.training_tokens == training
    assert plan.evaluation_tokens == evaluation
    rate = 10 * QWEN_1_5B / 3.3e14 / 3600
    assert plan.hours == {"A100": pytest.approx(rate * (training + 0.5 * evaluation))}


def test_a_training_run_costs_what_the_paper_published_within_the_stated_spread(in_root: None) -> None:
    (need,) = plan_study(load_study("paper-math")).needs
    published = 420 * published_hours("math", "one step")
    assert published / SPREAD * 0.99 <= need.hours <= published * SPREAD * 1.01


def test_json_holds_every_runs_resolved_settings(in_root: None) -> None:
    study = load_study("paper")
    content = json.loads(as_json(study, plan_study(study)))
    listed = {run["run"]: run for run in content["list"]}
    assert listed.keys() == {run.key for run in study.runs}
    for run in study.runs:
        assert listed[run.key]["config"] == run.config.content
        assert listed[run.key]["hardware"] == vars(run.hardware)
    assert content["sampling"].keys() == study.base_models.keys()
    for sampling in content["sampling"].values():
        assert sampling.keys() == set(study.benchmarks)
        assert all(settings.keys() == vars(EvaluationConfig()).keys() for settings in sampling.values())
    aent = listed["r1-distill-qwen-1.5b/openr1_math_40k/aent/seed0"]["config"]
    assert aent["trainer"]["max_response_tokens"] == 7168
    assert aent["method"]["use"] == "aent"
    assert "clamp" in aent["method"]["values"]


def test_the_simulated_schedule_says_how_far_it_is_from_its_bound(in_root: None) -> None:
    """20 equal runs on 8 GPUs take three rounds, where the bound allows two and a half."""
    study = load_study("paper-math")
    jobs = study_jobs(study, study_sizes(study), {})
    training = 420 * MATH_STEP * 10 * QWEN_1_5B / 3.3e14 / 3600
    schedule = simulate(jobs, 8)
    assert schedule.makespan / 3600 == pytest.approx(3 * training, rel=0.01)  # and minutes for data, grades and tables
    last = describe_schedule(schedule, 8).splitlines()[-1]
    assert f"{schedule.makespan / schedule.lower_bound:.3f} of the lower bound {20 * training / 8:,.2f}" in last


def made(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"mathematics": MATHEMATICS}))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "waiting"),
        (["config.json"], "waiting"),
        (["checkpoints/step000020/state.json"], "started"),
        (["steps.parquet", "provenance.json"], "trained"),
        (["provenance.json", "generations/one.jsonl.zst"], "trained"),
        (
            ["provenance.json", "generations/one.jsonl.zst", "generations/two.jsonl.zst", "grades/one.parquet"],
            "answered",
        ),
        (["provenance.json", "grades/one.parquet", "grades/two.parquet"], "graded"),
    ],
)
def test_what_is_done_of_a_run(files: list[str], expected: str, tmp_path: Path) -> None:
    model, data, method = RunModel("model", "m"), RunDataset("dataset", "d", "{problem}"), Variant("grpo", "grpo", {})
    config = RunConfig(model, data, method, 0, TrainerConfig(steps=1))
    run = Run("setting", "model", "dataset", "grpo", 0, config, Hardware(), tmp_path / "run")
    for name in files:
        made(run.folder / name)
    assert stage(run, ["one", "two"]) == expected
    if "provenance.json" in files:
        (run.folder / "provenance.json").write_text("{}")
        assert stage(run, ["one", "two"]) == "waiting", "of other mathematics"
