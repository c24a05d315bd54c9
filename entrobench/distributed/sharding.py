"""Weights cut among processes: each decoder layer is sharded (FSDP2); embedding, final norm and output layer are not.

The output layer is read without its module's forward, so it stays whole; at 1.5B parameters it is a seventh of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Parameter

from .ranks import Ranks


def shard(model: Any, ranks: Ranks) -> None:
    """Cut the decoder layers of a model among all processes; gradients are summed, not averaged."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(next(model.parameters()).device.type, (ranks.count,))
    for layer in model.base_model.layers:
        fully_shard(layer, mesh=mesh)
        layer.set_gradient_divide_factor(1.0)
        layer.set_force_sum_reduction_for_comms(True)  # the processes' losses add up to the minibatch's


def full(tensor: Tensor) -> Tensor:
    """A tensor that may be sharded, whole; all processes have to call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(value: Tensor, place: Tensor) -> Tensor:
    """Cut a whole tensor in the way `place` is cut."""
    if not isinstance(place, DTensor):
        return value
    return distribute_tensor(value.to(place.device), place.device_mesh, place.placements)


class Whole:
    """A whole copy of a sharded model for the rollout engine, whose weights are there only while it loads."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """Make the copy before the model is sharded."""
        self.copy = copy.deepcopy(model).to(dtype).requires_grad_(False)
        self._let_go()

    @contextmanager
    def of(self, model: Any) -> Iterator[Any]:
        """The copy with the model's weights; all processes have to call it."""
        with torch.no_grad():
            for mine, other in zip(self.copy.parameters(), model.parameters(), strict=True):
                mine.data = full(other).to(mine.dtype)
        yield self.copy
        self._let_go()

    def _let_go(self) -> None:
        for mine in self.copy.parameters():
            mine.data = mine.data.new_empty(0)


def whole_weights(whole: Whole | None, model: Any) -> AbstractContextManager[Any]:
    """What the rollout engine loads: the model itself, or, where it is sharded, a whole copy made for the moment."""
    return nullcontext(model) if whole is None else whole.of(model)


def parameter_groups(model: Any) -> list[dict[str, Any]]:
    """The optimizer's groups: what may be sharded, and the rest. The order is the same for any number of processes."""
    layers = list(model.base_model.layers.parameters())
    known = {id(weight) for weight in layers}
    return [{"params": layers}, {"params": [weight for weight in model.parameters() if id(weight) not in known]}]


def sum_gradients(parameters: Iterable[Parameter], ranks: Ranks) -> None:
    """Add up the gradients of weights that every process holds whole; those of sharded weights are summed already."""
    ranks.sum(p.grad for p in parameters if p.grad is not None and not isinstance(p.grad, DTensor))


def clip_gradients(parameters: Iterable[Parameter], limit: float, ranks: Ranks) -> float:
    """Scale all gradients so that their common norm is at most `limit`; returns the norm before."""
    weights = list(parameters)
    cut = [p for p in weights if isinstance(p, DTensor)]
    if not cut:
        return float(torch.nn.utils.clip_grad_norm_(weights, limit))
    whole = [p for p in weights if not isinstance(p, DTensor)]
    local = torch.stack([p.grad.to_local().square().sum() for p in cut if isinstance(p.grad, DTensor)]).sum()
    norms = [torch.nn.utils.get_total_norm([p.grad for p in whole if p.grad is not None]), ranks.sum([local])[0].sqrt()]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    for part in (cut, whole):
        torch.nn.utils.clip_grads_with_norm_(part, limit, norm)
    return float(norm)
