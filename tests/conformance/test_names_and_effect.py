"""A misspelt hook, a method without effect and an exception inside a hook are told in one line each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from entrobench.api import Method, StepBatch, TokenBatch, setting
from entrobench.catalogue.registry import MethodInfo, load_method, method_infos
from entrobench.conformance import hooks
from entrobench.conformance.points import check_method
from entrobench.conformance.rehearsal import STEPS, TRAINER, Trace, rehearse
from entrobench.conformance.subject import Subject
from entrobench.errors import InputError
from entrobench.objective import probability_ratio


class Misspelt(Method):
    """Its only hook has the wrong name."""

    neutral = "a fixture"

    def advantage(self, step: StepBatch) -> Tensor:
        return 2 * super().advantages(step)


class HalfMisspelt(Method):
    """One hook is right, a declaration and another hook are not."""

    nuetral = "a fixture"

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return 2 * super().token_loss(tokens)

    def regulariser(self, tokens: TokenBatch) -> Tensor:
        return tokens.logp


class Empty(Method):
    """Overrides nothing."""

    neutral = {}


class Idle(Method):
    """Its setting is read and never used."""

    neutral = {"coefficient": 0.0}

    @dataclass(frozen=True)
    class Config:
        coefficient: float = setting(0.1, low=0.0, high=10.0)
        loud: bool = setting(False)
        kind: str = setting("a", choices=("a", "b"))

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens)


class ActsWhenLoud(Idle):
    """Changes something under one value of one setting alone."""

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * (2 if self.config.loud else 1)


class WithHelper(Empty):
    """A helper whose name starts with an underscore, and a hook inherited from its base."""

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return self._twice(super().token_loss(tokens))

    @staticmethod
    def _twice(value: Tensor) -> Tensor:
        return 2 * value


class InheritsItsHook(WithHelper):
    """Overrides nothing itself."""


class ClaimsTooMuch(WithHelper):
    """Its evidence is no known word."""

    evidence = "paper seen"


class Raises(Method):
    """Divides by zero in the second update."""

    neutral = "a fixture"

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        share = 1 / int(bool((tokens.logp == tokens.logp_old).all()))
        return share * super().token_loss(tokens)


def subject(method_class: type[Method]) -> Subject:
    return Subject(method_class.__name__, method_class)


@pytest.mark.parametrize(
    ("method_class", "notes"),
    [
        (Misspelt, ["'advantage' is no hook or declaration; did you mean 'advantages'?", "it trains plain GRPO"]),
        (HalfMisspelt, ["'nuetral' is no hook or declaration; did you mean 'neutral'?", "did you mean 'regularizer'?"]),
        (Empty, ["no hook is overridden: it trains plain GRPO (hooks: renews_reference, sampling, keep, advantages,"]),
        (ClaimsTooMuch, ["evidence 'paper seen' is none of code read, text read, third-party note"]),
    ],
)
def test_a_name_that_is_not_the_protocols_fails(method_class: type[Method], notes: list[str]) -> None:
    found = hooks.names(subject(method_class))
    assert (found.number, found.outcome) == (10, "fail")
    for note in notes:
        assert note in found.note


@pytest.mark.parametrize("method_class", [WithHelper, InheritsItsHook, Idle, load_method("grpo")])
def test_helpers_inherited_hooks_and_the_baseline_pass(method_class: type[Method]) -> None:
    under_test = Subject("grpo" if method_class is load_method("grpo") else method_class.__name__, method_class)
    assert hooks.names(under_test).outcome == "pass"


def trace(method_class: type[Method]) -> Trace:
    return rehearse(subject(method_class).make())


def test_a_method_whose_settings_do_nothing_fails() -> None:
    found = hooks.effect(subject(Idle), trace(Idle))
    assert (found.number, found.outcome, found.difference) == (11, "fail", 0.0)
    assert re.fullmatch(r"all updates equal GRPO's under each of the \d+ settings tried", found.note)
    assert int(re.findall(r"\d+", found.note)[0]) >= 6, "both bounds, factors, the flag and the choices"


def test_one_acting_value_of_one_setting_suffices() -> None:
    found = hooks.effect(subject(ActsWhenLoud), trace(ActsWhenLoud))
    assert (found.outcome, found.note) == ("pass", "under loud: True")
    found = hooks.effect(subject(WithHelper), trace(WithHelper))
    assert (found.outcome, found.note) == ("pass", "under its own settings")


def test_a_rehearsal_holds_what_methods_act_on() -> None:
    """Several updates a step, advantages of both signs in each, ratios on both sides of the clip range."""
    signs: list[set[float]] = []
    ratios: list[Tensor] = []

    class Notes(Method):
        def token_loss(self, tokens: TokenBatch) -> Tensor:
            signs.append(set(tokens.advantages[tokens.mask].sign().tolist()))
            ratios.append(probability_ratio(tokens, self.trainer)[tokens.mask].detach())
            return super().token_loss(tokens)

    assert len(rehearse(subject(Notes).make()).gradients) == TRAINER.updates * len(STEPS) == 6
    assert all({-1.0, 1.0} <= found for found in signs)
    for first, second in zip(ratios[::2], ratios[1::2], strict=True):
        assert bool((first == 1).all())
        assert bool((second != 1).any())
    later = torch.cat(ratios[1::2])
    assert bool((later > 1 + TRAINER.clip_high).any())
    assert bool((later < 1 - TRAINER.clip_low).any())


def test_an_exception_in_a_hook_is_one_line_and_its_traceback_in_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info: Any = MethodInfo("Raises", "", (), Path(__file__), "fixture 1.0", f"{__name__}:Raises")
    monkeypatch.setitem(method_infos(), "Raises", info)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        check_method("Raises")
    line = Raises.token_loss.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        "entrobench check-method: method 'Raises': token_loss raised ZeroDivisionError: division by zero at "
        f"{__file__}:{line}; traceback in results/logs/check_method/Raises.log"
    )
    log = Path("results/logs/check_method/Raises.log").read_text()
    assert log.startswith("Traceback (most recent call last)")
    assert "share = 1 / int(" in log
