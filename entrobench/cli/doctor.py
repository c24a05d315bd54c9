"""`entrobench doctor`: is this machine ready? One line each: ok, warn or fail, and what to do about it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from entrobench.provenance import VLLM, lock_file, vllm_version
from entrobench.results import RESULTS

Line = tuple[str, str, str]  # state, what, fix

DATABASE = RESULTS.database
GIB = 2**30


def examine() -> bool:
    """Print all lines; return whether none failed."""
    lines = [line for check in CHECKS for line in check()]
    for state, what, fix in lines:
        print(f"{state:<5}{what}" + (f"; {fix}" if fix else ""))
    return all(state != "fail" for state, _, _ in lines)


def _python() -> Iterator[Line]:
    running = platform.python_version()
    tested = running.startswith("3.11.")
    yield "ok" if tested else "warn", f"python {running}", "" if tested else "only 3.11 is tested"


def _lock_file() -> Iterator[Line]:
    """Installed versions, compared with requirements.lock or requirements-vllm.lock."""
    path = lock_file()
    if not path.exists():
        yield "fail", f"no {path} here", "run the command in the project's root folder"
        return
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE)
    found = {name: _installed(name) for name, _ in pinned}
    different = [f"{name} {found[name]} (locked {wanted})" for name, wanted in pinned if found[name] != wanted]
    shown = ", ".join(different[:4]) + (", ..." if len(different) > 4 else "")
    if different:
        fix = "make setup" if path.name == "requirements.lock" else "make test-vllm"
        yield "warn", f"{len(different)} of {len(pinned)} packages differ from {path}: {shown}", fix
    else:
        yield "ok", f"all {len(pinned)} packages are those of {path}", ""


def _installed(name: str) -> str:
    """The installed version without its local part (2.13.0+cpu is 2.13.0), "missing" if there is none."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return "missing"


def _device() -> Iterator[Line]:
    import torch

    from entrobench.models.language_model import resolve_device

    device = resolve_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    yield "ok", f"torch {torch.__version__}; `device: auto` trains on {device.type} ({name})", ""
    if device.type == "cpu" and Path("/dev/nvidiactl").exists():
        yield "warn", "there is a GPU that torch does not see", "install the CUDA build of this torch version"
    yield from _entropy_path(device.type)


def _entropy_path(device: str) -> Iterator[Line]:
    """Which code computes log-probabilities and entropies, and why."""
    if device == "cpu":
        found = "blocks of rows with numpy's quickselect, in as many threads as torch has"
        yield "ok", f"entropies: {found}; because the device is cpu", ""
        return
    triton = _installed("triton")
    why = "because the device is cuda; not yet timed (python speed/entropy.py --device cuda)"
    fix = "install the triton that this torch names" if triton == "missing" else ""
    yield "fail" if fix else "ok", f"entropies: Triton kernels (triton {triton}), {why}", fix


def _processor() -> Iterator[Line]:
    import psutil

    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().available / GIB
    fix = "" if threads == "1" else "jobs of Snakemake use 1; by hand, export OMP_NUM_THREADS=1"
    yield "ok" if threads == "1" else "warn", f"{cores} cores; OMP_NUM_THREADS {threads}", fix
    need = 2 * cores
    fix = "" if memory >= need else f"run fewer jobs side by side: snakemake --cores {max(1, int(memory // 2))}"
    yield "ok" if memory >= need else "warn", f"{memory:.1f} GiB of memory free; embedded jobs take at most 2 each", fix


def _methods() -> Iterator[Line]:
    from entrobench.catalogue.registry import method_infos

    infos = method_infos().values()
    broken = [f"{info.name}: {info.problem}" for info in infos if info.problem]
    yield "warn" if broken else "ok", f"{len(infos)} methods" + "".join(f"; broken {line}" for line in broken), ""


def _vllm() -> Iterator[Line]:
    found = vllm_version()
    if found is None:
        yield "ok", "vLLM is not installed here", "only studies with `engine: vllm` need it: config/README.md, Engines"
        return
    fix = "" if found == VLLM else f"`engine: vllm` needs {VLLM}: config/README.md, Engines"
    yield "warn" if fix else "ok", f"vLLM {found}", fix


def _database() -> Iterator[Line]:
    """The MLflow database, read without importing mlflow."""
    from entrobench.errors import InputError
    from entrobench.tracking import database

    if not DATABASE.exists():
        yield "ok", f"{DATABASE} is not there yet", "make study writes it"
        return
    try:
        yield "ok", f"{DATABASE} holds {database.check(DATABASE)} runs", ""
    except InputError as error:
        yield "fail", str(error), ""


Check = Callable[[], Iterator[Line]]
CHECKS: tuple[Check, ...] = (_python, _lock_file, _device, _processor, _methods, _vllm, _database)
