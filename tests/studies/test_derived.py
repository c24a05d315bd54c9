"""Values that earlier runs decide: what a study may declare, what its trials are, and what hand-made files give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas
import pytest
import yaml

from entrobench.config import canonical_hash
from entrobench.errors import InputError
from entrobench.run_config import MATHEMATICS, read_config
from entrobench.studies.lock import different_configs, lock_run, with_derived_values
from entrobench.studies.runs import Study
from entrobench.studies.study import load_part, load_study
from entrobench.studies.workflow import load_workflow

STUDY: dict[str, Any] = {
    "models": ["tiny"],
    "datasets": ["chain2"],
    "methods": {
        "grpo": None,
        "bonus": {"use": "entropy_bonus", "coefficient": {"tune": ["1e-3", 0.1]}},
        "adaptive": {"use": "aent", "coefficient": 0.004},
        "constant": {"use": "aent", "adaptive": False, "clamp": 0.2, "coefficient": {"time_mean": "adaptive"}},
    },
    "tuning": {"seeds": [100, 101], "benchmarks": ["chain2-validation"]},
    "seeds": [0, 1],
    "benchmarks": ["chain2"],
    "trainer": {"steps": 3},
}
CONSTANT = "tiny/chain2/constant/seed0"


@pytest.fixture(autouse=True)
def _project(project: Path) -> None:
    """All tests here work in the fixture project."""


CURRENT = {"mathematics": MATHEMATICS}


def load(changes: dict[str, Any] | None = None, **methods: Any) -> Study:
    content = {**STUDY, **(changes or {}), "methods": {**STUDY["methods"], **methods}}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_study("mine")


def refused(changes: dict[str, Any] | None = None, **methods: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(changes, **methods)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("config/studies/mine.yaml: ")
    return line


def tune(grid: Any, **more: Any) -> dict[str, Any]:
    return {"use": "entropy_bonus", "coefficient": {"tune": grid, **more}}


def mean(arm: str, **more: Any) -> dict[str, Any]:
    return {"use": "aent", "adaptive": False, "coefficient": {"time_mean": arm, **more}}


def write_arm(study: Study, coefficients: dict[int, list[float]]) -> None:
    """The files of the adaptive arm: its config, and what its steps logged, by seed."""
    for seed, values in coefficients.items():
        run = study.run(f"tiny/chain2/adaptive/seed{seed}")
        lock_run(run)
        steps = pandas.DataFrame({"step": range(1, len(values) + 1), "method/coefficient": values})
        steps.to_parquet(run.folder / "steps.parquet")


def test_trials_are_a_study_of_their_own() -> None:
    trials = load_part("mine", tuning=True) if load().tuning else None
    assert trials is not None
    names = [f"tiny/chain2/bonus-{value}/seed{seed}" for value in ("0.001", "0.1") for seed in (100, 101)]
    assert [run.key for run in trials.runs] == names
    assert [run.config.method.values["coefficient"] for run in trials.runs] == [0.001, 0.001, 0.1, 0.1]
    assert trials.runs[0].folder == Path("results/mine/tuning/runs") / names[0]
    assert (trials.folder, list(trials.benchmarks)) == (Path("results/mine/tuning"), ["chain2-validation"])
    assert trials.runs[0].config.trainer == load().runs[0].config.trainer
    shorter = load({"tuning": {**STUDY["tuning"], "trainer": {"steps": 2}}})
    assert shorter.tuning is not None
    assert {run.config.trainer.steps for run in shorter.tuning.runs} == {2}
    assert {run.config.trainer.steps for run in shorter.runs} == {3}


def test_settings_bring_their_own_trials() -> None:
    parts = [
        {"name": "a", "model": "tiny", "dataset": "chain2", "methods": {"bonus": tune([0.1])}, "trainer": {"steps": 1}},
        {"name": "b", "model": "tiny", "dataset": "chain2", "methods": ["grpo"]},
    ]
    content = {key: STUDY[key] for key in ("tuning", "seeds", "benchmarks")} | {"settings": parts}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content))
    trials = load_part("mine", tuning=True)
    assert [(run.setting, run.config.trainer.steps) for run in trials.runs] == [("a", 1), ("a", 1)]


def test_the_hash_covers_the_declaration_and_what_it_rests_on() -> None:
    def hashes(study: Study) -> dict[str, str]:
        return {run.method: run.config.hash for run in study.runs if run.seed == 0}

    before = hashes(load())
    others = {
        "bonus": [load({"tuning": {**STUDY["tuning"], "seeds": [100]}}), load(bonus=tune([0.001, 0.2]))],
        "constant": [load(constant=mean("adaptive", to_step=2)), load(adaptive={"use": "aent", "warmup": 2})],
    }
    for method, studies in others.items():
        for study in studies:
            assert hashes(study)[method] != before[method]
            assert hashes(study)["grpo"] == before["grpo"]
    assert hashes(load(constant={**STUDY["methods"]["constant"]})) == before


def test_a_study_without_declarations_is_hashed_as_before() -> None:
    run = load().run("tiny/chain2/adaptive/seed0")
    assert set(run.config.content["method"]) == {"name", "use", "values"}


@pytest.mark.parametrize(
    ("methods", "part"),
    [
        (
            {"bonus": {"use": "entropy_bonus", "coefficient": {"tnue": [1]}}},
            "key 'tnue' (allowed: tune, time_mean); did",
        ),
        (
            {"bonus": {"use": "entropy_bonus", "coefficient": {}}},
            "coefficient: unknown key '' (allowed: tune, time_mean)",
        ),
        ({"bonus": tune([0.1], seeds=[3])}, "coefficient: unknown key 'seeds'"),
        ({"bonus": tune([])}, "tune must be a list of numbers, the grid, got []"),
        ({"bonus": tune(0.1)}, "tune must be a list of numbers, the grid, got 0.1"),
        ({"bonus": tune([0.1, "much"])}, "tune: must be numbers, got 'much'"),
        ({"bonus": tune([0.1, 0.1])}, "tune: a value is given twice"),
        ({"bonus": tune([0.1, -0.1])}, "methods: bonus: coefficient must be at least 0.0, got -0.1"),
        ({"bonus": {"use": "entropy_bonus", "coeficient": {"tune": [1]}}}, "unknown key 'coeficient'"),
        ({"more": tune([0.1, 0.2, 0.3])}, "must have the same number of trials, got bonus 2, more 3"),
        ({"constant": mean("adaptiv")}, "unknown method 'adaptiv' (allowed: adaptive, bonus, grpo); did you mean"),
        ({"constant": mean("constant")}, "constant is a time mean itself: name the method that adapts coefficient"),
        ({"again": mean("constant")}, "constant is a time mean itself"),
        ({"constant": mean("grpo")}, "time_mean: grpo logs no method/coefficient (logged: nothing)"),
        ({"constant": mean("adaptive", to_step=4)}, "steps 1 to 4 are not within adaptive's 1 to 3"),
        ({"constant": mean("adaptive", from_step=0)}, "from_step must be at least 1, got 0"),
        ({"constant": mean("adaptive", form_step=2)}, "unknown key 'form_step'"),
        (
            {"both": {"use": "aent", "clamp": {"time_mean": "adaptive"}, "coefficient": {"tune": [0.1]}}},
            "only one value of a tuned method may be found by runs, got clamp, coefficient",
        ),
    ],
)
def test_bad_declarations(methods: dict[str, Any], part: str) -> None:
    assert part in refused(**methods)


@pytest.mark.parametrize(
    ("tuning", "part"),
    [
        ({"seeds": [1, 100]}, "tuning: seeds: 1 is a seed of the study"),
        (
            {"benchmarks": ["chain2"]},
            "tuning: benchmarks: chain2 asks the test split of chain2, not a validation split",
        ),
        ({"benchmarks": ["chain2-valid"]}, "unknown benchmark 'chain2-valid'"),
        ({"trials": 3}, "tuning: unknown key 'trials' (allowed: seeds, benchmarks, trainer, evaluation)"),
        ({"trainer": {"stps": 3}}, "trainer: unknown key 'stps'"),
    ],
)
def test_bad_tuning(tuning: dict[str, Any], part: str) -> None:
    assert part in refused({"tuning": {**STUDY["tuning"], **tuning}})


def test_tuning_goes_with_tuned_values() -> None:
    assert "tuning has no effect" in refused(bonus={"use": "entropy_bonus"})
    content = {key: value for key, value in STUDY.items() if key != "tuning"}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="the key 'tuning' is missing"):
        load_study("mine")


def test_a_study_that_tunes_is_not_included() -> None:
    load()
    Path("config/studies/joined.yaml").write_text("include: [mine]\n")
    with pytest.raises(InputError, match=r"joined\.yaml: include: mine tunes values"):
        load_study("joined")


def test_the_time_mean_is_of_what_the_steps_used() -> None:
    study = load()
    write_arm(study, {0: [0.004, 0.008, 0.1], 1: [0.004, 0.002, 0.1]})
    lock_run(study.run(CONSTANT))
    config = read_config(study.run(CONSTANT).folder)
    used = (0.004 + 0.004 + 0.008 + 0.004 + 0.004 + 0.002) / 6  # the initial value, then rows 1 and 2
    assert config.method.values["coefficient"] == pytest.approx(used, rel=1e-12)
    found = config.method.derived["coefficient"]
    assert (found["value"], found["time_mean"], found["from_step"], found["to_step"], found["seeds"]) == (
        config.method.values["coefficient"],
        "adaptive",
        1,
        3,
        [0, 1],
    )
    late = load(constant=mean("adaptive", from_step=3))
    lock_run(late.run(CONSTANT))
    assert read_config(late.run(CONSTANT).folder).method.values["coefficient"] == pytest.approx(0.005)


def test_the_tuned_value_is_read_and_checked() -> None:
    study = load()
    run = study.run("tiny/chain2/bonus/seed0")
    with pytest.raises(InputError, match=r"results/mine/tuning/tuning\.json is missing, which decides its values"):
        lock_run(run)
    file = Path("results/mine/tuning/tuning.json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"methods": {"bonus": {"value": -1.0}}, "provenance": CURRENT}))
    with pytest.raises(InputError, match="bonus: coefficient must be at least"):
        lock_run(run)
    file.write_text(json.dumps({"methods": {"bonus": {"value": 0.1}}}))
    with pytest.raises(InputError, match=r"tuning\.json: chosen from trials of other mathematics"):
        lock_run(run)
    file.write_text(json.dumps({"methods": {"bonus": {"value": 0.1}}, "provenance": CURRENT}))
    lock_run(run)
    config = read_config(run.folder)
    assert config.method.values == {"coefficient": 0.1} | {
        key: value for key, value in run.config.method.values.items() if key != "coefficient"
    }
    assert config.declared == run.config.hash != config.hash
    assert config.hash == canonical_hash(
        {key: v for key, v in config.content.items() if key not in ("hash", "mathematics")}
    )
    shown = {run.method: run.config for run in with_derived_values(study).runs if run.seed == 0}
    assert shown["bonus"] == config
    assert shown["grpo"] == study.run("tiny/chain2/grpo/seed0").config


def test_work_under_another_declaration_is_refused_and_a_found_value_is_not() -> None:
    study = load()
    write_arm(study, {0: [0.1, 0.1, 0.1], 1: [0.1, 0.1, 0.1]})
    lock_run(study.run(CONSTANT))
    (study.run(CONSTANT).folder / "final").mkdir()
    assert different_configs(study) == []
    changed = load(constant=mean("adaptive", from_step=2))
    assert [run.key for run in different_configs(changed)] == [CONSTANT]


def test_what_the_rules_wait_for() -> None:
    load()
    workflow = load_workflow({"study": "mine"})
    assert workflow.lock_inputs("tiny/chain2/grpo/seed0") == []
    assert workflow.lock_inputs("tiny/chain2/bonus/seed1") == ["results/mine/tuning/tuning.json"]
    arm = "results/mine/runs/tiny/chain2/adaptive"
    assert workflow.lock_inputs(CONSTANT) == [f"{arm}/seed0/steps.parquet", f"{arm}/seed1/steps.parquet"]
    assert workflow.reference_sweep == ["results/mine/tuning/sweep.csv"]
    trials = load_workflow({"study": "mine", "tuning": "yes"})
    assert trials.argument == "mine --tuning"
    assert len(trials.run_grades) == 4
    assert all(path.startswith("results/mine/tuning/runs/") for path in trials.run_grades)


@pytest.mark.parametrize("number", [MATHEMATICS + 1, None])
def test_settings_locked_for_other_mathematics_are_refused_until_they_are_locked_again(number: int | None) -> None:
    run = load().run("tiny/chain2/grpo/seed0")
    lock_run(run)
    content = json.loads(run.files.config.read_text())
    assert content["mathematics"] == MATHEMATICS
    assert read_config(run.folder) == run.config
    run.files.config.write_text(json.dumps({**content, "mathematics": number}))
    with pytest.raises(InputError, match=rf"written for mathematics {number}, .* lock it again"):
        read_config(run.folder)
    lock_run(run)
    assert read_config(run.folder) == run.config
