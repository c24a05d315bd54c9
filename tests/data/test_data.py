"""Recipes become splits that are checked, disjoint and pinned."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hub_server import REVISION, Hub
from hypothesis import given
from hypothesis import strategies as st

from entrobench.data import datasets
from entrobench.errors import InputError

ROOT = Path(__file__).parents[2]
CHAIN: dict[str, Any] = {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}


def jsonl_spec(folder: Path, **splits: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the rows of each split and return the recipe that pins them."""
    files = {}
    for split, rows in splits.items():
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / f"{split}.jsonl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files[split] = {"file": f"{split}.jsonl", "sha256": digest, "rows": len(rows)}
    return {"kind": "jsonl", "splits": files}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(folder))
    return folder


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"problem": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(start, start + count)]


def test_problem_id_ignores_case_width_and_white_space() -> None:
    assert datasets.problem_id("What is\n ２ + 2 ?") == datasets.problem_id("what is 2 + 2 ?")
    assert datasets.problem_id("what is 2 + 2 ?") == hashlib.sha256(b"what is 2 + 2 ?").hexdigest()[:16]
    assert datasets.problem_id("what is 2 + 3 ?") != datasets.problem_id("what is 2 + 2 ?")


@given(st.text(min_size=1), st.floats(0, 0.5), st.floats(0, 0.5))
def test_hash_split_is_a_function_of_the_problem_and_monotone_in_the_share(text: str, low: float, more: float) -> None:
    identifier = datasets.problem_id(text)
    if datasets.held_out(identifier, 0.0, low) == "test":
        assert datasets.held_out(identifier, 0.0, low + more) == "test"
    assert datasets.held_out(identifier, 0.0, 0.0) == "train"
    assert datasets.held_out(identifier, 0.0, 1.0) == "test"


def test_chain_splits_are_disjoint_complete_and_near_their_shares(tmp_path: Path) -> None:
    manifest = datasets.prepare("chain", CHAIN | {"test_share": 0.2, "validation_share": 0.1}, tmp_path)
    splits = {split: datasets.load_rows(tmp_path, split) for split in datasets.SPLITS}
    ids = [row.id for rows in splits.values() for row in rows]
    assert len(ids) == len(set(ids)) == 5**3 * 3 * 2
    assert abs(len(splits["test"]) / len(ids) - 0.2) < 0.05
    assert abs(len(splits["validation"]) / len(ids) - 0.1) < 0.05
    assert {split: manifest["splits"][split]["rows"] for split in datasets.SPLITS} == {
        split: len(rows) for split, rows in splits.items()
    }
    assert all(datasets.problem_id(row.problem) == row.id for row in splits["train"])


def test_prepare_is_deterministic_and_the_manifest_pins_the_files(tmp_path: Path) -> None:
    first = datasets.prepare("chain", CHAIN, tmp_path / "a")
    assert (
        first
        == datasets.prepare("chain", CHAIN, tmp_path / "b")
        == json.loads((tmp_path / "a/manifest.json").read_text())
    )
    for split, entry in first["splits"].items():
        assert entry["sha256"] == hashlib.sha256((tmp_path / "a" / f"{split}.parquet").read_bytes()).hexdigest()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "manifest.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]


def test_recipe_hash_follows_the_rows_and_not_the_prompt() -> None:
    def hashed(**changes: Any) -> str:
        return datasets.recipe_hash(datasets.check_spec("chain", CHAIN | changes, "chain.yaml"))

    assert hashed() == hashed(prompt="Solve: {problem}") == hashed(source="elsewhere")
    assert hashed() != hashed(test_share=0.2)
    assert hashed() != hashed(chain={"operations": 3, "modulus": 5})


def test_jsonl_is_read_as_it_stands(tmp_path: Path, source: Path) -> None:
    odd = [{"problem": "one\u2028line?", "answer": "\\left( 3, \\frac{\\pi}{2} \\right)", "extra": 1}]
    datasets.prepare("mine", jsonl_spec(source, test=odd), tmp_path / "out")
    assert datasets.load_rows(tmp_path / "out", "test") == [
        datasets.Row(datasets.problem_id(odd[0]["problem"]), "one\u2028line?", "\\left( 3, \\frac{\\pi}{2} \\right)")
    ]


def test_columns_can_be_named(tmp_path: Path, source: Path) -> None:
    spec = jsonl_spec(source, test=[{"question": "Why?", "final": "42"}])
    spec["splits"]["test"] |= {"problem": "question", "answer": "final"}
    datasets.prepare("mine", spec, tmp_path / "out")
    assert datasets.load_rows(tmp_path / "out", "test") == [datasets.Row(datasets.problem_id("Why?"), "Why?", "42")]


def test_validation_is_carved_from_train_by_hash(tmp_path: Path, source: Path) -> None:
    spec = jsonl_spec(source, train=rows(200), test=rows(20, start=200)) | {"validation_share": 0.25}
    manifest = datasets.prepare("mine", spec, tmp_path / "out")
    sizes = {split: entry["rows"] for split, entry in manifest["splits"].items()}
    assert sizes["train"] + sizes["validation"] == 200
    assert 30 < sizes["validation"] < 70
    assert sizes["test"] == 20
    assert datasets.split_names(datasets.check_spec("mine", spec, "mine.yaml")) == ["train", "validation", "test"]


def test_duplicates_are_dropped_and_counted_and_never_trained_on_when_held_out(tmp_path: Path, source: Path) -> None:
    train = [*rows(3), {"problem": " what IS 1 + 1?", "answer": "2"}, rows(1, start=9)[0]]
    manifest = datasets.prepare("mine", jsonl_spec(source, train=train, test=rows(1, start=9)), tmp_path / "out")
    assert manifest["splits"]["train"] | {"sha256": ""} == {"rows": 3, "duplicates": 2, "sha256": ""}
    assert manifest["splits"]["test"]["duplicates"] == 0


def test_a_split_of_an_earlier_recipe_is_removed(tmp_path: Path) -> None:
    datasets.prepare("chain", CHAIN, tmp_path)
    datasets.prepare("chain", CHAIN | {"validation_share": 0.0}, tmp_path)
    assert not (tmp_path / "validation.parquet").exists()
    with pytest.raises(InputError, match=r"validation.parquet: no such split \(prepared: test, train\)"):
        datasets.load_rows(tmp_path, "validation")


def test_a_changed_parquet_is_refused(tmp_path: Path) -> None:
    datasets.prepare("chain", CHAIN, tmp_path)
    (tmp_path / "test.parquet").write_bytes((tmp_path / "train.parquet").read_bytes())
    with pytest.raises(InputError, match="SHA-256 differs"):
        datasets.load_rows(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "chian"}, "d.yaml: unknown kind 'chian' .*did you mean 'chain'"),
        ({"kind": None}, "d.yaml: unknown kind 'None'"),
        ({"test_shar": 0.1}, "d.yaml: unknown key 'test_shar' .*did you mean 'test_share'"),
        ({"test_share": 1.5}, "d.yaml: test_share must be between 0.0 and 1.0, got 1.5"),
        ({"test_share": 0.5, "validation_share": 0.5}, r"d.yaml: test_share \+ validation_share"),
        ({"prompt": "Solve it."}, "d.yaml: prompt must contain {problem} exactly once"),
        ({"chain": {"operation": 2}}, "d.yaml: chain: unknown key 'operation' .*did you mean 'operations'"),
    ],
)
def test_a_wrong_chain_recipe_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        datasets.check_spec("d", CHAIN | change, "d.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"splits": {}}, "splits must name at least one of train, validation, test"),
        ({"splits": {"tests": {}}}, "unknown split 'tests' .*did you mean 'test'"),
        ({"splits": {"test": {"file": "a", "rows": 1}}}, "d.yaml: splits.test: sha256 is required"),
        ({"splits": {"test": {"file": "a", "sha256": "b", "rows": 0}}}, "rows must be at least 1, got 0"),
        ({"validation_share": 0.1}, "validation_share is carved from train"),
        ({"repository": "some/rows"}, "repository and revision go together"),
        ({"repository": "some/rows", "revision": "main"}, "revision must be a full commit hash, 40 hex digits"),
    ],
)
def test_a_wrong_jsonl_recipe_is_one_line(change: dict[str, Any], message: str) -> None:
    spec = {"kind": "jsonl", "splits": {"test": {"file": "a", "sha256": "b", "rows": 1}}}
    with pytest.raises(InputError, match=message):
        datasets.check_spec("d", spec | change, "d.yaml")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"problem": "p", "gold": "1"}, "test.jsonl: row 2: no column 'answer' .there: problem, gold."),
        ({"problem": "p", "answer": " "}, "test.jsonl: row 2: answer is empty"),
        ({"problem": "p", "answer": None}, "test.jsonl: row 2: answer must be text, got None"),
        ({"problem": "p", "answer": 3.5}, "test.jsonl: row 2: answer must be text, got 3.5"),
        ({"problem": "", "answer": "1"}, "test.jsonl: row 2: problem is empty"),
        (["p", "1"], "test.jsonl: row 2: must be a JSON object, got list"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(tmp_path: Path, source: Path, bad: Any, message: str) -> None:
    spec = jsonl_spec(source, train=rows(3), test=[rows(1)[0], bad])
    with pytest.raises(InputError, match=message) as caught:
        datasets.prepare("mine", spec, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=message):
        datasets.verify("mine", spec)


PROBLEM = {"q": "Why?", "level": "5"}


def column_spec(source: Path, *rows: dict[str, Any], **columns: Any) -> dict[str, Any]:
    spec = jsonl_spec(source, test=list(rows))
    spec["splits"]["test"] |= {"problem": "q", **columns}
    return spec


def test_answers_may_be_lists_with_units_and_tolerances(tmp_path: Path, source: Path) -> None:
    columns = {"answer": "a", "unit": "u", "tolerance": "t"}
    problems = [
        {"q": "One?", "a": ["$2$"], "u": None, "t": None},
        {"q": "Two?", "a": ["1", "-1"], "u": None, "t": None},
        {"q": "Unit?", "a": ["4.2"], "u": "km", "t": "1e-1"},
        {"q": "Units?", "a": ["1,2"], "u": "km", "t": 2},
    ]
    datasets.prepare("mine", column_spec(source, *problems, **columns), tmp_path / "out")
    found = datasets.load_rows(tmp_path / "out", "test")
    assert [row.answer for row in found] == ["$2$", "1, -1", "4.2 km", "1,2"]
    assert [row.tolerance for row in found] == [None, None, 0.1, 2.0]


def test_only_the_wanted_rows_are_read(tmp_path: Path, source: Path) -> None:
    problems = [{**row, "level": row["answer"]} for row in rows(5)]
    spec = jsonl_spec(source, test=problems)
    spec["splits"]["test"] |= {"only": {"level": "3"}, "selected": 1}
    datasets.prepare("mine", spec, tmp_path / "out")
    assert [row.answer for row in datasets.load_rows(tmp_path / "out", "test")] == ["3"]
    spec["splits"]["test"]["selected"] = 2
    with pytest.raises(InputError, match=r"test.jsonl: expected 2 rows with .'level': '3'. .*, found 1"):
        datasets.verify("mine", spec)


@pytest.mark.parametrize(
    ("bad", "columns", "message"),
    [
        ({"a": []}, {"answer": "a"}, "test.jsonl: row 2: a is empty"),
        ({"a": ["1", " "]}, {"answer": "a"}, "test.jsonl: row 2: a is empty"),
        ({"a": ["1", None]}, {"answer": "a"}, "test.jsonl: row 2: a must be text, got None"),
        ({"a": "1", "t": "about 1"}, {"answer": "a", "tolerance": "t"}, "row 2: tolerance must be a number above 0"),
        ({"a": "1", "t": -1}, {"answer": "a", "tolerance": "t"}, "row 2: tolerance must be a number above 0, got -1"),
        ({"a": "1"}, {"answer": "a", "unit": "u"}, "row 2: no column 'u' .there: q, level, a."),
        ({"a": "1"}, {"answer": "a", "only": {"lvel": "5"}, "selected": 1}, "row 1: no column 'lvel' .*mean 'level'"),
        ({"a": "1"}, {"answer": "a", "only": {"level": "5"}}, "only and selected .* go together"),
    ],
)
def test_faulty_columns_name_their_row(
    source: Path, bad: dict[str, Any], columns: dict[str, Any], message: str
) -> None:
    good = {**PROBLEM, "q": "How?", "a": "1", "u": None, "t": None}
    with pytest.raises(InputError, match=message):
        datasets.verify("mine", column_spec(source, good, {**PROBLEM, **bad}, **columns))


def test_what_a_recipe_leaves_out_does_not_change_its_hash(source: Path) -> None:
    spec = jsonl_spec(source, test=rows(1))
    before = datasets.recipe_hash(datasets.check_spec("mine", spec, "here"))
    spec["splits"]["test"] |= {"unit": None, "only": {}}
    assert datasets.recipe_hash(datasets.check_spec("mine", spec, "here")) == before
    spec["splits"]["test"]["unit"] = "u"
    assert datasets.recipe_hash(datasets.check_spec("mine", spec, "here")) != before


def test_a_wrong_file_is_one_line(tmp_path: Path, source: Path) -> None:
    spec = jsonl_spec(source, test=rows(3))
    path = source / "test.jsonl"
    good = path.read_text()
    path.write_text(good.replace("What", "Who"))
    with pytest.raises(InputError, match=r"test.jsonl: wrong SHA-256: expected .* found "):
        datasets.verify("mine", spec)
    path.write_text("{\n")
    spec["splits"]["test"] |= {"sha256": hashlib.sha256(b"{\n").hexdigest(), "rows": 2}
    with pytest.raises(InputError, match=r"test.jsonl: expected 2 rows .* found 1"):
        datasets.verify("mine", spec)
    spec["splits"]["test"]["rows"] = 1
    with pytest.raises(InputError, match=r"test.jsonl: row 1: not JSON"):
        datasets.verify("mine", spec)
    path.rename(source / "tests.jsonl")
    with pytest.raises(InputError, match=r"no file 'test.jsonl' in .*did you mean 'tests.jsonl'"):
        datasets.verify("mine", spec)


def test_the_data_folder_must_be_named_and_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"kind": "jsonl", "splits": {"test": {"file": "a", "sha256": "b", "rows": 1}}}
    monkeypatch.delenv(datasets.DATA_VARIABLE, raising=False)
    with pytest.raises(InputError, match=r"config/datasets/mine.yaml: needs the environment variable ENTROBENCH_DATA"):
        datasets.verify("mine", spec)
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="ENTROBENCH_DATA names no folder"):
        datasets.verify("mine", spec)


def test_an_interrupted_write_leaves_the_old_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.prepare("chain", CHAIN, tmp_path)
    before = datasets.load_rows(tmp_path, "train")

    def full_disk(self: Path, content: bytes) -> int:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_disk)
        with pytest.raises(OSError, match="no space"):
            datasets.prepare("chain", CHAIN | {"test_share": 0.3}, tmp_path)
    assert datasets.load_rows(tmp_path, "train") == before


def test_render_keeps_other_braces() -> None:
    assert datasets.render(r"{problem} \boxed{}.", r"\frac{1}{2}") == r"\frac{1}{2} \boxed{}."


def test_files_of_a_repository_are_fetched_at_their_revision_and_checked(hub: Hub, tmp_path: Path) -> None:
    hub.files = {"test.jsonl": "".join(json.dumps(row) + "\n" for row in rows(3)).encode()}
    plain = {
        "kind": "jsonl",
        "splits": {"test": {"file": "test.jsonl", "sha256": hub.sha256("test.jsonl"), "rows": 3}},
    }
    spec = plain | {"repository": "owner/name", "revision": REVISION}
    # where the rows come from is no matter
    assert datasets.recipe_hash(datasets.check_spec("mine", spec, "here")) == datasets.recipe_hash(
        datasets.check_spec("mine", plain, "here")
    )
    datasets.verify("mine", spec)
    assert hub.served == [], "planning downloads nothing"
    assert datasets.prepare("mine", spec, tmp_path / "fetched")["splits"]["test"]["rows"] == 3
    assert hub.served == [("test.jsonl", 0)]
    Path("results/downloads/datasets/mine/test.jsonl").write_text("another content\n")
    with pytest.raises(InputError, match="wrong SHA-256"):
        datasets.prepare("mine", spec, tmp_path / "fetched")


def test_the_folder_of_data_files_comes_before_a_repository(
    hub: Hub, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(source))
    spec = jsonl_spec(source, test=rows(3)) | {"repository": "owner/name", "revision": REVISION}
    datasets.prepare("mine", spec, tmp_path / "local")
    assert hub.served == []


def test_parquet_files_are_read(tmp_path: Path, source: Path) -> None:
    import pandas

    pandas.DataFrame(rows(3)).to_parquet(source / "test.parquet")
    digest = hashlib.sha256((source / "test.parquet").read_bytes()).hexdigest()
    spec = {"kind": "jsonl", "splits": {"test": {"file": "test.parquet", "sha256": digest, "rows": 3}}}
    datasets.prepare("mine", spec, tmp_path / "out")
    assert [row.answer for row in datasets.load_rows(tmp_path / "out", "test")] == ["1", "2", "3"]
