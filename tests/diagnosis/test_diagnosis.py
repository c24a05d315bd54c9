"""Each rule fires on a run that was made to have its fault, names the step where it began, and no other run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from entrobench.diagnosis import diagnose as diagnosis
from entrobench.diagnosis.diagnose import as_text, diagnose
from entrobench.diagnosis.rules import FEWEST, RULES

STEPS = 60


def healthy(**columns: Any) -> list[dict[str, Any]]:
    """A run like quickstart's GRPO: entropy falls by 40 %, reward rises; columns are functions of the step."""
    usual = {
        "entropy_t1": lambda step: 1.2 * (1 - 0.4 * step / STEPS),
        "reward": lambda step: 0.3 + 0.3 * step / STEPS + 0.02 * math.sin(step),
        "pass_rate": lambda step: 0.3 + 0.3 * step / STEPS,
        "mixed_groups": lambda step: 0.6,
        "truncated": lambda step: 0.01,
        "length": lambda step: 18.0,
        "clip_low": lambda step: 0.01,
        "clip_high": lambda step: 0.01,
        "kl": lambda step: 0.002,
        "outcome/unparsable": lambda step: 0.02,
        "updates": lambda step: 2,
    }
    made = usual | columns
    return [{"step": step, **{name: made[name](step) for name in made}} for step in range(1, STEPS + 1)]


def falls_from(step: int) -> Any:
    return lambda at: 1.2 if at < step else 1.2 * 0.6 ** (at - step)


BROKEN: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "entropy collapse": (
        {"entropy_t1": falls_from(20), "clip_high": lambda step: 0.01 if step < 21 else 0.2},
        24,  # by hand: the mean of 1, 0.6, 0.6^2, … over five steps falls below a half there
        "share of tokens clipped above",
    ),
    "entropy explosion": ({"entropy_t1": lambda step: 1.2 if step < 30 else 1.2 + 0.25 * (step - 29)}, 34, "rose from"),
    "reward fell": ({"reward": lambda step: 0.5 if step < 40 else 0.05}, None, "0.05 at the end"),
    "no signal": ({"mixed_groups": lambda step: 0.5 if step < 30 else 0.0}, 34, "mixed groups 0.0%"),
    "cut off": ({"truncated": lambda step: 0.5}, None, "50% of the answers are cut off"),
    "unreadable answers": ({"outcome/unparsable": lambda step: 0.9}, None, "90% of the answers are unparsable"),
}


def test_every_rule_is_tested_and_says_what_to_change() -> None:
    assert {rule.name for rule in RULES} == {*BROKEN, "never clipped", "coefficient at its edge"}
    assert all(rule.advice.endswith(".") and rule.setting for rule in RULES)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_run_has_its_finding_and_no_other(rule: str) -> None:
    columns, step, words = BROKEN[rule]
    (found,) = diagnose(healthy(**columns))
    assert found.rule == rule
    assert words in found.evidence
    if step is not None:
        assert found.step == step


def test_what_came_with_the_collapse_is_told() -> None:
    rows = healthy(entropy_t1=falls_from(20), length=lambda step: 18.0 if step < 22 else 9.0)
    (found,) = diagnose(rows)
    assert "length 16.2 to 9" in found.evidence  # two of the ten steps before the onset are short already
    (alone,) = diagnose(healthy(entropy_t1=falls_from(20)))
    assert "nothing else that is logged moved with it" in alone.evidence


def test_wrong_is_told_apart_from_cut_off() -> None:
    """Many cut answers are no finding where most failures are wrong answers, and the reverse."""
    assert diagnose(healthy(truncated=lambda step: 0.22, pass_rate=lambda step: 0.4)) == []
    (found,) = diagnose(healthy(truncated=lambda step: 0.35, pass_rate=lambda step: 0.4))
    assert found.rule == "cut off"


def test_a_ratio_method_that_never_clipped() -> None:
    never = healthy(clip_low=lambda step: 0.0, clip_high=lambda step: 0.0, updates=lambda step: 1)
    (found,) = diagnose(never, inert=True)
    assert (found.rule, "at 1 updates per step" in found.evidence) == ("never clipped", True)
    assert diagnose(never) == []  # a method that acts otherwise
    assert diagnose(healthy(), inert=True) == []


def test_a_coefficient_at_the_edge_of_its_box() -> None:
    values = {"coefficient_low": 0.0006, "coefficient_high": 0.009, "adaptive": True}
    stuck = healthy(**{"method/coefficient": lambda step: min(0.009, 0.002 + 0.0003 * step)})
    (found,) = diagnose(stuck, values=values)
    assert (found.rule, "high bound 0.009" in found.evidence) == ("coefficient at its edge", True)
    assert diagnose(stuck, values=values | {"adaptive": False}) == []
    moving = healthy(**{"method/coefficient": lambda step: 0.004 + 0.001 * math.sin(step)})
    assert diagnose(moving, values=values) == []


def test_silent_on_healthy_runs_short_ones_and_bare_logs() -> None:
    assert diagnose(healthy()) == []
    assert diagnose(healthy(entropy_t1=falls_from(20))[: FEWEST - 1]) == []
    assert diagnose([{"step": step} for step in range(1, 50)]) == []
    gaps = [row | ({"entropy_t1": math.nan} if row["step"] % 7 == 0 else {"kl": None}) for row in healthy()]
    assert diagnose(gaps) == []
    assert "nothing found" in as_text([])


def test_a_study_is_diagnosed_from_its_files_also_while_it_trains(tmp_path: Path) -> None:
    import json

    from tracked import make_study, write_study

    from entrobench.results import RunFolder, StudyFolder

    study = make_study()
    folder = tmp_path / "results/small"
    folder.mkdir(parents=True)
    write_study(folder, study)
    (rising,) = diagnosis.study_findings(StudyFolder(folder))  # the one long run: its entropy grows with every step
    assert rising.rule == "entropy explosion"
    run = RunFolder(folder / "runs" / study.runs[0].key)
    run.steps.unlink()
    run.live.write_text("".join(json.dumps(row) + "\n" for row in healthy(truncated=lambda step: 0.5)))
    (found,) = diagnosis.study_findings(StudyFolder(folder))
    assert (found.run, found.rule) == (study.runs[0].key, "cut off")
    assert study.runs[0].key in as_text([found])
    run.config.unlink()  # as an imported run, or one that another version left: judged by its rows alone
    assert diagnosis.study_findings(StudyFolder(folder)) == [found]
