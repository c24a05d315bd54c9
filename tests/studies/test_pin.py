"""Pinning recipes of kind hub, and what is made from them: datasets and base models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import yaml
from hub_server import REVISION, Hub
from tiny import save_tiny

from entrobench.data import datasets
from entrobench.data.fetch import UNKNOWN
from entrobench.data.hub import boxed_answer, sizes_of
from entrobench.errors import InputError
from entrobench.models import base_model
from entrobench.studies import named_inputs
from entrobench.studies.pin import pin, wanted

DATASET = """\
# Why these rows.
kind: hub
repository: owner/name
revision: UNKNOWN # not seen yet
licence: mit
splits: # the train split
  train:
    files: data/train-*.parquet
    answer: solution
    boxed: true
    verified: checked
    rows: 2
"""


def quiet(line: str) -> None:
    pass


def parquet(**columns: list[Any]) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    return buffer.getvalue().to_pybytes()


@pytest.fixture
def dataset(hub: Hub) -> Path:
    """A recipe of two parquet files; one of four rows is not verified, one has no box."""
    path = Path("config/datasets/mine.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(DATASET)
    hub.files = {
        "README.md": b"not asked for",
        "data/train-0.parquet": parquet(
            problem=["one", "two", "three"],
            solution=["so \\boxed{1} or \\boxed{\\frac{1}{2}}", "\\boxed{2}", "no box"],
            checked=[[False, True], [False], [True]],
            generations=["x", "y", "z"],
        ),
        "data/train-1.parquet": parquet(problem=["four"], solution=["\\boxed{4}"], checked=[[True]], generations=["w"]),
    }
    return path


def test_pin_writes_revision_hashes_and_sizes_and_leaves_the_rest(hub: Hub, dataset: Path) -> None:
    (item,) = wanted("mine")
    pin(item, quiet)
    lines = dataset.read_text().splitlines()
    spec = yaml.safe_load(dataset.read_text())
    assert spec["revision"] == REVISION
    names = ["data/train-0.parquet", "data/train-1.parquet"]
    assert spec["files"] == {name: hub.pins()[name] for name in names}, "what no split matches is not taken"
    kept = [line for line in DATASET.splitlines() if not line.startswith("revision")]
    assert [line for line in lines if line in kept] == kept
    assert wanted("mine")[0].source.pinned
    first = dataset.read_text()
    pin(wanted("mine")[0], quiet)
    assert dataset.read_text() == first


def test_rows_are_those_that_the_recipe_selects(hub: Hub, dataset: Path) -> None:
    pin(wanted("mine")[0], quiet)
    recipe = named_inputs.load_dataset("mine", "here")
    datasets.prepare("mine", recipe.spec, Path("results/data/mine"))
    rows = datasets.load_rows(Path("results/data/mine"), "train")
    assert [(row.problem, row.answer) for row in rows] == [("one", "\\frac{1}{2}"), ("four", "4")]


def test_take_keeps_the_rows_with_the_smallest_ids(hub: Hub, dataset: Path) -> None:
    dataset.write_text(DATASET.replace("rows: 2", "take: 1").replace("    verified: checked\n", ""))
    pin(wanted("mine")[0], quiet)
    datasets.prepare("mine", named_inputs.load_dataset("mine", "here").spec, Path("results/data/mine"))
    (row,) = datasets.load_rows(Path("results/data/mine"), "train")
    assert row.id == min(datasets.problem_id(problem) for problem in ("one", "two", "four"))


def test_pins_are_part_of_the_recipes_hash_and_unpinned_data_is_refused(hub: Hub, dataset: Path) -> None:
    before = named_inputs.load_dataset("mine", "here")
    with pytest.raises(InputError, match="`entrobench pin mine`"):
        datasets.prepare("mine", before.spec, Path("results/data/mine"))
    datasets.verify("mine", before.spec)  # planning needs no network
    pin(wanted("mine")[0], quiet)
    assert named_inputs.load_dataset("mine", "here").recipe_hash != before.recipe_hash


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda hub: setattr(hub, "licence", "cc-by-nc-4.0"), "licence 'mit', but owner/name states 'cc-by-nc-4.0'"),
        (lambda hub: setattr(hub, "trouble", "gated"), "is gated: accept its terms"),
        (lambda hub: setattr(hub, "files", {"README.md": b""}), "no file of owner/name matches data/train-*.parquet"),
        (lambda hub: hub.files.update({"data/train-../../../x.parquet": b""}), "leads out of the repository"),
    ],
)
def test_what_cannot_be_pinned_leaves_the_recipe_as_it_was(hub: Hub, dataset: Path, changed: Any, said: str) -> None:
    item = wanted("mine")[0]
    changed(hub)
    with pytest.raises(InputError) as raised:
        pin(item, quiet)
    assert said in str(raised.value)
    assert dataset.read_text() == DATASET


def test_wanted_refuses_an_unknown_name(hub: Hub, dataset: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'mine'"):
        wanted("mien")


def test_an_unknown_column_is_named(hub: Hub, dataset: Path) -> None:
    dataset.write_text(DATASET.replace("answer: solution", "answer: solutions"))
    pin(wanted("mine")[0], quiet)
    with pytest.raises(InputError, match=r"train-0\.parquet has no column 'solutions'; did you mean 'solution'"):
        datasets.prepare("mine", named_inputs.load_dataset("mine", "here").spec, Path("results/data/mine"))


@pytest.fixture
def model(hub: Hub, tmp_path: Path) -> tuple[Path, int]:
    """A recipe of a tiny real model that the hub serves, and its width."""
    folder = save_tiny(tmp_path / "served", "qwen2", tie_word_embeddings=True)
    hub.files = {file.name: file.read_bytes() for file in folder.iterdir()} | {"pytorch_model.bin": b"", "run.py": b""}
    config = yaml.safe_load(hub.files["config.json"])
    shape = asdict(sizes_of(config))
    path = Path("config/models/mine.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = {"kind": "hub", "repository": "owner/name", "revision": UNKNOWN, "licence": "mit", "shape": shape}
    path.write_text(yaml.safe_dump(recipe))
    return path, shape["hidden_size"]


def test_a_base_model_is_made_of_the_pinned_files(hub: Hub, model: tuple[Path, int]) -> None:
    pin(wanted("mine")[0], quiet)
    spec = named_inputs.load_model("mine", "here").spec
    assert not {"pytorch_model.bin", "run.py"} & set(spec["files"]), "nothing that could run"
    base_model.make("mine", {**spec, "chat": {"plain": True}}, Path("results/models/mine"), {})
    from entrobench.models.language_model import load_model, load_tokenizer

    assert load_model(Path("results/models/mine")).config.hidden_size == model[1]
    assert load_tokenizer(Path("results/models/mine")).eos_token_id is not None


def test_a_shape_that_config_json_contradicts_is_refused(hub: Hub, model: tuple[Path, int]) -> None:
    path, size = model
    path.write_text(path.read_text().replace(f"hidden_size: {size}", "hidden_size: 4096"))
    pin(wanted("mine")[0], quiet)
    with pytest.raises(InputError, match=rf"shape: hidden_size is {size} in config\.json, not 4096"):
        base_model.make("mine", named_inputs.load_model("mine", "here").spec, Path("results/models/mine"), {})
    assert not Path("results/models/mine").exists()


def test_the_last_box_is_found_with_its_braces() -> None:
    assert boxed_answer("\\boxed{1} then \\boxed{\\frac{1}{\\sqrt{2}}}.") == "\\frac{1}{\\sqrt{2}}"
    assert boxed_answer("nothing") == ""
