"""The GPU kernels against the CPU path: in Triton's interpreter, or on the GPU where there is one; and compiled."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installed (a development extra, Linux only)")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

from entrobench.entropy import row_statistics, triton_kernels  # noqa: E402
from entrobench.entropy.selection import Everything, MostLikely, Nucleus, Rule  # noqa: E402

V = 300
RULES = [
    None,
    Everything(),
    MostLikely(210),
    MostLikely(1),
    Nucleus(0.9, True),
    Nucleus(0.9, False),
    Nucleus(0.0, True),
    Nucleus(0.0, False),
]
COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from entrobench.entropy import triton_kernels
kinds = {"logits": "*bf16", "slope": "*bf16", "labels": "*i64", "limit": "*i64", "limit_out": "*i64",
         "vocabulary": "i32", "places": "i32", "share_of_mass": "*fp64"}
choices = {"HAS_LABELS": True, "HAS_ENTROPY": True, "SELECTS": True, "NUCLEUS": NUCLEUS, "KEY_BITS": 16, "BLOCK": 4096}
pairs = (triton_kernels._forward_kernel, {"INCLUDE_CROSSING": True}), (triton_kernels._backward_kernel, {})
for kernel, more in pairs:
    fixed = {**choices, **more}
    signature = {name: "constexpr" if name in fixed else kinds.get(name, "*fp32") for name in kernel.arg_names}
    constants = {(kernel.arg_names.index(name),): value for name, value in fixed.items()}
    source = ASTSource(kernel, signature=signature, constexprs=constants)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 8}).asm["cubin"]
"""


def rows_of_logits(dtype: torch.dtype) -> torch.Tensor:
    """A row with -inf, one of many ties, a plain one."""
    logits = 3 * torch.randn(3, V, generator=torch.Generator().manual_seed(1))
    logits[0, ::5] = -torch.inf
    logits[1] = (2 * logits[1]).round() / 2
    logits[1, :2] = torch.tensor([0.0, -0.0])
    return logits.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("labelled", [True, False])
def test_the_kernels_equal_the_cpu_path(rule: Rule | None, labelled: bool, dtype: torch.dtype) -> None:
    if rule is None and not labelled:
        return
    logits, labels = rows_of_logits(dtype), torch.tensor([1, 5, 299]) if labelled else None
    grads = torch.tensor([0.7, -1.0, 2.0]), torch.tensor([-0.4, 1.3, 0.2])
    expected = row_statistics.forward(logits, labels, rule)
    there = None if labels is None else labels.to(DEVICE)
    found = triton_kernels.forward(logits.to(DEVICE), there, rule)
    for name in ("logp", "entropy", "largest", "log_total", "log_kept"):
        assert torch.allclose(getattr(found, name).cpu(), getattr(expected, name), rtol=0, atol=3e-6), name
    slope = row_statistics.backward(logits, labels, rule, expected, grads, False).float()
    device_grads = grads[0].to(DEVICE), grads[1].to(DEVICE)
    own = triton_kernels.backward(logits.to(DEVICE), there, rule, found, device_grads, True).cpu().float()
    tolerance = 2e-6 if dtype == torch.float32 else 1e-2  # the gradient itself is rounded to bfloat16
    assert torch.allclose(own, slope, rtol=tolerance, atol=2e-6)


@pytest.mark.parametrize("rule", [None, Everything(), MostLikely(2)], ids=str)
@pytest.mark.parametrize("strange", [float("nan"), -float("nan"), float("inf")])
def test_nan_reaches_the_result(rule: Rule | None, strange: float) -> None:
    logits = torch.randn(1, 9)
    logits[0, 4] = strange
    found = triton_kernels.forward(logits.to(DEVICE), torch.zeros(1, dtype=torch.long, device=DEVICE), rule)
    assert bool((found.logp + found.entropy).isnan().all())


def test_float64_is_refused() -> None:
    with pytest.raises(TypeError, match="float64"):
        triton_kernels.forward(torch.zeros(1, 4, dtype=torch.float64, device=DEVICE), None, Everything())


@pytest.mark.parametrize("nucleus", [True, False])
def test_the_kernels_compile_for_a_gpu(nucleus: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    code = COMPILE.replace('NUCLEUS": NUCLEUS', f'NUCLEUS": {nucleus}')
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
