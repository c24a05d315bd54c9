"""Decontamination: equal problems and 13 shared words are found, short problems only match whole, hashes follow."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from entrobench.data import datasets
from entrobench.data.rows import Row, problem_id
from entrobench.errors import InputError
from entrobench.evaluation.benchmarks import task_files
from entrobench.studies import decontamination
from entrobench.studies.decontamination import (
    WORDS,
    compared_with,
    decontaminate,
    overlaps,
    reduced_folder,
    training_folder,
)
from entrobench.studies.named_inputs import Recipe, load_dataset
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study

LONG = "A train leaves the station at noon and drives 60 miles an hour until it reaches the next town at 3 pm."


def rows(*problems: str) -> list[Row]:
    return [Row(problem_id(problem), problem, "1") for problem in problems]


def kinds(training: list[Row], asked: list[Row]) -> list[tuple[str, str]]:
    return [(match["id"], match["kind"]) for match in overlaps(training, {"b/test": asked})]


def test_equal_problems_match_whatever_case_width_and_white_space() -> None:
    training = rows("What is  2 + ２?", "What is 2 + 3?")
    assert kinds(training, rows("what is 2 + 2?")) == [(training[0].id, "equal")]


def test_thirteen_words_in_a_row_match_and_twelve_do_not() -> None:
    words = LONG.rstrip(".").split()
    asked = rows(LONG)
    thirteen = rows("Once more: " + " ".join(words[3:16]) + " and then?")
    assert kinds(thirteen, asked) == [(thirteen[0].id, "13 words")]
    assert kinds(rows("Once more: " + " ".join(words[3:15]) + " and then?"), asked) == []


def test_signs_and_the_code_of_drawings_do_not_count() -> None:
    plain = "Let f of x be the sum of a b c d e f g and h over two"
    latex = plain.replace("f of x", "$f$ of $x$").replace("a b c", "$a,\\, b,\\, c,$")
    assert len(kinds(rows(latex + " now"), rows(plain))) == 1
    drawing = "[asy] size(150); real x = 1; draw((0,1)--(2,3)); dot((4,5)); label(6,7); [/asy]"
    assert kinds(rows(f"What is shown? {drawing}"), rows(f"How much is it? {drawing}")) == []


def test_short_problems_only_match_whole() -> None:
    """Chains are a few numbers long, and their signs matter."""
    assert kinds(rows("3 + 4 * 2 ="), rows("3 * 4 + 2 =", "3 + 4 * 2 = 1")) == []
    assert len(kinds(rows("3 + 4 * 2 ="), rows("3 + 4 * 2 ="))) == 1


def test_every_benchmark_is_named_once_with_its_row() -> None:
    training = rows(LONG)
    (asked,) = rows(LONG + " When?")
    found = overlaps(training, {"one/test": [asked], "two/test": rows(LONG), "three/test": rows("What?")})
    places = {match["benchmark"]: (match["benchmark_id"], match["kind"]) for match in found}
    assert places == {"one/test": (asked.id, "13 words"), "two/test": (training[0].id, "equal")}
    assert [match["words"] for match in found if match["benchmark"] == "one/test"] == [
        "a train leaves the station at noon and drives 60 miles an hour"
    ]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=20), max_size=4), st.randoms(use_true_random=False))
def test_overlaps_equal_a_search_by_hand(problems: list[list[str]], generator: random.Random) -> None:
    """Against the definition: some 13 words of one stand side by side in the other."""
    texts = [" ".join(words) for words in problems]
    asked = [" ".join(generator.choices("abc", k=20)) for _ in range(3)] + texts[:1]
    expected = []
    for text in texts:
        words = text.split()
        windows = [f" {' '.join(words[i : i + WORDS])} " for i in range(len(words) - WORDS + 1)]
        hit = any(window in f" {other} " for window in windows for other in asked)
        if hit or text in asked:
            expected.append(problem_id(text))
    assert [match["id"] for match in overlaps(rows(*texts), {"b/test": rows(*asked)})] == expected


@pytest.fixture
def words_dataset(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fixture project with a jsonl dataset `words`, trained on and asked; its folder of prepared data."""
    import hashlib
    import json

    folder = project / "rows"
    folder.mkdir()
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(folder))
    problems = {"train": [LONG, "How much is 2 + 2?", "Why?"], "test": [LONG + " When?", "How many?"]}
    splits = {}
    for split, texts in problems.items():
        content = "".join(json.dumps({"problem": text, "answer": "1"}) + "\n" for text in texts).encode()
        (folder / f"{split}.jsonl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        splits[split] = {"file": f"{split}.jsonl", "sha256": digest, "rows": len(texts)}
    recipe = {"kind": "jsonl", "splits": splits}
    (project / "config/datasets/words.yaml").write_text(yaml.safe_dump(recipe))
    tasks = project / "tasks"
    shutil.copytree(task_files.TASKS, tasks)
    (tasks / "words.yaml").write_text(
        "include: _boxed.yaml\ntask: words\nmetadata: {version: 1, dataset: words, split: test}\n"
    )
    monkeypatch.setattr(task_files, "TASKS", tasks)
    return project / "results/data"


def study(**change: Any) -> Study:
    content = {"models": ["tiny"], "datasets": ["words"], "methods": ["grpo"], "seeds": [0], "benchmarks": ["words"]}
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump(content | change))
    return load_study("mine")


def test_the_manifest_counts_and_lists_what_was_removed(words_dataset: Path) -> None:
    recipe = load_dataset("words", "here")
    datasets.prepare("words", recipe.spec, words_dataset / "words")
    compared = compared_with(recipe, [(recipe, "test")])
    manifest = decontaminate("words", compared, words_dataset)
    found = manifest["decontamination"]
    assert (found["rows"], found["matching"]) == (3, 1)
    assert [(match["benchmark"], match["kind"]) for match in found["matches"]] == [("words/test", "13 words")]
    folder = reduced_folder(words_dataset, "words", compared)
    assert [row.problem for row in datasets.load_rows(folder, "train")] == ["How much is 2 + 2?", "Why?"]
    assert datasets.load_rows(words_dataset / "words", "train")[0].problem == LONG  # the dataset itself stays whole


def test_removal_is_part_of_a_runs_hash_and_report_is_not(words_dataset: Path) -> None:
    removing, reporting = study(), study(decontaminate="report")
    section = removing.runs[0].config.dataset
    assert section.decontaminated == removing.compared["words"] == reporting.compared["words"]
    assert list(section.decontaminated["against"]) == ["words/test"]
    assert reporting.runs[0].config.dataset.decontaminated == {}
    assert removing.runs[0].config.hash != reporting.runs[0].config.hash
    assert training_folder(words_dataset, section) == reduced_folder(words_dataset, "words", removing.compared["words"])
    assert training_folder(words_dataset, reporting.runs[0].config.dataset) == words_dataset / "words"
    assert study(benchmarks=["chain2", "words"]).runs[0].config.hash != removing.runs[0].config.hash


def test_a_later_benchmark_needs_no_new_training(words_dataset: Path) -> None:
    """A study that includes another and names more benchmarks evaluates the same runs, and lists what overlaps."""
    study(benchmarks=["chain2"])
    Path("config/studies/more.yaml").write_text("include: [mine]\nbenchmarks: [chain2, words]\n")
    first, more = load_study("mine"), load_study("more")
    assert more.runs[0].config == first.runs[0].config
    assert set(more.compared["words"]["against"]) == {"chain2/test", "words/test"}
    assert len(more.reduced_data) == 2  # what the runs train on, and what the report lists


def test_embedded_studies_keep_their_hashes(project: Path) -> None:
    (project / "config/datasets/chain3.yaml").write_text("kind: chain\nchain: {operations: 3, problems: 50}\n")
    chains = study(datasets=["chain2"], benchmarks=["chain2", "chain3", "chain2-validation"])
    assert chains.compared == {}
    assert set(chains.runs[0].config.content["dataset"]) == {"name", "recipe_hash", "prompt"}
    assert chains.reduced_data == {}


def test_chains_that_may_be_equal_are_compared() -> None:
    def chain(name: str, **values: Any) -> Recipe:
        spec = {"kind": "chain", "chain": values}
        return Recipe(name, spec, datasets.recipe_hash(datasets.check_spec(name, spec, name)))

    first, drawn, longer = chain("a", modulus=5), chain("b", modulus=7), chain("c", operations=3)
    assert compared_with(first, [(first, "test"), (longer, "test")]) == {}
    assert list(compared_with(first, [(drawn, "test")])["against"]) == ["b/test"]


def test_nothing_left_is_one_line(words_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_dataset("words", "here")
    datasets.prepare("words", recipe.spec, words_dataset / "words")
    matches = [{"id": row.id} for row in datasets.load_rows(words_dataset / "words", "train")]
    monkeypatch.setattr(decontamination, "overlaps", lambda *_: matches)
    with pytest.raises(InputError, match=r"config/datasets/words.yaml: every training row matches"):
        decontaminate("words", compared_with(recipe, [(recipe, "test")]), words_dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decontaminate": "remov"}, "decontaminate: unknown value 'remov' .*did you mean 'remove'"),
        ({"decontaminate": False}, "decontaminate: must be text, got False"),
    ],
)
def test_a_wrong_setting_is_one_line(project: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        study(datasets=["chain2"], benchmarks=["chain2"], **change)
