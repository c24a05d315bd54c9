"""Killed, cut off from power, out of room: every stage goes on, and ends with the bits of an undisturbed one.

`make faults` draws many more of the same mishaps.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import stages
from kills import KINDS, Ended, Least, disturb, lose_power, run
from stages import Stage

from entrobench.data.datasets import prepare
from entrobench.files import synchronise

Whole = tuple[Ended, Any, Any]
STAGES = ("training", "answering", "grading", "tracking")


@pytest.fixture(scope="module")
def all_stages(
    tiny_folders: tuple[Path, Path], empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Stage]:
    root = tmp_path_factory.mktemp("data")
    prepare("chain2", {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}, root / "chain2")
    made = (
        stages.training(*tiny_folders),
        stages.answering(tiny_folders[0], root),
        stages.grading(),
        stages.tracking(empty_database),
    )
    return {stage.name: stage for stage in made}


@pytest.fixture(scope="module")
def undisturbed(all_stages: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """How a stage goes, what comes of it, and what is left of that where power is lost right after; each once."""
    place = tmp_path_factory.mktemp("undisturbed")

    @cache
    def whole(name: str) -> Whole:
        folder, stage = place / name, all_stages[name]
        ended = run(lambda: stage.work(folder), folder, shadow=place / f"{name}.shadow")
        assert ended.status == 0
        outcome = stage.outcome(folder)
        lose_power(folder, place / f"{name}.shadow", Least())
        return ended, outcome, stage.outcome(folder)

    return whole


@pytest.mark.parametrize(
    ("name", "kind", "seed"),
    [
        ("training", "kill at a file operation", 0),
        ("training", "power loss", 1),
        ("training", "SIGTERM", 2),
        ("training", "full disk", 3),
        ("training", "out of memory", 11),
        ("answering", "power loss", 4),
        ("grading", "kill at a file operation", 5),
        ("tracking", "kill at a moment", 6),
    ],
)
def test_a_stage_survives(
    all_stages: dict[str, Stage],
    undisturbed: Callable[[str], Whole],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    kind: str,
    seed: int,
) -> None:
    assert kind in KINDS
    monkeypatch.chdir(tmp_path)
    stage, draw = all_stages[name], random.Random(seed)
    whole, expected, _ = undisturbed(name)
    for attempt in range(9):  # a moment may come too late: the undisturbed work came first, and paid for imports
        folder = tmp_path / f"disturbed{attempt}"
        mishap = disturb(lambda: stage.work(folder), folder, whole, kind, draw)  # noqa: B023
        if mishap.ended.status != 0:
            break
        assert stage.outcome(folder) == expected
    assert mishap.ended.status != 0, "each came too late"
    stage.tidy(folder)
    assert run(lambda: stage.work(folder), folder).status == 0
    assert stage.outcome(folder) == expected


@pytest.mark.parametrize("name", STAGES)
def test_what_has_ended_is_on_the_disk(undisturbed: Callable[[str], Whole], name: str) -> None:
    """Nothing makes it again: Snakemake, and MLflow's tag, take it as done."""
    _, expected, left = undisturbed(name)
    assert left == expected


def test_power_loss_drops_what_was_never_synchronised(tmp_path: Path) -> None:
    """The harness itself: it must be able to find the fault that `replacing` and `put_in_place` prevent."""
    import os

    root = tmp_path / "root"

    def careless() -> None:
        (root / "old").write_text("old")
        with (root / "old").open() as file:
            os.fsync(file.fileno())
        folder = os.open(root, os.O_RDONLY)
        os.fsync(folder)
        (root / "new").write_text("new")
        (root / "new").rename(root / "old")

    found = set()
    for seed in range(12):
        shadow = tmp_path / f"shadow{seed}"
        assert run(careless, root, shadow=shadow).status == 0
        lose_power(root, shadow, random.Random(seed))
        found.add((root / "old").read_text() if (root / "old").exists() else None)
        (root / "old").unlink(missing_ok=True)
    assert "old" in found
    assert found & {"", "n"}, "renamed, but empty or cut"


def test_power_loss_leaves_what_an_earlier_process_wrote(tmp_path: Path) -> None:
    """Else finished checkpoints came back empty, as if they had never been synchronised."""
    root = tmp_path / "root"
    (root / "checkpoint").mkdir(parents=True)
    (root / "checkpoint" / "state").write_text("whole")
    for seed in range(4):
        shadow = tmp_path / f"shadow{seed}"
        assert run(lambda: (root / "new").write_text("new"), root, shadow=shadow).status == 0
        lose_power(root, shadow, random.Random(seed))
        assert (root / "checkpoint" / "state").read_text() == "whole"


def test_power_loss_takes_no_folder_for_a_file_that_had_its_number(tmp_path: Path) -> None:
    """File systems give a number anew at once; a file that was synchronised by name alone came back as a folder."""
    root = tmp_path / "root"

    def work() -> None:
        for number in range(20):
            file, folder = root / f"file{number}", root / f"folder{number}"
            file.write_text("text")
            synchronise(root)
            file.unlink()
            folder.mkdir()
            synchronise(folder)

    for seed in range(4):
        shadow = tmp_path / f"shadow{seed}"
        assert run(work, root, shadow=shadow).status == 0
        lose_power(root, shadow, random.Random(seed))
        assert not [path for path in root.glob("file*") if path.is_dir()]
        shutil.rmtree(root)
