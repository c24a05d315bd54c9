"""Watching a method's hooks: which inputs and which global random generators they touch."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from entrobench.api import Method, TokenBatch
from entrobench.catalogue.registry import HOOKS


class Watch:
    """Wraps every hook of a method object; `offences` lists in words what a hook did that it must not do."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.offences: list[str] = []
        self.called: set[str] = set()
        self.tokens: TokenBatch  # what the last call of token_loss got
        hooks = {name: getattr(method, name) for name in HOOKS}
        stats = hooks["token_stats"]
        hooks["token_stats"] = lambda: {k: self._around(f"token_stats[{k}]", stat) for k, stat in stats().items()}
        for name, hook in hooks.items():
            setattr(method, name, self._around(name, hook))

    def _around(self, name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            # a statistic gets a copy of the logits: what it does to them must be told, not stop the backward pass
            args = tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)
            before, states = [(label, value.detach().clone()) for label, value in _tensors(args)], _random_states()
            result = hook(*args)
            self.called.add(name)
            pairs = zip(before, _tensors(args), strict=True)
            self.offences += [f"{name} changes {label}" for (label, old), (_, new) in pairs if not _equal(old, new)]
            drawn = [kind for kind, state in _random_states().items() if state != states[kind]]
            self.offences += [f"{name} draws from {kind}'s global generator" for kind in drawn]
            if args and isinstance(args[0], TokenBatch):
                self.tokens = args[0]
            return result

        watched.__name__ = name
        return watched


def _tensors(args: Iterable[Any]) -> list[tuple[str, Tensor]]:
    """All tensors in a hook's arguments, named."""
    found = []
    for arg in args:
        fields = {"its logits": arg} if isinstance(arg, Tensor) else getattr(arg, "__dict__", {})
        for name, value in fields.items():
            nested = value if isinstance(value, Mapping) else {"": value}
            found += [(f"{name} {key}".strip(), x) for key, x in nested.items() if isinstance(x, Tensor)]
    return found


def _equal(old: Tensor, new: Tensor) -> bool:
    return torch.equal(old, new.detach())


def _random_states() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": [x.tobytes() if isinstance(x, numpy.ndarray) else x for x in numpy.random.get_state()],
        "random": random.getstate(),
    }


class _StopGradients(TorchFunctionMode):
    """Notes whether the code inside cuts the graph."""

    CUTS = (
        Tensor.detach,
        Tensor.detach_,
        Tensor.item,
        Tensor.tolist,
        Tensor.__float__,
        Tensor.data.__get__,  # type: ignore[attr-defined]
        torch._C._set_grad_enabled,
    )
    seen = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen |= func in self.CUTS
        return func(*args, **(kwargs or {}))


def cuts_graph(function: Callable[[Tensor], Tensor], point: Tensor) -> bool:
    """Whether a function stops the gradient on its way: detach, no_grad or a Python number."""
    with _StopGradients() as mode:
        function(point)
    return mode.seen
