from __future__ import annotations

import pandas
import pytest

from entrobench.evaluation.tables.budgets import budget_table, rewards_at_equal_budgets, spending


def curves_of(**runs: tuple[int, float, list[float]]) -> pandas.DataFrame:
    """Runs by name: tokens and seconds of each step, and the steps' rewards; two updates per step."""
    rows = [
        ("m", "d", name, 0, step, reward, 2, tokens, 9.9, seconds)
        for name, (tokens, seconds, rewards) in runs.items()
        for step, reward in enumerate(rewards, start=1)
    ]
    columns = ["model", "dataset", "method", "seed", "step", "reward", "updates", "tokens"]
    columns += ["seconds_update", "seconds_device"]
    return pandas.DataFrame(rows, columns=columns)


TWO = curves_of(
    cheap=(100, 1.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), dear=(200, 4.0, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
)


def test_spending_adds_up_within_each_run() -> None:
    spent = spending(TWO.sample(frac=1, random_state=0).reset_index(drop=True))
    dear = spent[spent["method"] == "dear"].sort_values("step")
    assert list(dear["tokens"]) == [200 * step for step in range(1, 11)]
    assert list(dear["seconds"]) == pytest.approx([4.0 * step for step in range(1, 11)])
    assert list(dear["updates"]) == [2 * step for step in range(1, 11)]


def test_the_reward_is_that_of_the_last_steps_within_the_least_total() -> None:
    found = rewards_at_equal_budgets(TWO).set_index(["method", "budget"])
    assert found["available"].unstack().loc["dear"].to_dict() == {"updates": 20, "tokens": 1000, "seconds": 10.0}
    # dear: 10 steps' updates, 5 steps' tokens, 2 steps' seconds are within the budget; means of the last five of them
    assert found.loc["dear", "reward"].to_dict() == {"updates": 17.0, "tokens": 12.0, "seconds": 10.5}
    assert set(found.loc["cheap", "reward"]) == {7.0}


def test_a_run_whose_first_step_is_over_the_budget_has_no_reward() -> None:
    found = rewards_at_equal_budgets(curves_of(short=(1, 1.0, [0.5]), long=(1, 3.0, [0.7, 0.8])))
    found = found.set_index(["method", "budget"])["reward"]
    assert found["short", "seconds"] == 0.5
    assert pandas.isna(found["long", "seconds"])
    assert found["long", "updates"] == 0.7


def test_runs_without_device_seconds_are_not_compared_by_the_clock() -> None:
    """Older results hold only the clock's seconds, which other load stretches."""
    rows = [{"model": "m", "dataset": "d", "method": "dear", "marks": ""}]
    table = budget_table(rows, TWO.drop(columns="seconds_device"))
    assert [entry.text for entry in table.rows[0][2:]] == ["dear", "17.000", "12.000", "–"]


def test_the_table_has_a_row_per_trained_method_and_names_the_budgets() -> None:
    rows = [{"model": "m", "dataset": "d", "method": name, "marks": ""} for name in ("base", "dear", "cheap")]
    table = budget_table(rows, TWO)
    assert [[entry.text for entry in row[2:]] for row in table.rows] == [
        ["dear", "17.000", "12.000", "10.500"],
        ["cheap", "7.000", "7.000", "7.000"],
    ]
    assert "m · d 20 updates, 0.001 M tokens, 10.0 s." in table.note
