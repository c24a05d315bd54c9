"""The entropies that the benchmark compares: ours, the published way, other thresholds, autograd; and float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CLAMP = 0.3  # as in the reference figures
Entropy = Callable[[Tensor], Tensor]  # logits [n,V] -> [n]


def ours_clamped(logits: Tensor) -> Tensor:
    from entrobench.entropy.logits import clamped_entropy

    return clamped_entropy(logits, CLAMP)


def ours_full(logits: Tensor) -> Tensor:
    from entrobench.entropy.logits import entropy

    return entropy(logits)


def published(logits: Tensor) -> Tensor:
    """The indices of the smallest logits on the host, a mask scattered from them, a softmax over the rest."""
    removed = int(logits.shape[-1] * CLAMP)
    host = logits.detach().cpu()
    smallest = torch.topk(host, removed, dim=-1, largest=False).indices
    mask = torch.zeros(host.shape, dtype=torch.bool).scatter_(-1, smallest, True)
    return _masked(logits, mask.to(logits.device))


def by_topk(logits: Tensor) -> Tensor:
    """The published way without leaving the device."""
    smallest = torch.topk(logits.detach(), int(logits.shape[-1] * CLAMP), dim=-1, largest=False).indices
    return _masked(logits, torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, smallest, True))


def by_kthvalue(logits: Tensor) -> Tensor:
    threshold = logits.detach().kthvalue(int(logits.shape[-1] * CLAMP), dim=-1, keepdim=True).values
    return _masked(logits, logits.detach() <= threshold)


def by_sort(logits: Tensor) -> Tensor:
    threshold = logits.detach().sort(dim=-1).values[:, int(logits.shape[-1] * CLAMP) - 1, None]
    return _masked(logits, logits.detach() <= threshold)


def autograd_full(logits: Tensor) -> Tensor:
    log_softmax = logits.log_softmax(-1, dtype=torch.float32)
    return -(log_softmax.exp() * log_softmax).sum(-1)


def _masked(logits: Tensor, mask: Tensor) -> Tensor:
    """logsumexp of the kept minus their mean logit; the sum runs over unmasked logits, for 0 · (-inf) would be NaN."""
    kept = logits.float().masked_fill(mask, -torch.inf)
    return torch.logsumexp(kept, -1) - (kept.softmax(-1) * logits).sum(-1)


CONTENDERS: dict[str, Entropy] = {
    "ours, clamped": ours_clamped,
    "published way": published,
    "kthvalue": by_kthvalue,
    "sort": by_sort,
    "ours, full": ours_full,
    "autograd, full": autograd_full,
}
FULL = {"ours, full", "autograd, full"}


def exact(logits: Tensor, full: bool) -> tuple[Tensor, Tensor]:
    """Entropy [n] and its gradient [n,V] in float64, from the definition."""
    wide = logits.detach().double()
    if not full:
        removed = int(wide.shape[-1] * CLAMP)
        wide = wide.scatter(-1, wide.topk(removed, dim=-1, largest=False).indices, -torch.inf)
    log_softmax = wide.log_softmax(-1)
    mass = log_softmax.exp()
    value = -torch.where(mass > 0, mass * log_softmax, 0).sum(-1)
    return value, torch.where(mass > 0, -mass * (log_softmax + value[:, None]), 0)


def errors(function: Entropy, logits: Tensor, full: bool) -> tuple[float, float]:
    """Largest absolute error of the entropy, and of the gradient relative to its row's largest entry."""
    leaf = logits.detach().clone().requires_grad_()
    value = function(leaf)
    value.sum().backward()
    assert leaf.grad is not None
    expected, slope = exact(logits, full)
    difference = (leaf.grad.double() - slope).abs().amax(-1) / slope.abs().amax(-1)
    return float((value.detach().double() - expected).abs().max()), float(difference.max())
