"""Exact selection of the most likely tokens of each row, on the CPU: which are kept, and how ties at the cut share."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

import numpy
import torch
import torch.nn.functional as F
from torch import Tensor

LOG2_E = 1.4426950408889634
HEAD_SHARE = 16  # a nucleus is first looked for among the V / 16 most likely tokens


@dataclass(frozen=True)
class MostLikely:
    """Keep this many tokens."""

    places: int


@dataclass(frozen=True)
class Nucleus:
    """Keep the most likely tokens up to this mass, with or without the token that crosses it."""

    mass: float
    include_crossing: bool


@dataclass(frozen=True)
class Everything:
    """Keep all tokens."""


Rule = MostLikely | Nucleus | Everything


class Cut(NamedTuple):
    """Where rows are cut: tokens above `limit` are kept, those equal to it with weight `share`."""

    limit: Tensor  # [n,1] the largest dropped z - largest; where share is not 0, the tied logit z itself
    share: Tensor  # [n,1] (kept ties)/(all ties), 0 where no tie lies on the cut


class Selected(NamedTuple):
    """The kept tokens of each row as values, in any order, and the cut that finds them again."""

    values: Tensor  # [n,K] z - max; only these need an exponential
    inside: Tensor | None  # [n,K] bool, which of `values` are kept; None: all
    cut: Cut


def clamp_rule(vocabulary: int, clamp: float) -> Rule:
    """All but the floor(clamp·V) least likely tokens."""
    if not 0 <= clamp < 1:
        raise ValueError(f"clamp must be at least 0 and below 1, got {clamp}")
    removed = removed_count(clamp, vocabulary)
    return MostLikely(vocabulary - removed) if removed else Everything()


def top_k_rule(vocabulary: int, k: int) -> Rule:
    """The k most likely tokens."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return MostLikely(k) if k < vocabulary else Everything()


def top_p_rule(vocabulary: int, p: float, include_crossing: bool = True) -> Rule:
    """The nucleus of mass p."""
    if not 0 <= p <= 1:
        raise ValueError(f"p must be between 0 and 1, got {p}")
    return Nucleus(p, include_crossing) if p < 1 else Everything()


def shift(logits: Tensor, largest: Tensor, out: Tensor) -> Tensor:
    """z - largest into `out`, with a finite number in place of -inf and all that is close to it.

    Such tokens have mass 0. Their product with a gradient must stay finite as well, because 0·(-inf) would be NaN.
    """
    floor = -(torch.finfo(out.dtype).max ** 0.5)
    torch.sub(logits, largest, out=out)
    return out if out.amin() > floor else out.clamp_(min=floor)


def exponential(exponents: Tensor, offset: Tensor | float, out: Tensor) -> Tensor:
    """e^(exponents + offset·ln 2) into `out`; torch's exp2 is twice as fast as its exp on a CPU."""
    if isinstance(offset, Tensor):
        return torch.add(offset, exponents, alpha=LOG2_E, out=out).exp2_()
    return torch.mul(exponents, LOG2_E, out=out).exp2_()


def select(logits: Tensor, largest: Tensor, shifted: Tensor, rule: MostLikely | Nucleus) -> Selected:
    """Apply the rule to each row; logits [n,V], largest [n,1], shifted = logits - largest [n,V], which is reordered."""
    if isinstance(rule, MostLikely):
        places = torch.full_like(largest, rule.places, dtype=torch.long)
        head, inside = partition(shifted, rule.places), None
    else:
        places, head, inside = _nucleus(shifted, rule)
    width = head.shape[1]
    threshold = head.gather(1, (places - 1).clamp_(min=0))
    rest = (
        shifted[:, width:].amax(1, keepdim=True) if width < shifted.shape[1] else torch.full_like(largest, -torch.inf)
    )
    dropped = rest if inside is None else torch.where(places < width, head.gather(1, places.clamp(max=width - 1)), rest)
    cut = Cut(dropped.clone(), torch.zeros_like(dropped))
    tied = ((dropped == threshold) & (places > 0))[:, 0].nonzero()[:, 0]
    if len(tied):
        cut.limit[tied], cut.share[tied] = _share(logits[tied], largest[tied], threshold[tied], places[tied])
    return Selected(head, inside, cut)


def partition(shifted: Tensor, places: int) -> Tensor:
    """Reorder rows of non-positive values so that the `places` largest come first, the smallest of them last.

    The bits of non-positive floats, read as unsigned numbers, grow as the floats fall (0.0 comes first). Partitioning
    integers spares numpy's vectorised quickselect its search for NaN, and halves its time.
    """
    _keys(shifted).partition(places - 1, axis=-1)
    return shifted[:, :places]


def _keys(shifted: Tensor) -> numpy.ndarray:
    return shifted.numpy().view(numpy.uint64 if shifted.dtype == torch.float64 else numpy.uint32)


def _nucleus(shifted: Tensor, rule: Nucleus) -> tuple[Tensor, Tensor, Tensor]:
    """Size of each nucleus [n,1], the K most likely tokens in order [n,K], and which of them are inside [n,K]."""
    vocabulary = shifted.shape[1]
    buffer = torch.empty_like(shifted)
    limit = rule.mass * exponential(shifted, 0.0, buffer).sum(1, keepdim=True, dtype=torch.float64)
    width = max(256, vocabulary // HEAD_SHARE)
    while True:
        width = min(width, vocabulary)
        head = partition(shifted, width)
        _keys(shifted)[:, :width].sort(axis=-1)
        reached = exponential(head, 0.0, buffer[:, :width]).cumsum(1, dtype=torch.float64)
        inside = F.pad(reached[:, :-1], (1, 0)) < limit if rule.include_crossing else reached <= limit
        places = inside.sum(1, keepdim=True)
        if width == vocabulary or int(places.max()) < width:
            return places, head, inside
        width *= 4


def _share(logits: Tensor, largest: Tensor, threshold: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """The limit and the share, [n,1] each, of rows whose smallest kept token ties with a dropped one.

    Subtracting the maximum may have rounded different logits to one value; only equal logits share places.
    """
    wide = logits.to(largest.dtype)
    shifted = shift(wide, largest, torch.empty_like(wide))
    alike = shifted == threshold
    places = places - (shifted > threshold).sum(1, keepdim=True)
    limit = wide.gather(1, alike.to(torch.uint8).argmax(1, keepdim=True))
    count = alike.sum(1, keepdim=True)
    for row in ((wide == limit).sum(1) != count[:, 0]).nonzero()[:, 0].tolist():
        values = wide[row][alike[row]].sort(descending=True).values
        limit[row] = values[places[row] - 1]
        places[row] -= (values > limit[row]).sum()
        count[row] = (values == limit[row]).sum()
    return limit, places.to(largest.dtype) / count


def removed_count(clamp: float, vocabulary: int) -> int:
    """floor(clamp·V) in exact decimal arithmetic: 0.29 of 100 is 29, where int(100 · 0.29) is 28."""
    return int((Decimal(str(clamp)) * vocabulary).to_integral_value(ROUND_FLOOR))
