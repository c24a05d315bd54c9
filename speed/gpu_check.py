"""What one GPU does in 8 minutes: AEnt and GRPO on a model of Qwen2.5-1.5B's sizes with random weights.

Our trainer, collector and native engine in bfloat16 with float32 master weights at a vocabulary of 151,936: tokens per
second, peak memory beside the memory model's figure, use of the device's arithmetic, a step of TRL's GRPOTrainer where
it is installed, the entropy kernels, and one update in float32 on the CPU against the GPU. Needs no network and no file
besides the repository; torch, transformers, accelerate, pyarrow and rich, not entrobench itself: `make gpu-check`
finds it by PYTHONPATH. Every section is a process of its own with its share of the time; what did not fit says so.

Writes table.md, table.csv and machine.json. `--device cpu --tiny` walks through the same code in a minute, without a
GPU; its figures mean nothing, and go to results/benchmarks/gpu.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

NEEDED = {"torch": (2, 11), "transformers": (5, 16), "accelerate": (1, 0), "pyarrow": (0,), "rich": (0,)}
BUDGET = 460
SHARES = {"model": 0.15, "kernels": 0.15, "parity": 0.1, "grpo": 0.25, "aent": 0.25, "trl": 0.25}  # at most
SHORTEST = 10  # seconds under which a section is not started
HEAD = ["section", "what", "value", "unit", "note"]
UNKNOWN, FAILS = "UNKNOWN", "DOES NOT HOLD"
Line = list[str]


def main() -> int:
    options = arguments()
    if options.section:
        run_section(options)
        return 0
    lines = check_environment(options.device)
    if lines:
        print("\n".join(lines), file=sys.stderr)
        return 2
    start = time.monotonic()
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as folder:
        for name, share in SHARES.items():
            seconds = min(share * options.budget, options.budget - (time.monotonic() - start))
            print(f"{name}: at most {max(seconds, 0):.0f} s", file=sys.stderr, flush=True)
            found, right = section(name, Path(folder), seconds, options)
            failed = failed or not right or any(FAILS in row[-1] for row in found)
            rows += found
            for row in found:
                print("  ".join(row), flush=True)
        about = machine(options.device, Path(folder))
    about |= {"seconds": round(time.monotonic() - start), "tiny": options.tiny}
    write(options.output, rows, about)
    print(f"{options.output}/table.md; {about['seconds']} s; {about['device']}")
    return int(failed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="toy sizes, to try the script out")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for everything (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="default: results/reference/gpu, results/benchmarks/gpu if tiny")
    for name in ("section", "work", "seconds"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)  # how it calls itself
    options = parser.parse_args()
    options.output = options.output or Path("results/benchmarks/gpu" if options.tiny else "results/reference/gpu")
    return options


def check_environment(device: str) -> list[str]:
    """What is missing, a line each; imports torch only where it is there."""
    lines = []
    for name, least in NEEDED.items():
        found = installed(name)
        wanted = ".".join(map(str, least))
        if found is None:
            lines.append(f"gpu-check: {name} is not installed (needed: {wanted} or later) in {sys.executable}")
        elif tuple(int(part) for part in found.split(".")[: len(least)]) < least:
            lines.append(f"gpu-check: {name} {found} is too old (needed: {wanted} or later) in {sys.executable}")
    if not lines and device == "cuda":
        import torch

        if not torch.cuda.is_available():
            lines.append(
                f"gpu-check: torch {torch.__version__} of {sys.executable} finds no GPU; name the python that holds a "
                "CUDA build (make gpu-check PYTHON=...), or try the script out with --device cpu --tiny"
            )
    return lines


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def section(name: str, work: Path, seconds: float, options: argparse.Namespace) -> tuple[list[Line], bool]:
    """Run one section in its own process; its rows, and whether it ended well or had no time."""
    if seconds < SHORTEST:
        return [[name, "not measured", UNKNOWN, "", f"{max(seconds, 0):.0f} s were left of {options.budget:.0f}"]], True
    call = [sys.executable, __file__, "--section", name, "--work", str(work), "--seconds", str(seconds)]
    call += ["--device", options.device, *(["--tiny"] if options.tiny else [])]
    note, right = "", True
    try:
        done = subprocess.run(call, timeout=seconds, capture_output=True, text=True, check=False)
        if done.returncode:
            note, right = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1], False
            print(done.stderr, file=sys.stderr)
    except subprocess.TimeoutExpired:
        note = f"stopped after its share of {seconds:.0f} s; the rows above are all that it had"
    path = work / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    lines = [[name, what, UNKNOWN if value is None else f"{value:.4g}", unit, more] for what, value, unit, more in rows]
    return lines + ([[name, "failed" if not right else "stopped", UNKNOWN, "", note]] if note else []), right


def run_section(options: argparse.Namespace) -> None:
    """What the process of a section does: a line of JSON per row, as it is measured."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    from shared.gpu_sections import SECTIONS, Place

    work = Path(options.work)
    place = Place(options.device, options.tiny, work, time.monotonic() + float(options.seconds) - 5)
    with (work / f"{options.section}.jsonl").open("w") as file:
        for row in SECTIONS[options.section](place):
            file.write(json.dumps(row) + "\n")
            file.flush()
    if place.cuda and options.section == "model":
        (work / "device.json").write_text(json.dumps(device()))


def device() -> dict[str, Any]:
    """The GPU that torch uses."""
    import torch

    capacity = torch.cuda.mem_get_info()[1]
    return {
        "device": torch.cuda.get_device_name(),
        "memory_gib": round(capacity / 2**30, 1),
        "cuda": torch.version.cuda,
    }


def machine(kind: str, work: Path) -> dict[str, Any]:
    """The device, its driver, and the versions that ran."""
    about: dict[str, Any] = {"device": kind}
    if (work / "device.json").exists():
        about |= json.loads((work / "device.json").read_text())
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        try:
            about["driver"] = subprocess.run(query, capture_output=True, text=True).stdout.strip() or UNKNOWN
        except FileNotFoundError:
            about["driver"] = UNKNOWN
    from entrobench.provenance import git_state

    names = (*NEEDED, "triton", "trl")
    about["versions"] = {"python": platform.python_version()} | {name: installed(name) for name in names}
    about["git_commit"], about["git_dirty"] = git_state(Path(__file__).resolve())
    about["made"] = time.strftime("%Y-%m-%d", time.gmtime())
    return about


def write(folder: Path, rows: list[Line], about: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(about, indent=2) + "\n")
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])
    title = f"GPU check: {about['device']}"
    if about["tiny"]:
        title += " (toy sizes: these figures mean nothing)"
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in about["versions"].items())
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in [HEAD, ["---"] * 5, *rows]]
    text = [f"# {title}", "", *body, "", f"{about['made']}, {about['seconds']} s; {versions}", ""]
    (folder / "table.md").write_text("\n".join(text))


if __name__ == "__main__":
    sys.exit(main())
