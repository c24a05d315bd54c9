"""What is under test, and what a point found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from entrobench.api import Method, TrainerConfig
from entrobench.catalogue.registry import load_method
from entrobench.catalogue.variants import resolve
from entrobench.config import parse
from entrobench.training import hook_checks

from .rehearsal import TRAINER


@dataclass(frozen=True)
class Point:
    """The outcome of one point; `difference` is what was measured against the tolerance, None where nothing was."""

    number: int
    title: str
    outcome: str  # pass, fail, expected (a published method is known to break the rule) or skipped
    difference: float | None
    note: str


@dataclass(frozen=True)
class Subject:
    """The method under test: a registered one, or a named variant of it."""

    name: str
    method_class: type[Method]
    use: str = ""  # the registered method, where `name` is a variant of it
    values: Mapping[str, Any] = field(default_factory=dict)
    trainer: TrainerConfig = TRAINER  # the settings of the study

    @property
    def method_name(self) -> str:
        return self.use or self.name

    def make(self, **values: Any) -> Method:
        """A new instance with its own settings, or these instead."""
        config = parse(self.method_class.Config, {**self.values, **values}, f"method {self.name}")
        return hook_checks.build(self.method_class, config, self.trainer)

    @property
    def contract(self) -> tuple[Any, ...]:
        """What its values ask of the trainer: a variant with another contract is checked by itself."""
        names = ("fresh", "scope", "divisor", "loss_agg", "regularizer_agg", "reference_reset_every", "fresh_optimizer")
        return tuple(getattr(self.make(), name) for name in names)


def subject_named(name: str) -> Subject:
    """A registered method or a variant in config/methods. Raises InputError for any other name."""
    where = "entrobench check-method"
    (variant,) = resolve([name], where)
    return Subject(name, load_method(variant.use, where), variant.use, variant.values)


def verdict(passed: bool) -> str:
    """The outcome of a point that is not skipped."""
    return "pass" if passed else "fail"
