"""Studies: what they resolve to, and that every fault is one line that names file, key and the nearest valid name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.config import canonical_hash
from entrobench.errors import InputError
from entrobench.run_config import Variant
from entrobench.studies.named_inputs import refuse_changed
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study

STUDY: dict[str, Any] = {
    "models": ["tiny"],
    "datasets": ["chain2"],
    "methods": {"grpo": None, "aent": {"warmup": 5}},
    "seeds": [0, 1],
    "benchmarks": ["chain2"],
}


def write(content: Mapping[str, Any], name: str = "mine") -> None:
    Path(f"config/studies/{name}.yaml").write_text(yaml.safe_dump(dict(content), sort_keys=False))


def load(content: Mapping[str, Any]) -> Study:
    write(content)
    return load_study("mine")


def refused(content: Mapping[str, Any]) -> str:
    """The line with which a study is refused."""
    with pytest.raises(InputError) as caught:
        load(content)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("config/")
    return line


@pytest.fixture(autouse=True)
def _project(project: Path) -> None:
    """All tests here work in the fixture project."""


def test_cross_product() -> None:
    study = load(STUDY)
    assert [run.key for run in study.runs] == [
        "tiny/chain2/grpo/seed0",
        "tiny/chain2/grpo/seed1",
        "tiny/chain2/aent/seed0",
        "tiny/chain2/aent/seed1",
    ]
    run = study.run("tiny/chain2/aent/seed1")
    assert run.folder == Path("results/mine/runs/tiny/chain2/aent/seed1")
    assert (run.config.method.name, run.config.method.use, run.config.method.derived) == ("aent", "aent", {})
    assert run.config.method.values["warmup"] == 5
    assert run.config.method.values["clamp"] == 0.33
    assert study.primary == "avg@8"
    assert list(study.base_models) == ["tiny"]
    assert list(study.datasets) == ["chain2"]


def test_evaluation_along_the_way_is_no_part_of_a_run() -> None:
    plain, along = load(STUDY).runs[0], load({**STUDY, "trainer": {"steps": 60}, "evaluate_every": 25}).runs[0]
    assert plain.config == along.config
    assert (plain.snapshots, along.snapshots) == ([], ["step000025", "step000050"])
    setting = {"name": "a", "model": "tiny", "dataset": "chain2", "methods": ["grpo"], "evaluate_every": 40}
    own = load({"settings": [setting], "seeds": [0], "benchmarks": ["chain2"], "evaluate_every": 25}).runs[0]
    assert own.snapshots == ["step000040"]
    assert load({**STUDY, "evaluate_every": 60}).runs[0].snapshots == [], "the last step needs no snapshot"


def test_published_numbers_are_named_by_folder_and_setting() -> None:
    table = Path("results/reference/toy/table1.csv")
    table.parent.mkdir(parents=True)
    table.write_text("setting,method,benchmark,score\nlittle,grpo,chain2,0.5\n")
    assert load({**STUDY, "evaluate_every": 9, "published": "toy/little"}).runs[0].published == "toy/little"
    line = refused({**STUDY, "evaluate_every": 9, "published": "toi/little"})
    assert "published: unknown folder of results/reference 'toi' (allowed: toy); did you mean 'toy'?" in line
    assert "did you mean 'little'?" in refused({**STUDY, "evaluate_every": 9, "published": "toy/litle"})
    assert "give the key 'evaluate_every'" in refused({**STUDY, "published": "toy/little"})
    assert "evaluate_every" in refused({**STUDY, "evaluate_every": 0})
    assert "said by the study's key evaluate_every" in refused({**STUDY, "hardware": {"snapshot_every": 3}})


def test_config_hash_covers_the_content_and_nothing_else() -> None:
    run = load(STUDY).runs[0]
    content = {key: value for key, value in run.config.content.items() if key not in ("hash", "mathematics")}
    assert run.config.hash == canonical_hash(content) == canonical_hash(json.loads(json.dumps(content)))
    assert set(content) == {"model", "dataset", "method", "seed", "trainer"}
    elsewhere = load({**STUDY, "hardware": {"micro_batch": 2}, "description": "other", "evaluation": {"problems": 3}})
    assert elsewhere.runs[0].config == run.config
    assert elsewhere.runs[0].hardware.micro_batch == 2


@pytest.mark.parametrize("change", [{"trainer": {"steps": 3}}, {"seeds": [7]}, {"methods": {"grpo": None}}])
def test_config_hash_differs_exactly_where_the_run_does(change: dict[str, Any]) -> None:
    before, after = load(STUDY).runs[0].config, load({**STUDY, **change}).runs[0].config
    assert (before.hash == after.hash) == (before == after) == ("methods" in change)


def test_recipes_are_part_of_the_hash() -> None:
    before = load(STUDY).runs[0].config
    Path("config/datasets/chain2.yaml").write_text("kind: chain\nchain: {problems: 201}\n")
    after = load(STUDY).runs[0].config
    assert before.dataset.recipe_hash != after.dataset.recipe_hash
    assert before.model.recipe_hash != after.model.recipe_hash  # the base model is trained on these data


def test_settings_with_values_per_setting() -> None:
    setting = {"name": "a", "model": "tiny", "dataset": "chain2", "methods": ["grpo"], "trainer": {"steps": 7}}
    study = load({"settings": [setting], "seeds": [0], "benchmarks": ["chain2"], "trainer": {"steps": 9, "prompts": 4}})
    trainer = study.runs[0].config.trainer
    assert (trainer.steps, trainer.prompts) == (7, 4)
    assert study.runs[0].setting == "a"


def test_variants_and_presets() -> None:
    Path("config/methods").mkdir()
    Path("config/methods/mild.yaml").write_text("use: aent\nvalues: {coefficient: 0.001, warmup: 9}\n")
    study = load({**STUDY, "methods": {"mild": None, "aent": {"use": "mild", "warmup": 4}}, "seeds": [0]})
    mild, aent = (run.config.method for run in study.runs)
    assert (mild.name, mild.use, mild.values["warmup"]) == ("mild", "aent", 9)
    assert (aent.name, aent.use, aent.values["warmup"]) == ("aent", "aent", 4)
    assert aent.values["coefficient"] == 0.001


def test_include_joins_studies_and_counts_equal_runs_once() -> None:
    write(STUDY, "one")
    write({**STUDY, "seeds": [1, 2]}, "two")
    study = load({"include": ["one", "two"]})
    assert [run.key for run in study.runs if run.method == "grpo"] == [f"tiny/chain2/grpo/seed{k}" for k in range(3)]
    assert study.runs[0].config == load_study("one").runs[0].config
    assert study.runs[0].folder.parts[1] == "mine"


def test_study_by_path(tmp_path: Path) -> None:
    write(STUDY)
    elsewhere = tmp_path / "elsewhere.yaml"
    elsewhere.write_text(Path("config/studies/mine.yaml").read_text())
    assert load_study(str(elsewhere)).name == "elsewhere"
    assert load_study("config/studies/mine.yaml").name == "mine"


def test_warning_where_a_method_does_nothing() -> None:
    methods = {"methods": ["grpo", "clip_higher"]}
    (line,) = load({**STUDY, **methods, "trainer": {"updates": 1}}).warnings
    assert "clip_higher does nothing here" in line
    assert "\n" not in line
    assert load({**STUDY, **methods}).warnings == []


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"models": ["tny"]}, ["unknown model 'tny'", "did you mean 'tiny'?"]),
        ({"datasets": ["chain"]}, ["unknown dataset 'chain'", "did you mean 'chain2'?"]),
        ({"benchmarks": ["chain22"]}, ["unknown benchmark 'chain22'", "did you mean 'chain2'?"]),
        ({"methods": ["aet"]}, ["methods: unknown method 'aet'", "did you mean 'aent'?"]),
        ({"methods": {"aent": {"clmp": 0.1}}}, ["methods: aent: unknown key 'clmp'", "did you mean 'clamp'?"]),
        ({"methods": {"aent": {"clamp": 1.5}}}, ["clamp must be between 0.0 and 1.0, got 1.5"]),
        ({"methods": {"aent": {"clamp": -0.1}}}, ["clamp must be between"]),
        ({"methods": {"aent": {"clamp": 1.0}}}, ["clamp must be below 1"]),
        ({"methods": {"aent": {"entropy_low": 0.5}}}, ["entropy_low (0.5) is above entropy_high"]),
        ({"methods": {"aent": {"coefficient": 0.5}}}, ["coefficient (0.5) is outside its box [0.0006, 0.009]"]),
        ({"methods": {"aent": {"coefficient_low": 0.1}}}, ["coefficient_low (0.1) is above coefficient_high"]),
        ({"methods": ["grpo", "grpo"]}, ["methods: 'grpo' is given twice"]),
        ({"methods": {"aent": 3}}, ["methods.aent: must be a mapping or null, got 3"]),
        ({"methods": {1: None}}, ["methods: must be text, got 1"]),
        ({"methods": []}, ["methods: must name at least one"]),
        ({"seeds": []}, ["seeds: must name at least one, got none"]),
        ({"seeds": [0, 0]}, ["seeds: 0 is given twice"]),
        ({"seeds": 3}, ["seeds: must be a list, got 3"]),
        ({7: 8}, ["unknown key 7"]),
        ({"trainer": None}, ["trainer: must be a mapping, got None"]),
        ({"seeds": ["a"]}, ["seeds[0]: must be a whole number, got 'a'"]),
        ({"models": ["tiny", "tiny"]}, ["models: 'tiny' is given twice"]),
        ({"benchmarks": ["chain2", "chain2"]}, ["benchmarks: 'chain2' is given twice"]),
        ({"trainer": {"group_size": 1}}, ["trainer: group_size must be at least 2, got 1"]),
        ({"trainer": {"stps": 1}}, ["trainer: unknown key 'stps'", "did you mean 'steps'?"]),
        ({"trainer": {"reward": "boxd"}}, ["reward", "did you mean 'boxed'?"]),
        ({"hardware": {"device": "gpu"}}, ["hardware: device must be one of auto, cpu, cuda"]),
        ({"evaluation": {"pass_k": [99]}}, ["evaluation: pass_k 99"]),
        ({"primary": "avg@5"}, ["primary: unknown metric 'avg@5'", "avg@8"]),
        ({"sedes": [0]}, ["unknown key 'sedes'", "did you mean 'seeds'?"]),
        ({"include": ["mine"]}, ["include: the study 'mine' includes itself"]),
        ({"include": ["smke"]}, ["include: unknown study 'smke'"]),
        ({"settings": [{"name": "a"}]}, ["settings[0]: the key 'model' is missing"]),
        ({"models": ["../tiny"]}, ["models[0]: '../tiny' is not a name"]),
    ],
)
def test_faults(change: dict[str, Any], parts: list[str]) -> None:
    line = refused({**STUDY, **change})
    for part in ["config/studies/mine.yaml: ", *parts]:
        assert part in line


@pytest.mark.parametrize("key", ["models", "datasets", "methods", "seeds", "benchmarks"])
def test_missing_keys(key: str) -> None:
    assert f"the key {key!r} is missing" in refused({name: value for name, value in STUDY.items() if name != key})


def test_settings_faults() -> None:
    setting = {"name": "a", "model": "tiny", "dataset": "chain2", "methods": ["grpo"]}
    shared = {"seeds": [0], "benchmarks": ["chain2"]}
    assert "the name 'a' is given twice" in refused({"settings": [setting, setting], **shared})
    line = refused({"settings": [setting, {**setting, "name": "b"}], **shared})
    assert "two settings, 'a' and 'b', hold the run tiny/chain2/grpo/seed0" in line
    assert "not settings and models" in refused({"settings": [setting], "models": ["tiny"], **shared})
    assert "names no runs" in refused(shared)
    write({"settings": [setting], **shared}, "one")
    assert "seeds has no effect" in refused({"include": ["one"], "seeds": [3]})


def test_included_studies_must_agree_where_it_matters() -> None:
    write(STUDY, "one")
    write({**STUDY, "evaluation": {"samples": 4, "pass_k": [1]}}, "two")
    assert "the included studies evaluate tiny differently" in refused({"include": ["one", "two"]})
    write({**STUDY, "trainer": {"steps": 5}}, "two")
    assert "hold the run tiny/chain2/grpo/seed0" in refused({"include": ["one", "two"]})
    write({**STUDY, "evaluate_every": 1}, "two")
    line = refused({"include": ["one", "two"]})
    assert "include: evaluate_every differs for the run tiny/chain2/grpo/seed0" in line


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("use: aet\n", "use: unknown method 'aet'"),
        ("use: aent\nvalues: {clamp: 2}\n", "values: clamp must be between"),
        ("use: aent\nvalue: {}\n", "unknown key 'value' (allowed: description, use, values); did you mean 'values'?"),
        ("values: {}\n", "the key 'use' is missing"),
    ],
)
def test_variant_faults_name_the_variants_file(text: str, part: str) -> None:
    Path("config/methods").mkdir()
    Path("config/methods/mild.yaml").write_text(text)
    line = refused({**STUDY, "methods": ["mild"]})
    assert line.startswith("config/methods/mild.yaml: ")
    assert part in line


def test_broken_variant_harms_only_those_who_name_it() -> None:
    Path("config/methods").mkdir()
    Path("config/methods/broken.yaml").write_text("use: [\n")
    assert load(STUDY).runs
    assert "not valid YAML" in refused({**STUDY, "methods": ["broken"]})


def test_variant_may_not_take_a_methods_name_for_another() -> None:
    Path("config/methods").mkdir()
    Path("config/methods/grpo.yaml").write_text("use: aent\n")
    assert "a variant must not be named like a method: whoever names 'grpo'" in refused(STUDY)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seeds: [0]\nseeds: [1]\n", "line 1: the key 'seeds' is given twice"),
        ("methods:\n  aent: {}\n  grpo: {}\n  aent: {}\n", "line 2: the key 'aent' is given twice"),
        ("seeds: [0\n", "line 2: not valid YAML"),
        ("- a\n", "expected a mapping"),
        ("", "expected a mapping"),
    ],
)
def test_files_that_are_no_study(text: str, part: str) -> None:
    Path("config/studies/mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config/studies/mine\.yaml: ") as caught:
        load_study("mine")
    assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"seeds: \xff\n", b"seeds: \x00\n"])
def test_files_that_are_no_text(content: bytes) -> None:
    Path("config/studies/mine.yaml").write_bytes(content)
    with pytest.raises(InputError, match=r"config/studies/mine\.yaml: not a text file in UTF-8"):
        load_study("mine")


def test_recipe_without_kind() -> None:
    Path("config/models/tiny.yaml").write_text("datasets: [chain2]\n")
    with pytest.raises(InputError, match=r"config/models/tiny\.yaml: the key 'kind' is missing"):
        load(STUDY)


@pytest.mark.parametrize("name", ["quickstrt", "no/such.yaml", "such.yaml"])
def test_unknown_study(name: str) -> None:
    with pytest.raises(InputError, match="STUDY: "):
        load_study(name)


@pytest.mark.parametrize("name", ["data", "models", "logs", "reference", "two words", "-x"])
def test_names_that_no_study_can_have(name: str) -> None:
    write(STUDY, name)
    with pytest.raises(InputError, match="cannot name a study"):
        load_study(name)


def test_files_are_read_once_however_many_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from entrobench import documents
    from entrobench.studies import named_inputs

    read: list[Path] = []
    monkeypatch.setattr(named_inputs, "read_yaml", lambda path: read.append(path) or documents.read_yaml(path))
    load({**STUDY, "seeds": list(range(3))})
    few = len(read)
    load({**STUDY, "seeds": list(range(50))})
    assert len(read) == 2 * few


def test_a_third_partys_method_works_in_studies_and_a_broken_one_stops_only_its_own(plug_in: Path) -> None:
    content = {"models": ["tiny"], "datasets": ["chain2"], "seeds": [0], "benchmarks": ["chain2"]}
    study = load({**content, "methods": {"grpo": None, "short": {"use": "length_bonus", "coefficient": 0.3}}})
    assert study.runs[1].config.method == Variant("short", "length_bonus", {"coefficient": 0.3})
    with pytest.raises(InputError, match=r"broken_example.*a_module_that_nobody_has"):
        load({**content, "methods": ["grpo", "broken_example"]})


def preset(text: str, name: str = "short") -> None:
    Path("config/trainer").mkdir(exist_ok=True)
    Path(f"config/trainer/{name}.yaml").write_text(text)


def test_a_trainer_preset_is_taken_over_and_leaves_no_trace_in_the_hash() -> None:
    preset("values: {steps: 4, prompts: 8, learning_rate: 1.0e-3}\n")
    plain = load({**STUDY, "trainer": {"steps": 6, "prompts": 8, "learning_rate": 1e-3}})
    used = load({**STUDY, "trainer": {"use": "short", "steps": 6}})
    assert [run.config for run in used.runs] == [run.config for run in plain.runs]
    setting = {"name": "one", "model": "tiny", "dataset": "chain2", "methods": ["grpo"]}
    content = {"settings": [{**setting, "trainer": {"use": "short"}}], "seeds": [0], "benchmarks": ["chain2"]}
    (run,) = load({**content, "trainer": {"steps": 9, "group_size": 4}}).runs
    trainer = run.config.trainer
    assert [trainer.steps, trainer.prompts, trainer.group_size] == [4, 8, 4], "the setting's preset wins"


@pytest.mark.parametrize(
    ("text", "use", "message"),
    [
        ("values: {steps: 4}\n", "shrt", "config/studies/mine.yaml: trainer: use: unknown preset 'shrt'"),
        ("values: {step: 4}\n", "short", "config/trainer/short.yaml: values: unknown key 'step'"),
        ("value: {}\n", "short", "config/trainer/short.yaml: unknown key 'value'"),
        ("values: {steps: 0}\n", "short", "config/studies/mine.yaml: trainer: steps must be at least 1"),
    ],
)
def test_a_wrong_trainer_preset_names_file_key_and_nearest(text: str, use: str, message: str) -> None:
    preset(text)
    line = refused({**STUDY, "trainer": {"use": use}})
    assert line.startswith(message)
    nearest = {"shrt": "short", "step": "steps", "value": "values"}
    assert all(f"did you mean '{right}'?" in line for wrong, right in nearest.items() if f"'{wrong}'" in line)


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_a_run_whose_recipe_was_edited_after_locking_is_not_trained(kind: str) -> None:
    run = load(STUDY).runs[0]
    refuse_changed(run.config, "here")
    path = Path(f"config/{kind}") / ("chain2.yaml" if kind == "datasets" else "tiny.yaml")
    path.write_text(path.read_text().replace("200", "201") + ("seed: 5\n" if kind == "models" else ""))
    with pytest.raises(InputError, match=r"here: the recipe of .* has changed since this was locked"):
        refuse_changed(run.config, "here")


def their_model(folder: Path, change: Mapping[str, Any]) -> None:
    """A recipe `theirs` of a model folder whose config.json says this."""
    folder.mkdir()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = {"model_type": "llama", "vocab_size": 9, **sizes, **change}
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).write_text("")
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    Path("config/models/theirs.yaml").write_text(f"kind: folder\npath: {folder}\nchat: {{plain: true}}\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "mistral"}, "engine: native runs llama, qwen2, qwen3, not 'mistral'"),
        ({"model_type": "granite"}, "not 'granite'; use another engine for it"),
        ({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, "not 'gemma3_text'"),
        ({"use_sliding_window": True}, "has no sliding window"),
        ({"rope_parameters": {"rope_type": "dynamic"}}, "does not know rope type 'dynamic'"),
        ({"hidden_act": "gelu"}, "expects hidden_act silu, got 'gelu'"),
    ],
)
def test_a_model_that_the_engine_cannot_run_is_refused_before_any_job(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    their_model(tmp_path / "theirs", change)
    assert said in refused({**STUDY, "models": ["theirs"]})
    vllm = {"trainer": {"engine": "vllm_server"}, "evaluation": {"engine": "vllm"}}
    assert load({**STUDY, **vllm, "models": ["theirs"]}).runs


def test_what_is_longer_than_the_models_window_is_refused_before_any_job(tmp_path: Path) -> None:
    """The paper's second setting would exceed the 4,096 positions of Qwen2.5-Math."""
    their_model(tmp_path / "theirs", {"max_position_embeddings": 4096})
    study = {**STUDY, "models": ["theirs"], "trainer": {"max_prompt_tokens": 1024, "max_response_tokens": 3072}}
    assert load(study | {"evaluation": {"max_tokens": 4000}}).runs
    longer = {"trainer": {**study["trainer"], "max_response_tokens": 3073}}
    assert "1024 + max_response_tokens 3073 is above the 4096 tokens that theirs was made for" in refused(
        study | longer
    )
    line = refused(study | {"evaluation": {"max_tokens": 4096}})
    assert "evaluation: max_tokens 4096 of chain2 leaves no room for a prompt in the 4096 tokens that theirs" in line


@pytest.mark.parametrize("shape", [{"architecture": "mistral"}, {"architecture": "gemma2"}])
def test_so_is_one_of_the_hub_by_its_shape(shape: dict[str, Any]) -> None:
    recipe = {"kind": "hub", "repository": "a/b", "licence": "MIT", "shape": {**shape, "hidden_size": 8}}
    Path("config/models/theirs.yaml").write_text(yaml.safe_dump(recipe))
    assert f"not {shape['architecture']!r}" in refused({**STUDY, "models": ["theirs"]})


@pytest.mark.parametrize(("wanted", "seeds"), [("5", [5]), ("0-2", [0, 1, 2]), ("0-1,7", [0, 1, 7])])
def test_the_command_line_can_give_other_seeds(wanted: str, seeds: list[int]) -> None:
    write(STUDY, "one")
    write({"include": ["one"]}, "all")
    for name in ("one", "all"):
        assert sorted({run.seed for run in load_study(f"{name}@{wanted}").runs}) == seeds
    assert load_study(f"config/studies/one.yaml@{wanted}").name == "one"


@pytest.mark.parametrize("wanted", ["x", "1,1", "3-1", "1,", "-1"])
def test_seeds_of_the_command_line_have_to_be_numbers(wanted: str) -> None:
    write(STUDY, "one")
    with pytest.raises(InputError, match=rf"one@{wanted}: seeds must be different whole numbers, such as 0-4 or 0,3"):
        load_study(f"one@{wanted}")


def test_an_average_over_snapshots_needs_them() -> None:
    several = {**STUDY, "trainer": {"steps": 60}, "evaluation": {"average_last": 5}}
    assert "average_last 5 needs 4 snapshots before the last step, evaluate_every 0 keeps 0" in refused(several)
    run = load({**several, "evaluate_every": 10}).runs[0]
    assert (run.snapshots, run.hardware.snapshot_last) == ([], 4), "they answer with the last step"
    early = {**several, "evaluate_every": 10, "trainer": {"steps": 60, "plateau_window": 15}}
    assert load(early).runs[0].config.trainer.fewest_steps == 45
    early["trainer"]["plateau_window"] = 10
    assert "evaluate_every 10 keeps 2 in 30 steps" in refused(early)
