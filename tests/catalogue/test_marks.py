from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import run_config

from entrobench.catalogue import marks, registry
from entrobench.catalogue.marks import method_marks
from entrobench.catalogue.registry import method_infos
from entrobench.run_config import RunConfig, Variant

SOURCE = '''
class Base(Method):
    """A base."""
    paper = "a paper"
    loss_agg = "seq-mean-token-sum"
    inert_on_policy: bool = True

class Mine(Base):
    """A method."""
    divisor = some_name
'''


def config(updates: int = 2, use: str = "mine", **values: Any) -> RunConfig:
    made = run_config(updates=updates)
    return replace(made, method=Variant("variant", use, values))


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> registry.MethodInfo:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    info = registry._describe("mine", file, "mine", None, "test")
    monkeypatch.setattr(marks, "method_infos", lambda: {"mine": info})
    return info


def test_constants_are_read_from_the_class_and_its_base_without_importing(mine: registry.MethodInfo) -> None:
    assert mine.paper == "a paper"
    assert mine.constants == {"paper": "a paper", "loss_agg": "seq-mean-token-sum", "inert_on_policy": True}


@pytest.mark.usefixtures("mine")
def test_marks() -> None:
    assert method_marks(config()) == ["loss: seq-mean-token-sum"]
    assert method_marks(config(scope="microbatch")) == ["not invariant", "loss: seq-mean-token-sum"]
    assert method_marks(config(scope="minibatch", loss_agg="token-mean")) == ["loss: token-mean"]
    assert method_marks(config(scope="minibatch", loss_agg=None)) == []
    assert method_marks(config(updates=1))[-1] == "inert at 1 update per rollout"
    assert method_marks(config(use="not installed here", scope="microbatch")) == ["not invariant"]


def test_the_built_in_methods_have_no_marks_but_clip_higher_on_policy() -> None:
    assert method_infos()["clip_higher"].constants["inert_on_policy"] is True
    for name in ("grpo", "entropy_bonus", "aent", "clip_higher"):
        assert method_marks(config(use=name)) == []
    assert method_marks(config(1, "clip_higher")) == ["inert at 1 update per rollout"]
    assert method_marks(config(1, "grpo")) == []
