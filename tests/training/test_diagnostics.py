"""What clamping changes: mass, entropy and gradients against definitions in float64."""

from __future__ import annotations

import pytest
import torch

from entrobench.config import Hardware, parse
from entrobench.distributed.ranks import Ranks
from entrobench.entropy.logits import clamped_entropy, entropy
from entrobench.errors import InputError
from entrobench.training.clamp_diagnostics import ClampDiagnostic


def test_the_columns_are_what_autograd_says() -> None:
    logits = 2 * torch.randn(5, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    diagnostic = ClampDiagnostic([0.3])
    returned = torch.cat([diagnostic(logits[:2]), diagnostic(logits[2:])])
    row = diagnostic.take(Ranks(), torch.device("cpu"))
    leaf = logits.clone().requires_grad_()
    (full,) = torch.autograd.grad(entropy(leaf).sum(), leaf)
    (clamped,) = torch.autograd.grad(clamped_entropy(leaf, 0.3).sum(), leaf)
    removed = logits.softmax(1).sort(1).values[:, :6].sum(1)
    assert torch.allclose(returned, entropy(logits))
    assert row == {
        "clamp/0.3/mass": pytest.approx(float(removed.mean())),
        "clamp/0.3/entropy": pytest.approx(float(clamped_entropy(logits, 0.3).mean())),
        "clamp/0.3/cosine": pytest.approx(float((full * clamped).sum() / (full.norm() * clamped.norm()))),
        "clamp/0.3/norm_ratio": pytest.approx(float(clamped.norm() / full.norm())),
    }
    diagnostic(logits)
    assert diagnostic.take(Ranks(), torch.device("cpu")) == pytest.approx(row), "each step starts anew"


def test_tokens_without_entropy_give_numbers() -> None:
    diagnostic = ClampDiagnostic([0.5])
    diagnostic(torch.tensor([[0.0, -torch.inf, -torch.inf]]))
    assert diagnostic.take(Ranks(), torch.device("cpu"))["clamp/0.5/mass"] == 0.0


@pytest.mark.parametrize("clamps", [[1.0], [0.0], ["a"]])
def test_wrong_clamps_are_one_line(clamps: list[object]) -> None:
    with pytest.raises(InputError, match="clamp_diagnostics"):
        parse(Hardware, {"clamp_diagnostics": clamps}, "here")
