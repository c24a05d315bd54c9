"""Evaluation along the way in the graph: which jobs there are, and what a change of `evaluate_every` runs again."""

from __future__ import annotations

from .conftest import Project

RUNS = ("grpo/seed0", "grpo/seed1", "aent/seed0", "aent/seed1")


def evaluate_every(project: Project, steps: int) -> None:
    project.edit("seeds: [0, 1]", f"seeds: [0, 1]\nevaluate_every: {steps}")


def test_every_snapshot_is_sampled_and_graded_and_goes(fresh: Project) -> None:
    fresh.edit("{steps: 2}", "{steps: 6}")
    evaluate_every(fresh, 2)
    fresh.snakemake()
    for run in RUNS:
        place = fresh.run / run
        assert not (place / "snapshots").exists()
        assert sorted(path.name for path in (place / "evaluations").iterdir()) == ["step000002", "step000004"]
        for step in ("step000002", "step000004"):
            assert (place / "evaluations" / step / "grades" / "chain2.parquet").exists()
    assert (fresh.folder / "results/quickstart/evaluations.parquet").exists()
    assert fresh.planned() == []


def test_the_last_snapshots_answer_with_the_last_step_and_go(fresh: Project) -> None:
    fresh.edit("{steps: 2}", "{steps: 6}")
    evaluate_every(fresh, 2)
    fresh.edit("evaluation: {", "evaluation: {average_last: 3, ")
    fresh.snakemake()
    for run in RUNS:
        left = {path.name for path in (fresh.run / run).iterdir()}
        assert not left & {"snapshots", "evaluations"}
        assert (fresh.run / run / "grades" / "chain2.parquet").exists()
    assert fresh.planned() == []


def test_a_study_that_wants_snapshots_trains_again(finished: Project) -> None:
    evaluate_every(finished, 1)
    jobs = finished.planned()
    assert [job for job in jobs if job.startswith("train ")] == [f"train tiny/chain2/{run}" for run in sorted(RUNS)]
    finished.snakemake()
    assert finished.planned() == []


def test_snapshots_that_were_not_kept_are_named_before_any_job(fresh: Project) -> None:
    fresh.edit("{steps: 2}", "{steps: 4}")
    evaluate_every(fresh, 2)
    fresh.snakemake("--notemp")
    assert sorted(path.name for path in (fresh.run / "grpo/seed0/snapshots").glob("step*")) == ["step000002"]
    fresh.edit("evaluate_every: 2", "evaluate_every: 1")
    done = fresh.call("snakemake", "--dry-run")
    assert done.returncode == 2
    assert "grpo/seed0/snapshots has no step000001: the run was trained with another evaluate_every" in done.stderr


def test_settings_without_snapshots_stand_beside_those_with(fresh: Project) -> None:
    both = "  - {name: with, model: tiny, dataset: chain2, methods: [grpo], evaluate_every: 1}\n"
    both += "  - {name: without, model: tiny, dataset: chain2, methods: [aent]}\n"
    fresh.edit("models: [tiny]\ndatasets: [chain2]\nmethods: {grpo: , aent: {warmup: 5}}\n", f"settings:\n{both}")
    fresh.snakemake()
    assert (fresh.run / "grpo/seed0/evaluations/step000001").is_dir()
    assert not (fresh.run / "aent/seed0/evaluations").exists()
    assert fresh.planned() == []
