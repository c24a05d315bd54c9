"""A study that tunes a value and averages another: its graph, and for real, with two steps and two points of a grid."""

from __future__ import annotations

import json
import re
import shutil

from .conftest import ROOT, Project

STUDY = """
models: [chain-tiny]
datasets: [chain2]
methods:
  tuned: {use: entropy_bonus, coefficient: {tune: [0.001, 0.1]}}
  adaptive: {use: aent, warmup: 1, coefficient: 0.01, coefficient_rate: 0.1, coefficient_high: 0.06}
  constant: {use: aent, adaptive: false, coefficient: {time_mean: adaptive}}
tuning: {seeds: [100], benchmarks: [chain2-validation]}
seeds: [0]
benchmarks: [chain2]
trainer: {steps: 2, prompts: 4, group_size: 4, updates: 2, max_response_tokens: 16, warmup_updates: 0}
evaluation: {samples: 2, pass_k: [1], max_tokens: 16, problems: 8}
hardware: {device: cpu}
"""


def make_study(project: Project) -> Project:
    """The study above under the name quickstart, on the smallest model, with real steps."""
    project.study.write_text(STUDY)
    shutil.copy(ROOT / "config/models/chain-tiny.yaml", project.folder / "config/models")
    project.real_steps = True
    return project


def test_plan_counts_the_trials_as_snakemake_makes_them(fresh: Project) -> None:
    project = make_study(fresh)
    table = project.snakemake("--dry-run").partition("Job stats:")[2].partition("total")[0]
    made = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    assert made.pop("all") == 1
    assert (made["tuning_train"], made["train"], made["tune"]) == (2, 3, 1)
    plan = json.loads(project.call("entrobench", "plan", "quickstart", "--json").stdout)
    assert plan["jobs"] == made
    assert plan["tuning"]["training_tokens"] == 2 * 2 * 4 * 4 * 16
    assert "unknown key" in project.call("snakemake", "--config", "tunning=yes").stderr


def test_values_are_found_and_used(fresh: Project) -> None:
    project = make_study(fresh)
    results = project.folder / "results/quickstart"
    runs = "results/quickstart/runs/chain-tiny/chain2"
    wanted = [f"{runs}/tuned/seed0/steps.parquet", f"{runs}/constant/seed0/config.json"]
    project.snakemake(*wanted)
    tuning = json.loads((results / "tuning/tuning.json").read_text())
    tuned, constant = (
        json.loads((project.folder / runs / method / "seed0/config.json").read_text())["method"]
        for method in ("tuned", "constant")
    )
    assert tuned["values"]["coefficient"] == tuning["methods"]["tuned"]["value"] in (0.001, 0.1)
    assert tuning["cost"]["runs"] == 2
    trials = list((results / "tuning/runs").glob("*/*/*/*/steps.parquet"))
    assert len(trials) == 2
    assert not any((trial.parent / "final").exists() for trial in trials), "their weights go once they have answered"
    assert tuning["problems"] == {"judged": 8, "left_out": 0}
    assert 0 < constant["values"]["coefficient"] <= 0.01, (
        "the first step used 0.01, the second what the controller said"
    )
    assert constant["values"]["coefficient"] == constant["derived"]["coefficient"]["value"]
    for name in ("sweep.csv", "sweep.svg"):
        assert (results / "tuning" / name).is_file()
    assert "Nothing to be done" in project.snakemake(*wanted)
    project.edit("tune: [0.001, 0.1]", "tune: [0.001, 0.2]")
    refused = project.call("snakemake", "--dry-run")
    assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
    assert "hold runs of a different config, first results/quickstart/runs/chain-tiny/chain2/tuned" in refused.stderr
