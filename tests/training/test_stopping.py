"""SIGTERM ends a run at a step's boundary; two processes never write one run."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import weights

from entrobench.distributed import holding
from entrobench.distributed.holding import held
from entrobench.errors import InputError
from entrobench.training import stopping
from entrobench.training.stopping import STATUS, Stopping

HARDWARE = {"checkpoint_every": 100}


def ended(trainer: Any, act: Any, at: str, step: int) -> None:
    """Run the trainer and send SIGTERM when it calls `at` in this step."""
    target = trainer.parts.collector if at == "collect" else trainer
    real = getattr(target, at)

    def signalled(*arguments: Any, **named: Any) -> Any:
        if trainer.position.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments, **named)

    setattr(target, at, signalled)
    with Stopping(trainer.parts.ranks) as trainer.stopping, pytest.raises(SystemExit) as caught:
        act()
    assert caught.value.code == STATUS


@pytest.mark.parametrize(("at", "step", "kept"), [("collect", 3, 2), ("_updates", 3, 3), ("_optimizer_step", 2, 2)])
def test_a_run_that_is_asked_to_end_keeps_its_last_boundary(make_trainer: Any, at: str, step: int, kept: int) -> None:
    settings = {"steps": 5, "hardware": HARDWARE}
    whole = make_trainer("grpo", "whole", **settings)
    whole.run()
    asked = make_trainer("grpo", "asked", **settings)
    ended(asked, asked.run, at, step)
    checkpoints = asked.parts.folder / "checkpoints"
    assert [path.name for path in checkpoints.glob("step*")] == [f"step{kept:06d}"]
    resumed = make_trainer("grpo", "asked", **settings)
    resumed.run()
    assert torch.equal(weights(resumed), weights(whole))
    assert [row["reward"] for row in resumed.position.rows] == [row["reward"] for row in whole.position.rows]


def test_a_step_that_does_not_end_in_time_leaves_the_last_checkpoint(
    make_trainer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PATIENCE", 1)
    trainer = make_trainer("grpo", "slow", steps=5, hardware={"checkpoint_every": 1})
    real = trainer._optimizer_step

    def slow() -> float:
        if trainer.position.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        return float(real())

    trainer._optimizer_step = slow
    started = time.monotonic()
    with Stopping(trainer.parts.ranks) as trainer.stopping, pytest.raises(SystemExit):
        trainer.run()
    assert time.monotonic() - started < 20
    names = [path.name for path in sorted((trainer.parts.folder / "checkpoints").glob("step*"))]
    assert names == ["step000001", "step000002"]


def test_handlers_are_as_before_when_training_has_ended(make_trainer: Any) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)
    with Stopping(make_trainer("grpo", "run").parts.ranks):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGALRM)) == before


HOLD = "import sys, pathlib\nfrom entrobench.distributed.holding import held\nwith held(pathlib.Path(sys.argv[1])):\n"


def test_a_folder_is_held_by_one_process_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    program = HOLD + "    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(InputError, match=f"process {other.pid} on {socket.gethostname()} is working on it"),
            held(tmp_path),
        ):
            pass
        other.kill()
    assert len(list(tmp_path.glob(".held-*"))) == 1, "the killed process has left its mark"
    with held(tmp_path) as still_ours:
        still_ours()
        assert len(list(tmp_path.glob(".held-*"))) == 1
    assert list(tmp_path.glob(".held-*")) == []


def mark(folder: Path, **changes: Any) -> Path:
    path = folder / f"{holding.MARK}other"
    path.write_text(json.dumps({**holding._myself(), **changes}))
    return path


@pytest.mark.parametrize("changes", [{"boot": "another"}, {"started": "1"}, {"process": 2**22 + 1}])
def test_a_mark_from_before_a_reboot_or_of_another_process_with_the_number_is_stale(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    mark(tmp_path, **changes)
    with held(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_mark_that_power_loss_has_emptied_is_stale(tmp_path: Path, content: str) -> None:
    mark(tmp_path).write_text(content)
    with held(tmp_path):
        pass


def test_of_another_machine_a_sign_of_life_counts_and_silence_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "BEAT", 0.02)
    monkeypatch.setattr(holding, "SILENCE", 0.3)
    path = mark(tmp_path, host="another")
    beating = subprocess.Popen(
        [sys.executable, "-c", "import os, sys, time\nwhile True: os.utime(sys.argv[1]); time.sleep(.01)", path]
    )
    time.sleep(0.3)
    try:
        with pytest.raises(InputError, match="on another is working on it"), held(tmp_path):
            pass
    finally:
        beating.kill()
        beating.wait()
    with held(tmp_path):
        assert not path.exists()


def test_who_was_taken_over_writes_no_checkpoint(make_trainer: Any) -> None:
    """A machine that slept for a minute wakes up and finds its run in other hands."""
    trainer = make_trainer("grpo", "run", steps=3)
    with held(trainer.parts.folder) as still_ours:
        trainer.still_ours = still_ours
        next(trainer.parts.folder.glob(".held-*")).unlink()
        with pytest.raises(InputError, match="another process has taken this folder over"):
            trainer.run()
    assert not (trainer.parts.folder / "checkpoints").exists()
