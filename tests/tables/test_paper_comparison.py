"""Published scores beside ours: intervals by hand, verdicts that are seldom wrong, and what the files then say."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy
import pandas
import pytest
from synthetic_results import make_study, write_audit

from entrobench.evaluation.report.compare import compare
from entrobench.evaluation.report.study_page import write_report
from entrobench.evaluation.tables.evaluations import readings
from entrobench.evaluation.tables.paper_comparison import (
    Noise,
    interval,
    published_name,
    reproduction_verdict,
    rounding,
    sampling_variance,
)

ROOT = Path(__file__).parents[2]


def test_the_interval_by_hand() -> None:
    # s² = 4e-4 with 8 degrees, three runs, equally sampled: ± 2.306 · sqrt(4e-4 / 3 + 4e-4) = ± 0.05325
    low, high = interval([0.50, 0.52, 0.54], 0.50, Noise(4e-4, 8, 1e-4, 1e-4), 0.0)
    assert (low, high) == pytest.approx((0.02 - 0.05325, 0.02 + 0.05325), abs=1e-5)
    # theirs drew a fourth of the answers: ± 2.306 · sqrt(4e-4 / 3 + 16e-4) = ± 0.09600; four times as many: as above
    low, high = interval([0.50, 0.52, 0.54], 0.50, Noise(4e-4, 8, 1e-4, 4e-4), 0.0)
    assert (high - low) / 2 == pytest.approx(0.09600, abs=1e-5)
    low, high = interval([0.50, 0.52, 0.54], 0.50, Noise(4e-4, 8, 4e-4, 1e-4), 0.0)
    assert (high - low) / 2 == pytest.approx(0.05325, abs=1e-5)
    # an untrained model: ± 1.960 · sqrt(1e-4 + 4e-4 + 0.0005² / 3)
    low, high = interval([0.5], 0.5, Noise(0.0, 0, 1e-4, 4e-4), 0.0005)
    assert high == pytest.approx(1.95996 * math.sqrt(5e-4 + 0.0005**2 / 3), rel=1e-5)
    assert interval([0.9], 0.1, Noise(math.nan, 0, 1e-4, 1e-4), 0.0) == (-math.inf, math.inf), "one run says nothing"


def test_verdicts() -> None:
    assert reproduction_verdict(0.001, 0.2) == "higher"
    assert reproduction_verdict(-0.2, -0.001) == "lower"
    assert reproduction_verdict(-0.02, 0.02) == "agrees"
    assert reproduction_verdict(-0.021, 0.01) == "cannot tell"
    assert reproduction_verdict(-math.inf, math.inf) == "cannot tell"


def test_the_noise_of_drawing_answers() -> None:
    def problems(scores: list[float], n: int) -> pandas.DataFrame:
        rows = [("tiny", "chain2", "grpo", seed, score, n) for seed in (0, 1) for score in scores]
        return pandas.DataFrame(rows, columns=["model", "dataset", "method", "seed", "avg", "n"])

    # p(1 − p) is 0, 3/16, 1/4, 0: mean 7/64; times 4/3 for four draws; over 4 draws x 4 problems
    assert sampling_variance(problems([0.0, 0.25, 0.5, 1.0], 4), 4) == pytest.approx(7 / 64 * 4 / 3 / 16)
    assert sampling_variance(problems([0.0, 1.0, 1.0, 1.0], 1), 1) == pytest.approx(3 / 16 / 4), "the binomial bound"
    assert (rounding("0.524"), rounding("0.6"), rounding("UNKNOWN")) == (0.0005, 0.05, 0.0)
    assert published_name("MATH-Hard") == published_name("math_hard")


@pytest.mark.parametrize(("reading", "draws"), [("best", 4), ("mean", 4), ("mean", 1), ("mean", 16)])
def test_exact_reproductions_are_seldom_called_different(reading: str, draws: int) -> None:
    """3 runs of 4 methods on 40 problems, 10 evaluations of each; theirs is one more run of a method."""
    rng = numpy.random.default_rng(0)
    trials = 1000

    def runs(count: int, draws: int, chances: numpy.ndarray) -> numpy.ndarray:
        """The best or the mean evaluation of each run, which has a level of its own: [runs]."""
        levels = numpy.log(chances / (1 - chances)) + rng.normal(0, 0.15, (count, 1, 1))
        drawn = rng.binomial(draws, numpy.broadcast_to(1 / (1 + numpy.exp(-levels)), (count, 10, 40))) / draws
        scores = drawn.mean(axis=2)
        return scores.max(axis=1) if reading == "best" else scores.mean(axis=1)

    wrong = 0
    for _ in range(trials):
        chances = rng.beta(0.8, 0.8, 40)
        scores = runs(12, 4, chances).reshape(4, 3)
        spread = float((chances * (1 - chances)).mean()) / 40
        noise = Noise(float(scores.var(axis=1, ddof=1).mean()), 8, spread / 4, spread / draws)
        said = reproduction_verdict(*interval(list(scores[0]), float(runs(1, draws, chances)[0]), noise, 0.0))
        wrong += said in ("higher", "lower")
    error = 2 * math.sqrt(0.05 * 0.95 / trials)
    assert wrong <= (0.05 + error) * trials
    if draws == 4:
        assert wrong >= (0.05 - error) * trials, "and not because nothing ever is"


TABLE = [("base", "chain2", "0.300"), ("grpo", "chain2", "0.500"), ("aent", "chain2", "0.950"), ("x", "chain2", "0.1")]


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None) -> Path:
    """A paper of one setting in results/reference/toy."""
    monkeypatch.chdir(tmp_path)
    write_audit(tmp_path)
    folder = tmp_path / "results" / "reference" / "toy"
    folder.mkdir(parents=True)
    write(
        folder / "table1.csv", "setting method benchmark score source grade", [("s", *row, "T", "PN") for row in TABLE]
    )
    curve = [("s", "grpo", step, 0.5, 0.001, "Fig", "FIG") for step in range(10, 210, 10)]
    write(folder / "average_scores.csv", "setting method step average_score read_off_error source grade", curve)
    one = [
        ("s", method, "chain2", step, 60, 200, "Fig", "FIG") for method in ("grpo", "x") for step in range(10, 210, 10)
    ]
    write(folder / "benchmark_scores.csv", "setting method benchmark step correct answers source grade", one)
    hours = [("s", "aent", "to GRPO's best score", 35, "T2", "PB"), ("s", "aent", "one step", 1, "T2", "PB")]
    write(folder / "gpu_hours.csv", "setting method quantity gpu_hours source grade", hours)
    settings = (
        "evaluation: {samples: {value: 8}}\naent: {coefficient: {s: UNKNOWN}}\ntrainer: {runs: {value: UNKNOWN}}\n"
    )
    (folder / "settings.yaml").write_text(settings)
    return folder


def write(file: Path, columns: str, rows: list[tuple[object, ...]]) -> None:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([columns.split(), *rows])


def test_like_stands_beside_like(paper: Path, tmp_path: Path) -> None:
    options = {"benchmarks": ("chain2",), "seeds": range(3), "problems": 50, "evaluate_every": 2, "steps": 22}
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, published="toy/s", **options)
    compare(study, study.results)
    found = pandas.read_csv(study.results / "paper_comparison.csv").set_index(["method", "reading", "benchmark"])
    assert sorted(found.index.get_level_values("method").unique()) == ["aent", "base", "grpo"], "x is not ours"
    chosen = readings(pandas.read_parquet(study.results / "evaluations.parquet"))
    for reading in ("best on test", "mean of the last 10"):
        own = chosen.query("reading == @reading and method == 'grpo' and benchmark == 'mean'")["score"].mean()
        place = "chain2" if reading == "best on test" else "mean"
        assert found.loc[("grpo", reading, place), "ours"] == pytest.approx(own)
    assert found.loc[("aent", "best on test", "chain2"), "verdict"] == "lower"
    assert found.loc[("grpo", "mean of the last 10", "mean"), "theirs"] == 0.5
    assert found.loc[("grpo", "mean of the last 10", "chain2"), "theirs"] == 0.3, "60 of 200, by benchmark"
    assert found.loc[("base", "base", "chain2"), "verdict"] in ("agrees", "cannot tell")
    row = found.loc[("aent", "best on test", "chain2")]
    assert row["difference"] == pytest.approx(row["ours"] - 0.95, abs=1e-9)
    assert row["lower"] < row["difference"] < row["upper"] < 0
    hours = found.xs("hours", level="reading").iloc[0]
    assert (hours["theirs"], hours["note"]) == (35, "3 of 3 runs reach it")
    page = write_report(study, study.results).read_text()
    for text in ("Reproduced or not", "their coefficient is UNKNOWN", "toy/s: trainer.runs", "GPU-hours to GRPO"):
        assert text in page
    assert '<span class="pill worse">lower</span>' in page


def test_selections_of_other_numbers_of_answers_are_not_judged(paper: Path, tmp_path: Path) -> None:
    """The best of many noisy evaluations is the higher the fewer answers are drawn."""
    settings = paper / "settings.yaml"
    settings.write_text(settings.read_text().replace("{value: 8}", "{value: 4}"))
    options = {"benchmarks": ("chain2",), "seeds": range(3), "evaluate_every": 4, "steps": 22}
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.1}, published="toy/s", **options)
    compare(study, study.results)
    found = pandas.read_csv(study.results / "paper_comparison.csv").set_index(["method", "reading"])
    assert found.loc[("aent", "best on test"), "verdict"] == "cannot tell", "however far they are apart"
    assert found.loc[("aent", "best on test"), "note"] == "their coefficient is UNKNOWN; they drew 4 answers a problem"
    assert numpy.isfinite(found.loc[("grpo", "mean of the last 10"), "lower"]).all()
    assert math.isfinite(found.loc[("base", "base"), "lower"])


def test_no_right_answer_at_all_is_no_certainty(paper: Path, tmp_path: Path) -> None:
    """0 of 16 x 4 answers against 0.020: the bound is 1.96 · sqrt(0.02 · 0.98 / 64 + (1 / 64)² / 3) = 0.0386."""
    table, settings = paper / "table1.csv", paper / "settings.yaml"
    table.write_text(table.read_text().replace("0.300", "0.020"))
    settings.write_text(settings.read_text().replace("{value: 8}", "{value: 4}"))
    options = {"benchmarks": ("chain2",), "seeds": (0, 1), "evaluate_every": 9, "problems": 16, "draws": 4}
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.5}, published="toy/s", **options)
    for file in study.results.glob("**/grades/*.parquet"):
        pandas.read_parquet(file).assign(correct=False, outcome="wrong").to_parquet(file)
    compare(study, study.results)
    found = pandas.read_csv(study.results / "paper_comparison.csv").set_index(["method", "reading"])
    row = found.loc[("base", "base")]
    assert (row["lower"], row["upper"]) == pytest.approx((-0.02 - 0.0386, -0.02 + 0.0386), abs=1e-4)
    assert row["verdict"] == "cannot tell"
    assert found.loc[("grpo", "best on test"), "upper"] > -0.5


def test_one_run_or_an_unknown_number_cannot_tell(paper: Path, tmp_path: Path) -> None:
    table = paper / "table1.csv"
    table.write_text(table.read_text().replace("0.500", "UNKNOWN"))
    options = {"benchmarks": ("chain2",), "seeds": (0,), "evaluate_every": 5}
    study = make_study(tmp_path, {"grpo": 0.5, "aent": 0.6}, published="toy/s", **options)
    compare(study, study.results)
    found = pandas.read_csv(study.results / "paper_comparison.csv").query("reading == 'best on test'")
    assert set(found["verdict"]) == {"cannot tell"}
    assert "UNKNOWN" in write_report(study, study.results).read_text()


def test_the_papers_numbers_meet_the_papers_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    from entrobench.studies import published
    from entrobench.studies.study import load_study

    monkeypatch.chdir(ROOT)
    study = load_study("paper")
    assert {(run.model, run.published, run.hardware.snapshot_every) for run in study.runs} == {
        ("qwen2.5-math-1.5b", "paper/math", 15),
        ("r1-distill-qwen-1.5b", "paper/openr1", 25),
    }
    ours = {published_name(name) for name in study.benchmarks}
    for place in ("paper/math", "paper/openr1"):
        table = published.rows(place, "table1.csv")
        assert {published_name(row["benchmark"]) for row in table} == ours
        assert {row["method"] for row in table} == {"base", "grpo", "entreg", "aent"}
    assert published.unknown_settings("paper/math")["entreg"] == ["coefficient"]
    assert published.settings("paper/openr1")["evaluation"]["samples"] == 4
    of_7b = published.settings("paper/7b")
    assert {value for values in of_7b.values() for value in values.values()} == {"UNKNOWN"}, "nothing is shared with it"
