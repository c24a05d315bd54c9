"""Decontamination: training rows that a benchmark also asks are found and, where a study says so, left out.

Two rows match if their problems are equal after normalisation (`problem_id`), or share 13 words in a row (the usual
n-gram, arXiv 2005.14165 appendix C). Words are runs of letters or digits, so LaTeX's signs do not count; a problem
of fewer than 13 words can only match as a whole. What a run trains on is a prepared dataset of its own, results/data/
<dataset>/without-<key>/, whose manifest lists the rows; the key hashes what they were compared with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from entrobench.config import canonical_hash
from entrobench.data.datasets import ChainDataset, WordProblemDataset, check_spec, load_rows, write_splits
from entrobench.data.rows import Row
from entrobench.errors import InputError
from entrobench.results import DataFolder
from entrobench.run_config import RunDataset

from .named_inputs import Recipe

CHOICES = ("remove", "report")
WORDS = 13
RULE = f"equal, or {WORDS} words in a row; version 1"
_WORD = re.compile(r"[^\W_]+")
_DRAWING = re.compile(r"\[asy\].*?\[/asy\]", re.DOTALL)  # its first lines are the same in many problems


def compared_with(training: Recipe, benchmarks: Iterable[tuple[Recipe, str]]) -> dict[str, Any]:
    """What decides which rows of a training set are left out: the rule, and {dataset/split: recipe hash}.

    Empty where no row can match: chains are shorter than 13 words; they are disjoint by hash within a recipe, and by
    their length between recipes. The splits of a recipe of word problems are disjoint by their numbers or wordings.
    """
    hashes = {
        f"{recipe.name}/{split}": recipe.recipe_hash for recipe, split in benchmarks if _may_overlap(training, recipe)
    }
    return {"rule": RULE, "against": hashes} if hashes else {}


def _may_overlap(training: Recipe, benchmark: Recipe) -> bool:
    first, second = (check_spec(recipe.name, recipe.spec, recipe.name) for recipe in (training, benchmark))
    if isinstance(first, WordProblemDataset) and training.recipe_hash == benchmark.recipe_hash:
        return False
    if not (isinstance(first, ChainDataset) and isinstance(second, ChainDataset)):
        return True
    same_length = first.chain["operations"] == second.chain["operations"]
    return same_length and training.recipe_hash != benchmark.recipe_hash


def training_folder(root: Path, dataset: RunDataset) -> Path:
    """The prepared data of a run; `root` is the folder of all datasets."""
    compared = dataset.decontaminated
    return reduced_folder(root, dataset.name, compared) if compared else root / dataset.name


def reduced_folder(root: Path, name: str, compared: Mapping[str, Any]) -> Path:
    """The folder of a training set without the rows that match; `compared` is the result of `compared_with`."""
    return DataFolder(root / name).without(canonical_hash(compared)[:12]).folder


def decontaminate(name: str, compared: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Write the training split without matching rows, and a manifest that counts and lists them; return the manifest.

    Reads prepared data below `root`. Raises InputError where nothing would be left, or a dataset is not prepared.
    """
    rows = load_rows(root / name, "train")
    places = {place: place.partition("/")[::2] for place in compared["against"]}
    matches = overlaps(rows, {place: load_rows(root / dataset, split) for place, (dataset, split) in places.items()})
    found = {match["id"] for match in matches}
    left = [row for row in rows if row.id not in found]
    if not left:
        raise InputError(f"config/datasets/{name}.yaml: every training row matches a row of the benchmarks")
    manifest = {
        "name": name,
        "decontamination": {**compared, "rows": len(rows), "matching": len(found), "matches": matches},
    }
    return write_splits(reduced_folder(root, name, compared), {"train": left}, manifest, {"train": 0})


def overlaps(training: Sequence[Row], benchmarks: Mapping[str, Sequence[Row]]) -> list[dict[str, str]]:
    """The training rows that match a benchmark row, in order, each with its first match in every benchmark.

    Keys: id, problem, benchmark, benchmark_id, kind (`equal` or `13 words`), and words, the text that both share.
    """
    equal: dict[str, list[str]] = {}  # which benchmarks ask a problem
    shared: dict[str, list[tuple[str, str]]] = {}  # which rows hold a run of words: (benchmark, id)
    for benchmark, rows in benchmarks.items():
        for row in rows:
            equal.setdefault(row.id, []).append(benchmark)
            for run in word_runs(row.problem):
                shared.setdefault(run, []).append((benchmark, row.id))
    found = []
    for row in training:
        matches = dict.fromkeys(equal.get(row.id, ()), (row.id, "equal", row.problem))
        for run in word_runs(row.problem):
            for benchmark, asked in shared.get(run, ()):
                matches.setdefault(benchmark, (asked, f"{WORDS} words", run))
        for benchmark, (asked, kind, words) in matches.items():
            match = {"benchmark": benchmark, "benchmark_id": asked, "kind": kind, "words": words}
            found.append({"id": row.id, "problem": row.problem, **match})
    return found


def word_runs(problem: str) -> list[str]:
    """Every 13 words in a row, normalised, without the code of drawings; none where a problem has fewer."""
    words = _WORD.findall(_DRAWING.sub(" ", unicodedata.normalize("NFKC", problem).lower()))
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))
    text = " ".join(words)
    return [text[start : end - 1] for start, end in zip(starts, starts[WORDS:], strict=False)]
