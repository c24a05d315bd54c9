"""Hardware settings as options of `entrobench train`, and the start of several processes that train one run."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path

from entrobench.config import Hardware, TrainerConfig
from entrobench.errors import InputError


def option(name: str) -> str:
    """The option of `entrobench train` that sets a field of `Hardware`."""
    return f"--{name.replace('_', '-')}"


def options(hardware: Hardware) -> list[str]:
    """The settings as options of the command line; a switch that is off is left out, a list repeats its option."""
    named: list[str] = []
    for name, value in dataclasses.asdict(hardware).items():
        if isinstance(value, bool):
            named += [option(name)] if value else []
        else:
            for item in value if isinstance(value, list) else [value]:
                named += [option(name), str(item)]
    return named


def check_processes(count: int, trainer: TrainerConfig, where: str) -> None:
    """Raise InputError where an update has fewer sequences than there are processes to share them."""
    sequences = trainer.prompts * trainer.group_size // trainer.updates
    if count > sequences:
        raise InputError(f"{where}: {count} processes share {sequences} sequences of an update: use fewer processes")


def launched() -> bool:
    """Whether this process is one of several that a launcher has started."""
    return "WORLD_SIZE" in os.environ


def processes(hardware: Hardware) -> int:
    """How many processes train the run: those that a launcher has started, else those that the settings ask for."""
    return int(os.environ["WORLD_SIZE"]) if launched() else hardware.processes


def run(folder: Path, hardware: Hardware) -> int:
    """Train the run in `folder` with torch's launcher, `hardware.processes` on this machine; the exit status.

    SIGTERM is handed on, so that no process is left behind.
    """
    import subprocess

    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(hardware.processes)]
    command = ["-m", "entrobench", "train", str(folder), *options(hardware)]
    with subprocess.Popen([sys.executable, *launcher, *command]) as launched_processes:
        signal.signal(signal.SIGTERM, lambda *_: launched_processes.terminate())
        return launched_processes.wait()
