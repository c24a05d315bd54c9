"""Logs of every known format give the same rows; half-written ones are read so far, unknown ones are named."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from entrobench.errors import InputError
from entrobench.foreign.logs import FORMATS, read_log

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
STEPS = range(1, 13)


def trl(step: int) -> dict[str, float]:
    """What the fixtures hold at a step, in TRL's names."""
    return {
        "entropy": 1.2 - 0.05 * step,
        "reward": 0.3 + 0.02 * step,
        "completions/mean_length": 18.0 + step,
        "kl": 0.001 * step,
        "frac_reward_zero_std": 0.25,
        "loss": 0.1 / step,
    }


def expected(step: int) -> dict[str, float]:
    """The same in ours."""
    theirs = trl(step)
    return {
        "entropy": theirs["entropy"],
        "reward": theirs["reward"],
        "length": theirs["completions/mean_length"],
        "kl": theirs["kl"],
        "mixed_groups": 0.75,
        "policy_loss": theirs["loss"],
    }


def verl(step: int) -> dict[str, float]:
    """The same as verl names it; it has no share of groups without variance."""
    theirs = trl(step)
    return {
        "actor/entropy": theirs["entropy"],
        "critic/score/mean": theirs["reward"],
        "response_length/mean": theirs["completions/mean_length"],
        "actor/ppo_kl": theirs["kl"],
        "actor/pg_loss": theirs["loss"],
        "actor/pg_clipfrac": 0.01,
    }


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def make(kind: str, folder: Path) -> Path:
    """A log of this kind; W&B's and TensorBoard's were written by wandb and tensorboardX."""
    rows: list[dict[str, Any]] = [{"step": step, **trl(step)} for step in STEPS]
    if kind == "csv":
        with (folder / "log.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return folder / "log.csv"
    if kind == "W&B export":
        names = ["Step", *(f"my run - train/{name}{end}" for name in trl(1) for end in ("", "__MIN", "__MAX"))]
        lines = [",".join(f'"{name}"' for name in names)]
        for step in STEPS:
            lines.append(",".join([str(step), *(f"{value},{value - 9},{value + 9}" for value in trl(step).values())]))
        return written(folder / "export.csv", "\n".join([*lines, ""]))
    if kind == "jsonl":
        return written(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    if kind == "verl jsonl":
        return written(
            folder / "verl.jsonl",
            "".join(json.dumps({"step": step, "data": verl(step)}) + "\n" for step in STEPS),
        )
    if kind == "verl console":
        lines = [
            f"(TaskRunner pid=12) step:{step} - "
            + " - ".join(
                f"{name}:{value}" if step % 2 else f"{name}:np.float64({value})" for name, value in verl(step).items()
            )
            for step in STEPS
        ]
        return written(folder / "verl.log", "\n".join(["INFO: starting", *lines, "done", ""]))
    if kind == "OpenRLHF console":
        lines = [
            str({"global_step": step, "reward": trl(step)["reward"], "entropy_loss": trl(step)["entropy"]})
            for step in STEPS
        ]
        return written(folder / "openrlhf.log", "".join(f"INFO ppo_trainer.py: {line}\n" for line in lines))
    if kind == "trainer_state":
        content = {"global_step": 12, "max_steps": 12, "log_history": [*rows, {"step": 12, "train_runtime": 3.0}]}
        return written(folder / "trainer_state.json", json.dumps(content, indent=2))
    return {"W&B offline": LOGS / "run-fixture.wandb", "TensorBoard": LOGS / "events.out.tfevents.fixture"}[kind]


KINDS = ("csv", "W&B export", "jsonl", "trainer_state", "W&B offline", "TensorBoard")


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_of_trl_in_each_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    log = read_log(make(kind, tmp_path))
    assert log.format in FORMATS
    assert (len(log.rows), log.broken) == (12, "")
    for step, row in zip(STEPS, log.rows, strict=True):
        assert row["step"] == step
        shown = {name: row[name] for name in expected(step)}
        assert shown == pytest.approx(expected(step), rel=2**-23)  # TensorBoard keeps float32
    assert not {"__MIN", "__MAX"} & {name[-5:] for row in log.rows for name in row}
    assert "truncated" in log.missing


@pytest.mark.parametrize("kind", ["verl jsonl", "verl console", "OpenRLHF console"])
def test_names_of_other_trainers_are_translated_and_what_only_resembles_ours_is_kept(kind: str, tmp_path: Path) -> None:
    log = read_log(make(kind, tmp_path))
    assert [row["step"] for row in log.rows] == list(STEPS)
    for step, row in zip(STEPS, log.rows, strict=True):
        assert row["entropy"] == pytest.approx(1.2 - 0.05 * step)
        assert row["reward"] == pytest.approx(0.3 + 0.02 * step)
        assert kind == "OpenRLHF console" or row["foreign/actor/pg_clipfrac"] == 0.01  # of both sides: neither of ours
    assert "mixed_groups" in log.missing


def test_trls_own_log_is_read() -> None:
    """Written by TRL 1.16's GRPOTrainer in four steps of a tiny model."""
    log = read_log(LOGS / "trainer_state.json")
    assert (log.format, log.broken, len(log.rows)) == ("TRL trainer_state.json", "", 4)
    logged = json.loads((LOGS / "trainer_state.json").read_text())["log_history"]
    for row, theirs in zip(log.rows, logged, strict=False):
        assert row["entropy"] == theirs["entropy"]
        assert row["mixed_groups"] == 1 - theirs["frac_reward_zero_std"]
        assert row["truncated"] == theirs["completions/clipped_ratio"]
        assert row["clip_high"] == theirs["clip_ratio/high_mean"]
    assert set(log.missing) <= {"kl"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "trainer_state", "W&B offline", "TensorBoard"])
def test_a_file_that_breaks_off_is_read_so_far_and_says_so(kind: str, tmp_path: Path) -> None:
    whole = make(kind, tmp_path)
    cut = tmp_path / f"cut-{whole.name}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    log = read_log(cut)
    assert log.broken
    assert 0 < len(log.rows) < 12
    assert log.rows[0]["entropy"] == pytest.approx(1.15)


def test_a_run_that_was_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    rows = [{"step": step, **trl(step)} for step in STEPS]
    path = written(tmp_path / "t.json", json.dumps({"global_step": 12, "max_steps": 40, "log_history": rows}))
    assert read_log(path).broken == "12 of 40 steps are done"


def test_an_unknown_format_is_named_with_those_known_and_the_columns_found(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_log(written(tmp_path / "weights.bin", "\x00\x01 nothing"))
    assert all(name in str(refused.value) for name in FORMATS)
    for text, words in (
        ("step,accuracy,foo\n1,2,3\n", "logs neither entropy nor reward"),
        ("entropy,reward\n1,2\n", "has no column for a step"),
    ):
        with pytest.raises(InputError) as refused:
            read_log(written(tmp_path / "log.csv", text))
        assert words in str(refused.value)
        assert text.partition("\n")[0].replace(",", ", ") in str(refused.value)
        assert "\n" not in str(refused.value)


def test_what_is_printed_is_never_evaluated(tmp_path: Path) -> None:
    line = "{'reward': __import__('os').system('touch owned'), 'global_step': 1}"
    path = written(tmp_path / "x.log", f"{line}\nINFO {{'reward': 0.5, 'global_step': 2}}\n")
    log = read_log(path)
    assert [row["step"] for row in log.rows] == [2]
    assert not Path("owned").exists()


@pytest.mark.parametrize("end", [".jsonl", ".json"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("7" * 5000, "a whole number of 5000 digits"),
        ("[" * 100_000 + "]" * 100_000, "nested deeper than 100 levels"),
        ('"\\ud800"', "holds half a character"),
    ],
)
def test_what_no_table_can_hold_is_one_line(tmp_path: Path, end: str, value: str, message: str) -> None:
    row = f'{{"step": 1, "reward": 0.5, "note": {value}}}'
    text = f"{json.dumps(trl(1))}\n{row}\n" if end == ".jsonl" else f'{{"log_history": [{row}]}}'
    path = written(tmp_path / f"log{end}", text)
    with pytest.raises(InputError, match=message) as refused:
        read_log(path)
    assert str(refused.value).startswith(f"{path}: row 2" if end == ".jsonl" else str(path))
    assert "\n" not in str(refused.value)


HOSTILE = (
    *(b"[" * 3000, b"9" * 400, b'"\\ud800"', b"\x00", b"\xe2\x80\xa8", b"\xff\xfe", b"\x1b[2J"),
    *(b"{", b'"', b"1e999", b"null"),
)
TEXTS = ("csv", "W&B export", "jsonl", "trainer_state", "verl jsonl", "verl console", "OpenRLHF console")


@pytest.mark.parametrize("kind", [*TEXTS, "W&B offline", "TensorBoard"])
def test_damaged_logs_are_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    """Bytes changed, taken out and put in at random places: never another error, never a number that is none."""
    draw, content = random.Random(kind), make(kind, tmp_path).read_bytes()
    for number in range(60):
        at, end = sorted(draw.randrange(len(content)) for _ in range(2))
        part = draw.choice((bytes([draw.randrange(256)]), b"", *HOSTILE))
        damaged = content[:at] + part + content[draw.choice((at, at + 1, min(end, at + 40))) :]
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        rows, refused = [], ""
        try:
            rows = read_log(path).rows
        except InputError as error:
            refused = str(error)
        assert "\n" not in refused, damaged[at - 40 : at + 80]
        assert all(isinstance(value, (int, float)) for row in rows for value in row.values())
