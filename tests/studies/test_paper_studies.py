"""The paper's studies hold the paper's settings, load without network, and can be scheduled."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from entrobench.errors import InputError
from entrobench.studies.plan import benchmark_tokens, check_memory, plan_study, study_sizes
from entrobench.studies.schedule import Job, simulate, study_jobs
from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[2]
SETTINGS = yaml.safe_load((ROOT / "results/reference/paper/settings.yaml").read_text())
NAMES = [path.stem for path in sorted((ROOT / "config/studies").glob("*.yaml"))]
OURS = [name for name in NAMES if name.startswith(("paper", "ablation", "areal", "smollm"))]


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", OURS)
def test_every_study_loads_plans_and_fits_80_gib(name: str) -> None:
    study = load_study(name)
    plan = plan_study(study)
    check_memory(study, plan, 80 * 2**30)
    assert sum(plan.runs.values()) == len(study.runs) > 0


def test_a_gpu_that_is_too_small_is_refused_with_the_figure_that_does_not_fit() -> None:
    study = load_study("paper-math")
    line = r"config/studies/paper-math.yaml: \S+: \S+: [\w' ]+ takes [\d.]+ GiB \([\w' ]+ alone .* of a GPU of 16.0 GiB"
    with pytest.raises(InputError, match=line):
        check_memory(study, plan_study(study), 16 * 2**30)


@pytest.mark.parametrize("setting", ["math", "openr1"])
def test_the_papers_values_stand_in_its_studies(setting: str) -> None:
    run = next(run for run in load_study(f"paper-{setting}").runs if run.method == "aent")
    trainer = run.config.trainer

    def paper(section: str, key: str) -> object:
        values = SETTINGS[section][key]
        return values.get(setting, values.get("value"))

    same = "max_prompt_tokens max_response_tokens learning_rate warmup_updates beta1 beta2 weight_decay grad_clip"
    for key in f"{same} clip_low clip_high dual_clip log_ratio_clamp temperature top_p loss_agg steps".split():
        assert getattr(trainer, key) == paper("trainer", key), key
    assert trainer.prompts == paper("trainer", "prompts_per_step")
    assert trainer.group_size == paper("trainer", "rollouts_per_prompt")
    assert trainer.updates == paper("trainer", "updates_per_step")
    for key in ["coefficient", "clamp", "warmup", "pull", *(f"entropy_{end}" for end in ("low", "high"))]:
        assert run.config.method.values[key] == paper("aent", key), key
    for key in ["coefficient_rate", "coefficient_low", "coefficient_high"]:
        assert run.config.method.values[key] == paper("aent", key), key


def test_evaluation_along_the_way_is_in_the_plan() -> None:
    study = load_study("paper-math")
    plan = plan_study(study)
    assert {len(run.snapshots) for run in study.runs} == {420 // 15 - 1}, "the last evaluation is that of the last step"
    assert plan.jobs["generate"] == plan.jobs["grade"] == 20 * 28 + 1
    assert plan.snapshot_bytes == 20 * 27 * 4 * 1_543_714_304  # parameters of Qwen2.5-1.5B, output layer tied
    tokens = benchmark_tokens(study)
    assert tokens is not None
    assert plan.evaluation_tokens == (20 * 28 + 1) * tokens["qwen2.5-math-1.5b"]


def test_both_settings_keep_the_papers_sampling() -> None:
    study = load_study("paper")
    shared = {model: evaluation.shared for model, evaluation in study.evaluations.items()}
    for model, setting in (("qwen2.5-math-1.5b", "math"), ("r1-distill-qwen-1.5b", "openr1")):
        paper = {key: said.get(setting, said.get("value")) for key, said in SETTINGS["evaluation"].items()}
        own = shared[model]
        assert (own.samples, own.temperature, own.top_p) == (paper["samples"], paper["temperature"], paper["top_p"])
        assert own.top_k == (0 if paper["top_k"] == "off" else paper["top_k"])
    assert study.evaluation_file("qwen2.5-math-1.5b") != study.evaluation_file("r1-distill-qwen-1.5b")


def test_eight_gpus_are_kept_busy() -> None:
    study = load_study("paper")
    jobs = study_jobs(study, study_sizes(study), benchmark_tokens(study) or {})
    schedule = simulate(jobs, 8)
    assert schedule.makespan <= 1.10 * schedule.lower_bound
    device = {job.name for job in jobs if job.device}
    for _, start, _ in ((name, begin, end) for begin, end, name in schedule.busy):
        assert sum(begin <= start < end for begin, end, name in schedule.busy if name in device) <= 8


def test_a_small_graph_by_hand() -> None:
    jobs = [Job(name, "train", seconds, True, ()) for name, seconds in (("a", 3), ("b", 2), ("c", 2), ("d", 1))]
    schedule = simulate([*jobs, Job("end", "report", 1, False, ("a", "b", "c", "d"))], 2)
    assert (schedule.makespan, schedule.lower_bound) == (5, 4)
    with pytest.raises(ValueError, match="which no job makes"):
        simulate([Job("x", "train", 1, True, ("y",))], 1)
