"""The five methods on synthetic processes: many constructions, numbers of optimal sequences and units at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from .ascent import Ascent, Controller, Look, ascend
from .bonus import kept_actions
from .constructions import Construction, build, stack
from .process import Floats, Process


@dataclass(frozen=True)
class Arm:
    """A method: without a bonus, with that of the full or of the clamped entropy, λ constant or adaptive."""

    name: str
    bonus: bool = True
    clamped: bool = False
    adaptive: bool = False


NONE = Arm("none", bonus=False)
CONSTANT = (NONE, Arm("entropy"), Arm("clamped", clamped=True))
ARMS = (*CONSTANT, Arm("entropy_adaptive", adaptive=True), Arm("clamped_adaptive", clamped=True, adaptive=True))


def rows(constructions: Sequence[Construction], optimal: Sequence[int], units: int) -> tuple[Process, list[Floats]]:
    """All rows of some constructions of one horizon: constructions x numbers of optimal sequences x units."""
    slots, seeds = max(optimal), range(units)
    return stack([build(own, number, slots, seed) for own in constructions for number in optimal for seed in seeds])


def run_arm(
    arm: Arm,
    constructions: Sequence[Construction],
    optimal: Sequence[int],
    units: int,
    look_at: Sequence[int],
    look: Look,
    controller: Controller | None = None,
) -> dict[str, Floats]:
    """What `look` sees of one method: {name: [steps, constructions, numbers, units]}.

    Constructions that differ only in what the method does not use are trained once.
    """
    distinct = list(dict.fromkeys(_used(arm, own) for own in constructions))
    place = numpy.array([distinct.index(_used(arm, own)) for own in constructions])
    parts: dict[str, list[Floats]] = {}
    groups = {(own.gradient, own.samples): 0 for own in distinct}
    order: list[int] = []
    for group in groups:
        members = [number for number, own in enumerate(distinct) if (own.gradient, own.samples) == group]
        order += members
        seen = _run([distinct[number] for number in members], arm, optimal, units, look_at, look, controller)
        for name, values in seen.items():
            shape = (len(look_at), len(members), len(optimal), units)
            parts.setdefault(name, []).append(values.reshape(shape))
    back = numpy.argsort(order)[place]
    return {name: numpy.concatenate(own, axis=1)[:, back] for name, own in parts.items()}


def _used(arm: Arm, construction: Construction) -> Construction:
    """The construction without the settings that a method does not read."""
    plain = Construction()
    construction = construction if arm.clamped else replace(construction, clamp=plain.clamp)
    return construction if arm.bonus else replace(construction, coefficient=plain.coefficient)


def _run(
    constructions: Sequence[Construction],
    arm: Arm,
    optimal: Sequence[int],
    units: int,
    look_at: Sequence[int],
    look: Look,
    controller: Controller | None,
) -> dict[str, Floats]:
    """Train constructions of one kind of gradient; {name: [steps, rows]}."""
    process, logits = rows(constructions, optimal, units)
    each = len(optimal) * units

    def per_row(values: Sequence[float]) -> Floats:
        return numpy.repeat(numpy.array(values, float), each)

    first = constructions[0]
    kept = [float(kept_actions(own.actions, own.clamp)) for own in constructions]
    ascent = Ascent(
        rates=per_row([own.rate for own in constructions]),
        coefficients=per_row([own.coefficient for own in constructions]) if arm.bonus else None,
        kept=per_row(kept) if arm.clamped else None,
        controller=controller if arm.adaptive else None,
        samples=first.samples if first.gradient == "sampled" else 0,
        streams=list(range(units)) * (len(constructions) * len(optimal)),
    )
    return ascend(process, logits, ascent, look_at, look)
