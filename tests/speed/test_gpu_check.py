"""The GPU check's script at toy size on the CPU: every section, what does not fit, what is missing, and no install."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "speed"))

import gpu_check  # noqa: E402
from shared import gpu_model, gpu_sections  # noqa: E402


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[float | None, str, str]]]:
    """What the sections yield, by section and name."""
    place = gpu_sections.Place("cpu", True, tmp_path_factory.mktemp("gpu"), time.monotonic() + 600)
    names = ("model", "kernels", "parity", "aent")
    found = {name: {what: rest for what, *rest in gpu_sections.SECTIONS[name](place)} for name in names}
    AcceleratorState._reset_state(True)
    return found  # type: ignore[return-value]


def test_a_method_trains_in_bfloat16_and_says_what_it_cannot_know(rows: dict) -> None:  # type: ignore[type-arg]
    aent = rows["aent"]
    for what in ("step", "rollout", "records", "update"):
        assert aent[what][0] > 0
    assert 0 < aent["rollout mismatch"][0] < 0.05, "bfloat16 sampling is near, and not equal to, the trainer"
    assert aent["model FLOPs utilisation of the update"][0] is None
    assert aent["peak memory, update"][0] is None
    assert "the model says" in aent["peak memory, update"][2]


def test_the_cpu_is_at_parity_with_itself(rows: dict) -> None:  # type: ignore[type-arg]
    assert [(value, note[-5:]) for value, _, note in rows["parity"].values()] == [(0.0, "holds"), (0.0, "holds")]


def test_kernels_are_timed_in_both_types_with_their_errors(rows: dict) -> None:  # type: ignore[type-arg]
    assert len(rows["kernels"]) == 8
    assert all(value > 0 for value, _, _ in rows["kernels"].values())
    assert "errors" in rows["kernels"]["ours, clamped, bfloat16"][2]


def test_counted_operations_are_those_of_the_formula() -> None:
    sizes, answers, length = gpu_model.TINY.sizes, 2, 16
    model = gpu_model.build(sizes)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(answers, length, dtype=torch.long)).logits.sum().backward()
    found = counter.get_flop_counts()["Global"]
    apart = ("attention", "bmm")  # bmm: the rotary angles of transformers 5.16, which the formula leaves out
    matrices = sum(count for operation, count in found.items() if not any(name in str(operation) for name in apart))
    attention = 6 * answers * sizes.layers * sizes.hidden_size * length**2
    assert gpu_sections.update_flops(sizes, answers, 0, length) - attention == matrices


def options(**changes: object) -> argparse.Namespace:
    return argparse.Namespace(**{"device": "cpu", "tiny": True, "budget": 460.0, **changes})


def test_a_section_without_time_or_over_its_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late, right = gpu_check.section("aent", tmp_path, 3, options())
    assert (late[0][2:], right) == (["UNKNOWN", "", "3 s were left of 460"], True)
    monkeypatch.setattr(gpu_check, "SHORTEST", 0)
    (tmp_path / "aent.jsonl").write_text('["step", 1.25, "s", "measured before"]\n')
    stopped, right = gpu_check.section("aent", tmp_path, 0.1, options())
    assert stopped[0] == ["aent", "step", "1.25", "s", "measured before"]
    assert stopped[1][1:3] == ["stopped", "UNKNOWN"]
    assert right


def test_what_is_missing_is_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        assert "finds no GPU; name the python" in gpu_check.check_environment("cuda")[0]
    monkeypatch.setattr(gpu_check, "installed", {"torch": "2.9.1+cu128", "pyarrow": "25.0"}.get)
    lines = gpu_check.check_environment("cuda")
    assert "torch 2.9.1+cu128 is too old (needed: 2.11 or later)" in lines[0]
    assert "transformers is not installed" in lines[1]
    assert len(lines) == 4


def test_the_table_is_written_as_text_and_data(tmp_path: Path) -> None:
    about = {"device": "a card", "tiny": True, "versions": {"trl": None}, "made": "2026-01-01", "seconds": 1}
    gpu_check.write(tmp_path, [["aent", "step", "1.25", "s", "mean |x|"]], about)
    assert "these figures mean nothing" in (tmp_path / "table.md").read_text()
    assert "| aent | step | 1.25 | s | mean \\|x\\| |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "table.csv").read_text().splitlines()[1] == "aent,step,1.25,s,mean |x|"


def test_make_puts_the_package_together_without_installing_it(tmp_path: Path) -> None:
    """In a python that has torch and its like, and not entrobench: without its .pth files."""
    packages = Path(torch.__file__).parents[1]
    python = tmp_path / "python"
    code = (
        "import gpu_check, shared.gpu_sections\nfrom entrobench.catalogue.registry import load_method\n"
        "print(load_method('aent'))"
    )
    python.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="$PYTHONPATH:{packages}:speed"\nexec {sys.executable} -P -S -c "{code}"\n'
    )
    python.chmod(0o755)
    call = ["make", "-s", "gpu-check", f"PYTHON={python}", f"SOURCES={tmp_path}/sources"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS")}
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert "entrobench.methods.aent" in done.stdout, done.stderr
