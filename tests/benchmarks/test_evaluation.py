"""Presets of sampling, and benchmarks with values of their own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.errors import InputError
from entrobench.evaluation.benchmarks.evaluation import resolve_evaluation
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study

ROOT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {"models": ["tiny"], "datasets": ["chain2"], "methods": ["grpo"], "seeds": [0]}


@pytest.fixture(autouse=True)
def _project(project: Path) -> None:
    """The fixture project with the repository's presets."""
    shutil.copytree(ROOT / "config/evaluation", project / "config/evaluation")


def load(benchmarks: Any, **change: Any) -> Study:
    content = {**STUDY, "benchmarks": benchmarks, **change}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_study("mine")


def test_the_papers_preset_is_what_its_scripts_say() -> None:
    settings = resolve_evaluation({"use": "paper_math", "pass_k": [1, 2]}, "evaluation")
    assert (settings.samples, settings.temperature, settings.top_p, settings.top_k) == (4, 0.6, 0.95, 20)
    assert settings.max_tokens == 3072
    study = load(
        ["chain2"], evaluation={"use": "paper_math", "pass_k": [1, 2], "max_tokens": 9}
    )  # tiny has 512 positions
    assert study.primary == "avg@4"
    other = (
        load(["chain2"], evaluation={"use": "paper_openr1", "pass_k": [1], "max_tokens": 9}).evaluations["tiny"].shared
    )
    assert (other.samples, other.top_k, other.max_tokens) == (4, 0, 9)  # values beside the preset win


def test_a_benchmark_may_have_more_samples() -> None:
    names = {"chain2": None, "chain2-validation": {"use": "avg32", "problems": 5}}
    study = load(names, evaluation={"samples": 4, "temperature": 0.6, "pass_k": [1, 2]})
    evaluation = study.evaluations["tiny"]
    own = evaluation.by_benchmark["chain2-validation"]
    assert (own.samples, own.temperature, own.problems) == (32, 0.6, 5)
    assert evaluation.by_benchmark["chain2"] == evaluation.shared
    assert evaluation.file_content["benchmarks"] == study.benchmarks == list(names)
    assert evaluation.file_content["sampling"] == {"chain2-validation": {"samples": 32, "problems": 5}}
    assert study.primary == "avg@n"  # 4 for one, 32 for the other
    assert study.metrics == ["avg@n", "maj@n", "pass@1", "pass@2"]


def test_studies_without_own_values_lock_what_they_always_locked() -> None:
    content = load(["chain2"]).evaluations["tiny"].file_content
    assert "sampling" not in content
    assert load({"chain2": None}).evaluations["tiny"].file_content == content


def test_included_studies_bring_their_benchmarks() -> None:
    load({"chain2": {"samples": 16}})
    Path("config/studies/mine.yaml").rename("config/studies/one.yaml")
    Path("config/studies/all.yaml").write_text("include: [one]\n")
    assert load_study("all").evaluations["tiny"].by_benchmark["chain2"].samples == 16
    load({"chain2": {"samples": 32}})
    Path("config/studies/all.yaml").write_text("include: [one, mine]\n")
    with pytest.raises(InputError, match="the included studies sample chain2 differently"):
        load_study("all")


def test_included_studies_of_different_models_keep_their_sampling() -> None:
    shutil.copy("config/models/tiny.yaml", "config/models/other.yaml")
    for name, model, longest in (("one", "tiny", 100), ("mine", "other", 200)):
        values = {"use": "paper_math", "pass_k": [1], "max_tokens": longest}
        load({"chain2": {"problems": 8}}, models=[model], evaluation=values)
        Path("config/studies/mine.yaml").rename(f"config/studies/{name}.yaml")
    Path("config/studies/all.yaml").write_text("include: [one, mine]\n")
    study = load_study("all")
    assert {model: said.shared.max_tokens for model, said in study.evaluations.items()} == {"tiny": 100, "other": 200}
    assert str(study.evaluation_file("other")) == "results/all/evaluation-other.json"
    assert study.metrics == ["avg@4", "maj@4", "pass@1"]
    Path("config/studies/all.yaml").write_text("include: [one, mine]\nevaluation: {samples: 2, pass_k: [1]}\n")
    study = load_study("all")
    assert str(study.evaluation_file("other")) == "results/all/evaluation.json"
    assert study.evaluations["tiny"].by_benchmark["chain2"].problems == 8
    Path("config/studies/mine.yaml").write_text(Path("config/studies/mine.yaml").read_text().replace("- 1", "- 2"))
    Path("config/studies/all.yaml").write_text("include: [one, mine]\n")
    with pytest.raises(InputError, match="have different pass_k: give the key 'evaluation'"):
        load_study("all")


def test_graders() -> None:
    assert load(["chain2"]).graders == ["entrobench"]
    assert load(["chain2"], graders=["paper", "entrobench"]).graders == ["entrobench", "paper"]


@pytest.mark.parametrize(
    ("benchmarks", "change", "message"),
    [
        (
            ["chain2"],
            {"evaluation": {"use": "paper_mth"}},
            "evaluation: use: unknown preset .*did you mean 'paper_math'",
        ),
        ({"chain2": {"sample": 3}}, {}, "benchmarks: chain2: unknown key 'sample' .*did you mean 'samples'"),
        ({"chain2": {"seed": 3}}, {}, "benchmarks: chain2: unknown key 'seed' .allowed here: use, samples"),
        ({"chain2": {"samples": 2}}, {}, "benchmarks: chain2: pass_k 4 needs samples >= 4, got samples 2"),
        ({"chain2": {"top_p": 2}}, {}, "benchmarks: chain2: top_p must be between 0.0 and 1.0"),
        ({"chain2": 3}, {}, "benchmarks.chain2: must be a mapping or null, got 3"),
        (["chain2"], {"graders": ["papr"]}, "graders: unknown grader 'papr' .*did you mean 'paper'"),
        (["chain2"], {"graders": ["paper"]}, "graders: entrobench is missing"),
    ],
)
def test_faults_are_one_line(benchmarks: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(benchmarks, **change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("values: {sampels: 3}\n", "avg32.yaml: values: unknown key 'sampels'"),
        ("samples: 3\n", "avg32.yaml: unknown key 'samples' .allowed: description, values"),
    ],
)
def test_a_wrong_preset_names_its_file(text: str, message: str) -> None:
    Path("config/evaluation/avg32.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        load(["chain2"], evaluation={"use": "avg32"})
