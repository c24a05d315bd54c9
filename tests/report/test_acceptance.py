"""A task is judged by the untrained model's verified answers alone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pandas
import pytest

from entrobench.evaluation.report import acceptance
from entrobench.evaluation.report.acceptance import DRAWS, judge_counts, record


def test_the_estimates_are_the_shares_of_all_sets_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against counting every set of 4 of 6 draws, and every group of 3."""
    for name, value in (("DRAWS", 6), ("FAR", 4), ("GROUP_SIZE", 3)):
        monkeypatch.setattr(acceptance, name, value)
    counts = [0, 1, 3, 6]
    found = list(judge_counts(counts).values.values())
    answers = [[1] * right + [0] * (6 - right) for right in counts]
    far = [[max(drawn) for drawn in itertools.combinations(own, 4)] for own in answers]
    mixed = [[len(set(drawn)) > 1 for drawn in itertools.combinations(own, 3)] for own in answers]
    expected = [10 / 24, *(sum(sum(own) / len(own) for own in sets) / 4 for sets in (far, mixed))]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("counts", "accepted", "said"),
    [
        ([0] * 5 + [4] * 5, True, "accepted: exploration matters here (10 problems, 128 draws each, temperature 1)"),
        ([0] * 5 + [64] * 5, False, "verified pass@1: 0.250 (fails: 0 to 0.2)"),
        ([0] * 9 + [4], False, "verified pass@64: 0.094 (fails: 0.4 to 0.7)"),
        ([0] * 4 + [32] * 6, False, "mixed groups: 0.5"),
    ],
)
def test_every_criterion_has_to_hold(counts: list[int], accepted: bool, said: str) -> None:
    found = judge_counts(counts)
    assert max(counts) <= DRAWS
    assert found.accepted is accepted
    assert any(line.startswith(said) for line in found.lines)


def test_a_recorded_task_names_its_recipe_and_replaces_its_own_earlier_row(tmp_path: Path) -> None:
    for name, recipe, counts in (("a", "1" * 64, [64]), ("b", "2" * 64, [0] * 5 + [4] * 5), ("a", "3" * 64, [0])):
        model = tmp_path / name
        model.mkdir(exist_ok=True)
        (model / "model.json").write_text(json.dumps({"name": name, "recipe_hash": recipe}))
        file = record(judge_counts(counts), model, "chain2", tmp_path / "reference")
    rows = pandas.read_csv(file, dtype={"recipe": str}).set_index("model")
    assert rows["recipe"].to_dict() == {"a": "3" * 64, "b": "2" * 64}
    assert rows["accepted"].to_dict() == {"a": False, "b": True}
    assert "| b | chain2 | 0.016 | 0.470 | 0.115 | yes | 10 | 222222222222 |" in file.with_suffix(".md").read_text()
