from __future__ import annotations

import math

import pandas
import pytest

from entrobench.evaluation.tables.entropy_table import entropies, entropy_table, events_sentence
from entrobench.evaluation.tables.wide_table import run_costs


def curves_of(runs: dict[tuple[str, int], list[float]]) -> pandas.DataFrame:
    """Runs by (method, seed): the entropies of their steps."""
    rows = [
        ("m", "d", method, seed, step, entropy, 2, 100, 1.0)
        for (method, seed), values in runs.items()
        for step, entropy in enumerate(values, start=1)
    ]
    columns = ["model", "dataset", "method", "seed", "step", "entropy_t1", "updates", "tokens", "seconds_a"]
    return pandas.DataFrame(rows, columns=columns)


# twelve steps: the first, one that counts nowhere, and the ten last
CURVES = curves_of(
    {
        ("grpo", 0): [1.0, 9.0, *[0.4] * 10],
        ("grpo", 1): [1.2, 9.0, *[0.2] * 5, *[0.4] * 5],
        ("aent", 1): [1.2, 9.0, *[0.5] * 10],
        ("aent", 0): [1.0, 9.0, *[0.7] * 10],
        ("aent", 2): [1.1, 9.0, *[0.6] * 10],
    }
)
ROWS = [{"model": "m", "dataset": "d", "method": name, "marks": ""} for name in ("base", "grpo", "aent")]


def test_first_last_change_and_difference_of_each_run() -> None:
    found = entropies(run_costs(CURVES.sample(frac=1, random_state=0))).set_index(["method", "seed"])
    assert found["first"].to_dict() == {
        ("grpo", 0): 1.0,
        ("grpo", 1): 1.2,
        ("aent", 1): 1.2,
        ("aent", 0): 1.0,
        ("aent", 2): 1.1,
    }
    assert found.loc[("grpo", 1), "final"] == pytest.approx(0.3)
    assert found.loc[("aent", 0), "change"] == pytest.approx(-0.3)
    assert found.loc[("aent", 0), "difference"] == pytest.approx(0.3)
    assert found.loc[("aent", 1), "difference"] == pytest.approx(0.2)
    assert math.isnan(found.loc[("aent", 2), "difference"]), "the baseline has no run with this seed"


def test_the_table_gives_intervals_over_seeds_and_a_row_per_trained_method() -> None:
    table = entropy_table(ROWS, run_costs(CURVES))
    assert [row[2].text for row in table.rows] == ["grpo", "aent"]
    first, final, change, difference = table.rows[1][3:]
    assert first.text == "1.100"
    assert final.text == "0.600 ± 0.248", "4.303 · 0.1 / √3"
    assert change.text == "−0.500 [−0.997, −0.003]", "of −0.7, −0.3 and −0.5: 4.303 · 0.2 / √3"
    assert difference.text == "+0.250 [−0.385, +0.885]", "of +0.3 and +0.2: 12.706 · 0.05"
    assert difference.detail == "seeds +0.300, +0.200"
    assert table.rows[0][-1].text == "–"
    assert "fewer" not in table.note


def test_the_note_says_where_runs_have_fewer_steps_than_it_averages() -> None:
    table = entropy_table(ROWS[:2], run_costs(curves_of({("grpo", 0): [1.0, 0.4], ("grpo", 1): [1.2, 0.2]})))
    assert table.rows[0][4].text.startswith("0.700 ±"), "(1.0 + 0.4 + 1.2 + 0.2) / 4"
    assert "last 10 steps (of all of a run that has fewer)" in table.note


def test_a_drop_and_a_surge_are_named_with_run_and_step() -> None:
    said = events_sentence(curves_of({("grpo", 0): [1.0, 0.04, 0.03], ("aent", 1): [1.0, 3.5, 4.0, 0.01]}))
    assert said == (
        "Events: drop (below 5 % of step 1) in 2 runs: m/d/grpo/0 at step 2, m/d/aent/1 at step 4; "
        "surge (above 3 times step 1) in 1 run: m/d/aent/1 at step 2."
    )
    assert events_sentence(curves_of({("grpo", 0): [1.0, 0.5]})).count("in no run") == 2
    many = events_sentence(curves_of({("grpo", seed): [1.0, 0.0] for seed in range(9)}))
    assert "in 9 runs: " in many
    assert " and 3 more" in many
