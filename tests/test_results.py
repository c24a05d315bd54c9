"""Paths below results/ are built and read in one module, and what it builds it reads back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT, House
from hypothesis import given
from hypothesis import strategies as st

from entrobench import results, run_keys
from entrobench.results import AnswersFolder, Checkpoint, Results
from entrobench.run_keys import RunKey, Subject, step_name, step_of

MODULE = ROOT / "entrobench" / "results.py"
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]*", fullmatch=True)  # as in study.schema.yaml
STUDIES = NAMES.filter(lambda name: name not in (*results.NO_STUDY, "tuning"))
KEYS = st.builds(RunKey, NAMES, NAMES, NAMES, st.integers(0, 10**9))
STEPS = st.integers(1, 10**7)
ROOTS = st.sampled_from([Path("results"), Path("/somewhere/results"), Path("a/tuning/results")])


@given(ROOTS, STUDIES, KEYS, st.booleans())
def test_a_run_is_read_from_its_folder(root: Path, name: str, key: RunKey, trial: bool) -> None:
    study = Results(root).study(name)
    study = study.trials if trial else study
    run = study.run(str(key))
    assert (run.key, run.study, run.study.results) == (key, study, Results(root))
    assert Results(root).study(run.study.name) == study
    assert RunKey.read(str(key)) == key
    assert run.beside(key.method, key.seed) == run
    assert run.beside("other", 7).key == RunKey(key.model, key.dataset, "other", 7)


@given(ROOTS, STUDIES, KEYS, STEPS, NAMES, NAMES)
def test_a_subject_is_read_from_its_text_and_its_answers_from_their_files(
    root: Path, name: str, key: RunKey, step: int, model: str, benchmark: str
) -> None:
    study = Results(root).study(name)
    run, snapshot, base = Subject(str(key)), Subject(str(key), step_name(step)), Subject(model=model)
    for subject in (run, snapshot, base):
        assert Subject.read(str(subject)) == subject
        assert re.fullmatch(run_keys.SUBJECT, str(subject))
        answers = study.answers(str(subject))
        assert AnswersFolder.of_generations(answers.generations(benchmark)) == answers
        assert AnswersFolder.of_generations(answers.grades(benchmark)) is None
    own = study.run(str(key))
    assert study.answers(str(run)).folder == own.folder
    assert study.answers(str(snapshot)) == own.evaluation(step_name(step))
    assert study.answers(str(base)).folder == study.folder / "base" / model
    assert step_of(step_name(step)) == step


@pytest.mark.parametrize("text", ["a/b/c", "a/b/c/seedx", "a/b/c/d/seed1", "runs/a/b/c", "base/", "base/a/b", ""])
def test_other_texts_are_neither_run_nor_subject(text: str) -> None:
    for kind in (RunKey, Subject):
        with pytest.raises(ValueError, match="is n"):
            kind.read(text)


def test_what_lies_on_the_disk_is_found(tmp_path: Path) -> None:
    root = Results(tmp_path)
    study, key = root.study("one"), "m/d/grpo/seed0"
    places = [study.run(key), study.trials.run(key), study.run(key).evaluation("step000002"), study.answers("base/m")]
    for place in places:
        for file in (place.grades("chain2"), place.generations("chain2")):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        assert place.all_grades() == {"chain2": place.grades("chain2")}
        assert place.all_generations() == [place.generations("chain2")]
    for step in (5, 10):
        state = Checkpoint(study.run(key).checkpoints / step_name(step)).state
        state.parent.mkdir(parents=True)
        state.touch()
    (study.run(key).checkpoints / step_name(15)).mkdir()
    assert [found.folder.name for found in Checkpoint.complete(study.run(key).checkpoints)] == [
        "step000005",
        "step000010",
    ]
    root.data_root.mkdir()
    assert list(root.studies()) == [study]
    assert list(study.runs()) == [study.run(key)]
    assert list(study.bases()) == [("m", study.answers("base/m"))]
    assert len(results.generations_below(study.folder)) == len(places)


# -- no other place ------------------------------------------------------------------------------------------------

# the names that results.py gives to files and folders; a path that ends in one of them is built there alone
FILES = re.compile(
    r"(config|provenance|statistics|tracking|reference_check|tuning|evaluation|model|state|manifest)\.json"
    r"|(steps|scores|problems|curves|evaluations)\.parquet|live\.jsonl|report\.html|(sweep|scores|audit)\.csv"
    r"|paper_comparison\.csv|table\.(md|csv|tex)|mlflow\.db|\.mlflow-ready|.*\.jsonl\.zst"
)
FOLDERS = {
    *("results", "runs", "base", "tuning", "checkpoints", "snapshots", "final", "evaluations", "generations"),
    *("grades", "figures", "logs", "downloads", "reference", "statistics", "mlflow-artifacts"),
}
# files of the same name that lie in a folder of transformers
ELSEWHERE = {"entrobench/models": {"config.json"}, "entrobench/data": {"config.json"}}


def _built(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of what a file adds to a path: behind a slash, in Path(...), a pattern of glob, a new name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from _texts(node.right)
            yield from _texts(node.left)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("Path", "PurePath", "glob", "rglob", "joinpath", "with_name"):
                for argument in node.args:
                    yield from _texts(argument)
        elif isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") in ("parents", "parts"):
            mapping, of_code = isinstance(node.slice, ast.Name | ast.Attribute), "__file__" in ast.unparse(node)
            yield node.lineno, "" if mapping or of_code else "parents[…]"


def _texts(node: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    elif isinstance(node, ast.JoinedStr):
        yield node.lineno, "".join(str(v.value) if isinstance(v, ast.Constant) else "*" for v in node.values)


def _paths_of_results(path: Path, allowed: set[str]) -> list[str]:
    found = []
    for line, text in _built(ast.parse(path.read_text())):
        parts = [part for part in text.split("/") if part not in allowed]
        if text == "parents[…]" or any(part in FOLDERS or FILES.fullmatch(part) for part in parts):
            found.append(f"{path}:{line} {text}")
    return found


def test_no_other_file_of_the_packages_builds_or_takes_apart_a_path_below_results() -> None:
    found = []
    for file in House().files.values():
        if file.path != MODULE:
            allowed = ELSEWHERE.get(str(file.path.parent.relative_to(ROOT)), set())
            found += _paths_of_results(file.path, allowed)
    assert found == []


def test_the_rules_ask_for_their_paths() -> None:
    for path in [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]:
        texts = re.findall(r"\"[^\"\n]*\"|'[^'\n]*'", path.read_text())
        assert [text for text in texts if re.search(r"results/[^r]|/(runs|base|tuning|logs)/|FOLDER", text)] == [], path


@pytest.mark.parametrize(
    "line",
    [
        "folder / 'steps.parquet'",
        "folder / f'{study}/runs'",
        "Path('results') / name",
        "folder.glob('runs/*/*/*/seed*')",
        "run.folder.parents[4]",
        "file.parts[-3]",
        "folder / 'generations' / f'{benchmark}.jsonl.zst'",
    ],
)
def test_another_place_would_be_found(line: str, tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text(line + "\n")
    assert _paths_of_results(path, set())
