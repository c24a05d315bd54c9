"""Where a result comes from: code, settings, data, machine and cost of a run; and whether it was made before."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import runpy
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .config import stored
from .errors import InputError
from .results import Results, RunFolder
from .run_config import MATHEMATICS, RunConfig, of_this_mathematics

VLLM = "0.32.0"  # the version that the engines were tested against
PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy")


def collect(
    config: RunConfig,
    method_source: Path,
    hardware: Mapping[str, Any],
    started: float,
    distribution: str = "built-in",
) -> dict[str, Any]:
    """Return the content of provenance.json; call it when the run ends.

    `config` is the locked config of the run, `hardware` at least {"device": "cpu" or "cuda"} as resolved, `started` in
    unix seconds, `distribution` what brought the method. Times are of this process, in seconds.
    """
    commit, dirty = git_state(Path(__file__).resolve())
    return {
        "package_version": package_version(),
        "mathematics": MATHEMATICS,
        "git_commit": commit,
        "git_dirty": dirty,
        "method": {
            "name": config.method.name,
            "source_sha256": sha256_file(method_source),
            "distribution": distribution,
        },
        "lock_sha256": sha256_file(lock_file()) if lock_file().is_file() else None,
        "config_hash": config.hash,
        "model": stored(config.model),
        "dataset": stored(config.dataset),
        "reward": {"name": config.trainer.reward} | config.reward_code,
        "hardware": machine(str(hardware["device"])) | dict(hardware),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES} | _vllm(config),
        "seed": config.seed,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": time.time() - started,
        "cpu_seconds": time.process_time(),
        "peak_memory_bytes": peak_memory_bytes(),
        "reused_from": None,
    }


def cost_so_far() -> str:
    """What a job says of its cost: CPU seconds, with those of children that have ended, and this process's memory.

    Snakemake's `benchmark:` would look at the memory of every process twice a second, which takes a fifth of a core.
    """
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(each.ru_utime + each.ru_stime for each in used)
    return f"took {seconds:.1f} CPU seconds and at most {peak_memory_bytes() / 2**20:.0f} MiB of memory"


def _vllm(config: RunConfig) -> dict[str, str | None]:
    return {"vllm": vllm_version()} if config.trainer.engine == "vllm" else {}


def package_version() -> str:
    """Version of the installed entrobench."""
    return version("entrobench")


def distribution_of(point: EntryPoint) -> str:
    """The name and version of the package that announces an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown distribution"


def sha256_file(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_state(source: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout that tracks a source file; (None, None) outside one or without git.

    A package installed into an environment inside somebody's checkout is not tracked there, so that checkout's commit
    is not taken for ours. Untracked files do not make a checkout dirty.
    """
    if not _git(source.parent, "ls-files", source.name):
        return None, None
    return _git(source.parent, "rev-parse", "HEAD"), bool(_git(source.parent, "status", "--porcelain", "-uno"))


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command, None if git is not there or refuses."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(device: str) -> dict[str, Any]:
    """Processor, cores, threads in use, device and its name, and main memory in GiB."""
    gpu = None
    if device.startswith("cuda"):
        import torch

        gpu = torch.cuda.get_device_name(device)
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 1,
        "device": device,
        "gpu": gpu,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def _cpu_name() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def find_twin(
    results: Results,
    config_hash: str,
    method_sha256: str,
    package: str,
    besides: Path | None = None,
    snapshots: Sequence[str] = (),
) -> Path | None:
    """Folder of a finished run of any study with the same settings, method, package version and mathematics, or None.

    `besides` names a folder that does not count: the one about to be made; `snapshots` what its snapshots/ must hold.
    """
    identity = (config_hash, method_sha256, package)
    folders = [folder for study in results.studies() for folder in (study, study.trials)]
    for run in (run for folder in folders for run in folder.runs()):
        kept = all(run.snapshot(name).is_dir() for name in snapshots)
        if kept and (besides is None or run.folder.resolve() != besides.resolve()) and _finished(run):
            found = json.loads(run.provenance.read_text())
            same = (found["config_hash"], found["method"]["source_sha256"], found["package_version"]) == identity
            if same and of_this_mathematics(found):
                return run.folder
    return None


def made_otherwise(runs: Iterable[RunFolder]) -> list[RunFolder]:
    """The finished ones of these runs that other mathematics made."""
    finished = [run for run in runs if run.provenance.is_file()]
    return [run for run in finished if not of_this_mathematics(json.loads(run.provenance.read_text()))]


def check_mathematics(runs: Iterable[RunFolder], where: str) -> None:
    """Raise InputError where a finished run was made by other mathematics: its numbers do not stand beside new ones."""
    if older := made_otherwise(runs):
        number = json.loads(older[0].provenance.read_text()).get("mathematics", "unknown")
        raise InputError(
            f"{where}: {len(older)} runs were trained by mathematics {number}, this version's is {MATHEMATICS} "
            f"(CHANGELOG), first {older[0].folder}; make study trains them anew"
        )


def _finished(run: RunFolder) -> bool:
    return run.provenance.is_file() and run.steps.is_file() and any(run.final.glob("*.safetensors"))


def lock_file() -> Path:
    """The file that holds the exact versions of this environment: one with vLLM has its own."""
    return Path("requirements-vllm.lock" if vllm_version() else "requirements.lock")


def vllm_version() -> str | None:
    """`vllm.__version__` without its local part, read without importing it; None where there is no vLLM.

    The CPU build is distributed under another name, so the package's own word counts and not its distribution's.
    """
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:  # a mere folder of that name has no origin
        return None
    version: str = runpy.run_path(str(Path(spec.origin).with_name("_version.py")))["__version__"]
    return version.partition("+")[0]
