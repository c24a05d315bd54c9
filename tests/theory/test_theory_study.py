"""A study of kind theory: its file, its results, its page, its MLflow entries and its place in the pipeline."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
import yaml

from entrobench.errors import InputError
from entrobench.evaluation.report.theory_report import run_theory
from entrobench.evaluation.tables.law_tables import write_law
from entrobench.studies.study import load_study
from entrobench.theory.published import plateaus, read_points
from entrobench.theory.study import TheoryStudy, TheoryWorkflow, load, load_workflow
from entrobench.tracking.theory_runs import theory_runs

ROOT = Path(__file__).parents[2]
SMALL = {
    "kind": "theory",
    "description": "Small <b>and</b> quick.",
    "units": 2,
    "steps": 300,
    "fit": [15, 1],
    "check": [10],
    "grid": [
        {"actions": 500, "decoys": 30, "decoy_lift": [0, 2], "spread": 1, "coefficient": 0.05, "clamp": [0.33, 0.9]},
        {"actions": 500, "gradient": "sampled", "spread": 1},
    ],
    "trees": {"horizons": [1, 2], "actions": 100, "steps": 20, "units": 2},
    "one_step": {"actions": 1000, "coefficients": [0.01, 0.1], "clamps": [0.33]},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with a small study `mine`."""
    for name in ("workflow", "config"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "results" / "reference" / "paper", tmp_path / "results" / "reference" / "paper")
    shutil.copy(ROOT / "Snakefile", tmp_path)
    (tmp_path / "config" / "studies" / "mine.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(project: Path, **values: object) -> None:
    (project / "config" / "studies" / "mine.yaml").write_text(yaml.safe_dump({**SMALL, **values}))


def test_published_points_are_those_of_the_figure() -> None:
    """Typed from the reference once more."""
    points = read_points(ROOT / "results" / "reference" / "paper" / "synthetic_process.csv")
    assert plateaus(points) == {
        (15, "none"): 0.24, (15, "entropy"): 0.36, (15, "clamped"): 0.80,
        (10, "none"): 0.20, (10, "entropy"): 0.32, (10, "clamped"): 0.60,
        (1, "none"): 0.20, (1, "entropy"): 0.20, (1, "clamped"): 0.44,
    }  # fmt: skip
    gains = {(p.optimal, p.method): p.value for p in points if p.quantity == "gain"}
    assert [gains[k, "clamped"] for k in (15, 10, 5, 1)] == [0.56, 0.40, 0.24, 0.24]
    assert [gains[k, "entropy"] for k in (15, 10, 5, 1)] == [0.12, 0.12, 0.0, 0.0]
    assert len([p for p in points if p.quantity == "reward"]) == 90


def test_the_committed_study_loads_and_holds_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    study = load("theory")
    assert (study.fit, sorted(study.check)) == ([15, 1], [5, 10])
    assert {own.actions for own in study.constructions} == {100_000}
    assert {own.gradient for own in study.constructions} == {"exact", "sampled"}
    assert len(study.constructions) == len(set(study.constructions))


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"unit": 3}, "unknown key 'unit' .*did you mean 'units'"),
        ({"grid": [{"clam": 0.3}]}, r"grid\[0\]: unknown key 'clam' .*did you mean 'clamp'"),
        ({"grid": [{"clamp": [0.3, 1.2]}]}, r"grid\[0\]: clamp must be between"),
        ({"grid": [{"clamp": 0.3}, {"clamp": [0.3]}]}, r"grid\[1\]: holds a construction that stands in the grid"),
        ({"grid": [{"horizon": 2}]}, "horizon: the published figure is compared with bandits"),
        ({"grid": [{"gradient": "sampled", "decoys": 5}]}, "decoys are groups of actions"),
        ({"check": [15]}, "check: 15 stands under fit, too"),
        ({"controller": {"low": 3, "high": 1}}, "controller: low must not exceed high"),
        ({"one_step": {"wrong": 0.9, "right": 0.2}}, "one_step: wrong .* must be below 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(project: Path, values: dict[str, object], line: str) -> None:
    change(project, **values)
    with pytest.raises(InputError, match=line) as error:
        load("mine")
    assert str(error.value).startswith("config/studies/mine.yaml")
    assert "\n" not in str(error.value)


def test_other_commands_say_that_the_study_is_of_another_kind(project: Path) -> None:
    with pytest.raises(InputError, match="of kind theory and trains no models: run `entrobench theory mine`"):
        load_study("mine")
    with pytest.raises(InputError, match="is no study of kind theory"):
        load("smoke")
    with pytest.raises(InputError, match="takes no 'changed'"):
        load_workflow({"study": "mine", "changed": "rerun"})


@pytest.fixture
def finished(project: Path) -> TheoryStudy:
    study = load("mine")
    run_theory(replace(study, units=2))
    return study


def test_a_study_writes_its_files_and_says_no_more_than_its_numbers(finished: TheoryStudy) -> None:
    folder = finished.folder
    written = [Path(file).name for file in TheoryWorkflow(finished, finished.name).written]
    assert [name for name in written if not (folder / name).is_file()] == []
    curves, grid = pandas.read_parquet(folder / "curves.parquet"), pandas.read_csv(folder / "grid.csv")
    assert set(curves["method"]) == {"none", "entropy", "clamped", "entropy_adaptive", "clamped_adaptive"}
    assert len(grid) == 2 * len(finished.constructions)
    assert pandas.read_csv(folder / "bounds.csv")["violated"].sum() == 0
    assert pandas.read_csv(folder / "closed_forms.csv")["optimiser_error"].max() < 1e-8
    page = (folder / "report.html").read_text()
    assert "Small &lt;b&gt;and&lt;/b&gt; quick." in page
    assert page.count("data:image/svg+xml") == 5
    assert 'src="http' not in page
    for line in (folder / "findings.txt").read_text().splitlines():
        assert line.replace("'", "&#39;") in page
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert figures == {
        f"{name}.{kind}" for name in ("reward", "grid", "one_step", "closed_form", "bounds") for kind in ("svg", "png")
    }
    # the ordering is counted in all settings, for and against
    text = (folder / "findings.txt").read_text()
    for _, own in grid.groupby("optimal"):
        above, below = ((own["order"] == name).sum() for name in ("clamped higher", "full higher"))
        assert f"one in {above} of {len(own)} constructions, below it in {below}" in text


def test_results_are_the_same_bits_again_and_so_are_mlflows_entries(finished: TheoryStudy) -> None:
    folder = finished.folder
    first = {name: (folder / name).read_bytes() for name in ("grid.csv", "points.csv", "table.md", "figures/grid.svg")}
    entries = theory_runs(finished, folder)
    assert [entry.content_hash for entry in entries] == [entry.content_hash for entry in theory_runs(finished, folder)]
    assert [entry.kind for entry in entries] == ["run"] * 15 + ["study"]
    assert {entry.tags["method"] for entry in entries[:-1]} >= {"none", "clamped_adaptive"}
    reward = [metric for metric in entries[0].metrics if metric[0] == "train/reward"]
    curves = pandas.read_parquet(folder / "curves.parquet")
    own = curves[(curves["method"] == "none") & (curves["optimal"] == 15)].groupby("step")["reward"].mean()
    assert [metric[1] for metric in reward] == own.tolist()
    assert any(path.name == "report.html" for path in entries[-1].artifacts)
    run_theory(finished)
    assert first == {name: (folder / name).read_bytes() for name in first}


def test_the_page_shows_the_laws_that_were_measured(finished: TheoryStudy) -> None:
    row = {
        "clamp": 0.33, "vocabulary": 100, "tokens": 12, "mass": 1e-3, "largest_mass": 0.01, "entropy": 1.0,
        "clamped_entropy": 0.99, "cosine": 0.999, "norm_ratio": 1.0, "decisive_share": 0.5, "limit": 0.01,
        "residual": 1e-15, "model": "some-model", "dtype": "float32",
    }  # fmt: skip
    write_law([row], finished.folder, "clamp-some-model")
    run_theory(finished)
    assert "What a clamp takes: some-model, 100 tokens" in (finished.folder / "report.html").read_text()


def test_the_pipeline_computes_and_tracks_the_study(project: Path) -> None:
    command = [str(Path(sys.executable).parent / "snakemake"), "--cores", "1", "--config", "study=mine"]
    done = subprocess.run([*command, "--dry-run"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    jobs = done.stdout + done.stderr
    for message in ("compute the synthetic processes", "show the study in MLflow"):
        assert message in jobs
    assert "train" not in jobs.replace("trains no", "")
