"""How measured quantities are called in MLflow: sections that sort, in the letters that MLflow takes."""

from __future__ import annotations

import re

SECTIONS = {  # first part of a column of steps.parquet -> where its charts stand
    "outcome": "train/outcome",
    "stat": "method/stat",
    "extra": "method/extra",
}
WORDS = {"@": "_at_", ">": "_gt_", "<": "_lt_", "%": "percent", "(": "", ")": "", "[": "", "]": ""}
ALLOWED = re.compile(r"[\w.\- :/]", re.ASCII)
LONGEST = 250  # letters of a name that MLflow takes


def metric_name(name: str) -> str:
    """Write a metric's name in MLflow's alphabet: `eval/chain2/avg@8` -> `eval/chain2/avg_at_8`.

    Any name gives one that MLflow takes: a letter that it refuses becomes a word or its code point, and a path that
    would resolve to another one loses its empty parts.

    >>> metric_name("H>1 [%]"), metric_name("/a//../b"), metric_name("é")
    ('H_gt_1 percent', 'a/b', '_ue9_')
    """
    mapped = "".join(WORDS[letter] if letter in WORDS else _taken(letter) for letter in name)
    parts = [part for part in mapped.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:LONGEST].rstrip("/") or "unnamed"


def _taken(letter: str) -> str:
    return letter if ALLOWED.match(letter) else f"_u{ord(letter):x}_"


def step_metric_name(column: str) -> str:
    """The name of a column of steps.parquet.

    >>> [step_metric_name(name) for name in ("entropy", "outcome/wrong", "method/coefficient", "seconds_update")]
    ['train/entropy', 'train/outcome/wrong', 'method/coefficient', 'cost/seconds_update']
    """
    first, slash, rest = column.partition("/")
    if column.startswith("seconds_"):
        return metric_name(f"cost/{column}")
    if not slash:
        return metric_name(f"train/{column}")
    return metric_name(f"{SECTIONS.get(first, first)}/{rest}")
