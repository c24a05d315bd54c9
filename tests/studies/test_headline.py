"""What a study declares about its verdicts: read once, refused in one line, and said by `plan` before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from entrobench.errors import InputError
from entrobench.studies.headline import Headline
from entrobench.studies.plan import as_text, plan_study
from entrobench.studies.runs import Study
from entrobench.studies.study import load_study
from entrobench.studies.workflow import Workflow

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = {
    "models": ["chain-tiny"],
    "datasets": ["chain2", "chain3"],
    "methods": ["grpo", "aent", "grpo_again"],
    "seeds": [0, 1, 2, 3, 4],
    "benchmarks": ["chain2"],
    "evaluation": {"samples": 8, "pass_k": [1, 4, 8]},
}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shutil.copytree(ROOT / "workflow" / "schemas", tmp_path / "workflow" / "schemas")
    monkeypatch.chdir(tmp_path)


def study(**keys: Any) -> Study:
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump({**CONTENT, **keys}))
    return load_study("mine")


def test_a_declared_headline_is_read() -> None:
    found = study(co_primary="pass@4", a_a_arm="grpo_again", detect=0.02).headline
    assert found == Headline("avg@8", "pass@4", "grpo_again", 0.02)
    assert study().headline == Headline("avg@8")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"co_primary": "pass@5"}, r"co_primary: unknown metric 'pass@5' \(allowed: .*\)"),
        ({"co_primary": "avg@n"}, "co_primary: avg@8 is the primary metric already"),
        ({"co_primary": "pass@8"}, "co_primary: pass@8 needs 16 samples per problem, chain2 has 8"),
        ({"primary": "pass@8"}, "primary: pass@8 needs 16 samples per problem, chain2 has 8"),
        ({"a_a_arm": "grpo_agian"}, r"a_a_arm: unknown method 'grpo_agian' .*did you mean 'grpo_again'\?"),
        ({"a_a_arm": "grpo"}, "a_a_arm: grpo is the baseline itself"),
        ({"methods": {"grpo": {}, "same": {"use": "grpo"}}, "a_a_arm": "same"}, "would train the same bits"),
        ({"detect": 0}, "detect"),
        ({"detect": "small"}, "detect"),
    ],
)
def test_what_cannot_carry_a_verdict_is_refused_in_one_line(keys: Mapping[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        study(**keys)
    assert "\n" not in str(caught.value)


def test_plan_says_beforehand_whether_there_will_be_verdicts() -> None:
    few, enough = study(seeds=[0, 1]), study(co_primary="pass@4", a_a_arm="grpo_again")
    assert "none: 2 seeds per cell forbid them, 5 are needed" in as_text(study(seeds=[0, 1]), plan_study(few))
    line = next(line for line in as_text(enough, plan_study(enough)).splitlines() if line.startswith("verdicts:"))
    assert line.endswith("from 5 seeds per cell: avg@8 and pass@4, one family over all methods; A/A arm grpo_again")


def test_methods_of_a_cell_answer_with_the_same_numbers_and_nothing_else_does() -> None:
    flow = Workflow(study(evaluate_every=20), "mine", replace=False)
    streams: dict[str, set[str]] = {}
    for subject in flow.subjects:
        streams.setdefault(flow.stream(subject), set()).add(subject)
    paired = streams["chain-tiny/chain2/3"]
    assert paired == {f"runs/chain-tiny/chain2/{method}/seed3" for method in CONTENT["methods"]}
    assert len(streams[f"chain-tiny/chain2/3/{flow.study.runs[0].snapshots[0]}"]) == len(CONTENT["methods"])
    assert streams["base/chain-tiny"] == {"base/chain-tiny"}
    assert len(streams) == 1 + 2 * 5 * len(flow.study.runs[0].snapshots) + 2 * 5
