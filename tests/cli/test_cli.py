"""The command line: fast to start, no torch, examples in every help, errors of at most four lines and status 2."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from entrobench import config
from entrobench.cli.main import app

COMMANDS = sorted(typer.main.get_command(app).commands)
USER_COMMANDS = {
    "train",
    "generate",
    "grade",
    "compare",
    "report",
    "track",
    "methods",
    "new-method",
    "check-method",
    "plan",
    "doctor",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from entrobench.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def refused(*arguments: str) -> str:
    """What a command prints when it refuses its input."""
    done = run(*arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 4
    return done.stderr


def test_commands_of_the_issue_are_there() -> None:
    assert set(COMMANDS) >= USER_COMMANDS


@pytest.mark.parametrize("command", [command.replace("_", "-") for command in COMMANDS])
def test_every_help_has_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"entrobench {command}" in " ".join(done.stdout.split())
    assert "Example" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["methods"],
        ["methods", "aent"],
        ["plan", "quickstart"],
        ["lock", "quickstart", "tiny/chain2/aent/seed1"],
        ["lock-evaluation", "quickstart"],
    ],
)
def test_start_imports_nothing_heavy(arguments: list[str], project: Path) -> None:
    script = (
        "import sys, entrobench.cli.main\n"
        f"sys.argv = ['entrobench', *{arguments!r}]\n"
        "try:\n    entrobench.cli.main.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'pandas', 'pyarrow', 'scipy', 'matplotlib', 'sympy', 'datasets'}\n"
        "heavy |= {'lm_eval', 'rich', 'httpx', 'requests', 'jinja2', 'accelerate', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_methods_lists_methods_and_named_variants() -> None:
    lines = run("methods").stdout.splitlines()
    assert lines[0].split() == ["method", "known", "from", "marks", "hooks", "origin", "paper"]
    (aent,) = [line for line in lines if line.startswith("aent ")]
    for part in ("2509.03493", "token_stats, regularizer, after_step", "built-in"):
        assert part in aent
    (math,) = [line for line in lines if line.startswith("aent_math ")]
    assert math.split()[1] == "aent"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["plan", "quickstrt"], "unknown study 'quickstrt' (allowed: quickstart); did you mean 'quickstart'?"),
        (["plan", "no/such.yaml"], "no study file no/such.yaml"),
        (["plan"], "Missing argument"),
        (["pln", "quickstart"], "No such command"),
        ([], "Missing command"),
        (["check-method", "aet"], "unknown method 'aet'"),
        (["methods", "aet"], "did you mean 'aent'?"),
        (["base-model", "tny"], "unknown model 'tny' (allowed: tiny); did you mean 'tiny'?"),
        (["prepare-data", "chain"], "unknown dataset 'chain' (allowed: chain2)"),
        (["lock", "quickstart", "tiny/chain2/grpo/seed7"], "unknown run"),
        (["train", "results/none"], "does not exist"),
        (["train", "config"], "config/config.json: missing"),
        (["grade", "config"], "no generations/*.jsonl.zst in config"),
        (["track"], "name a STUDY, or give --initialise"),
        (["check", "quickstart"], "scores.parquet is not there yet"),
        (["new-method", "Bad Name"], "is no name for a method"),
        (["new-method", "aent"], "the method 'aent' exists already"),
    ],
)
def test_bad_input(arguments: list[str], part: str, project: Path) -> None:
    assert part in " ".join(refused(*arguments).split())


def test_lock_writes_the_hashed_config_and_train_refuses_an_edited_one(project: Path) -> None:
    from entrobench.studies.study import load_study

    assert run("lock", "quickstart", "tiny/chain2/aent/seed1").returncode == 0
    folder = Path("results/quickstart/runs/tiny/chain2/aent/seed1")
    stored = json.loads((folder / "config.json").read_text())
    assert stored == load_study("quickstart").run("tiny/chain2/aent/seed1").config.content
    too_many = refused("train", str(folder), "--processes", "500")
    assert too_many.endswith("500 processes share 128 sequences of an update: use fewer processes\n")
    stored["seed"] = 8
    (folder / "config.json").write_text(json.dumps(stored))
    assert "does not match its hash" in refused("train", str(folder))


def test_lock_evaluation_writes_settings_and_benchmarks(project: Path) -> None:
    assert run("lock-evaluation", "quickstart").returncode == 0
    stored = json.loads(Path("results/quickstart/evaluation.json").read_text())
    assert stored["samples"] == 2
    assert stored["benchmarks"] == ["chain2"]


def test_plan_counts_runs_jobs_and_tokens(project: Path) -> None:
    content = json.loads(run("plan", "quickstart", "--json").stdout)
    assert content["runs"] == {"waiting": 4, "started": 0, "trained": 0, "answered": 0, "graded": 0}
    assert content["jobs"]["train"] == 4
    assert content["jobs"]["generate"] == 5  # and the untrained base model
    assert content["training_tokens"] == 4 * 2 * 32 * 8 * 24
    assert content["evaluation_tokens"] is None
    Path("results/quickstart/runs/tiny/chain2/aent/seed1/checkpoints").mkdir(parents=True)
    assert json.loads(run("plan", "quickstart", "--json").stdout)["runs"]["started"] == 1
    assert "runs:" in run("plan", "quickstart").stdout


def test_doctor_has_one_line_for_each_thing(project: Path) -> None:
    done = run("doctor")
    lines = done.stdout.splitlines()
    assert all(line.split()[0] in ("ok", "warn", "fail") for line in lines)
    assert any("no requirements.lock here; run the command in the project's root folder" in line for line in lines)
    assert done.returncode == 1  # because of that line
    for part in ("python", "device: auto", "OMP_NUM_THREADS", "methods", "mlflow.db"):
        assert part in done.stdout


def test_options_of_train_are_the_fields_of_hardware(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names, types and defaults: what `launch.options` writes, the command reads."""
    from entrobench.cli import training
    from entrobench.config import Hardware
    from entrobench.distributed import launch

    class Read(Exception):
        """Ends the command where it has read its settings."""

    def parse(cls: type, values: dict[str, object], where: str) -> None:
        raise Read(config.parse(cls, values, where))

    changed = {bool: True, int: 17, float: 0.5, list: [0.25, 0.5]}
    others = {f.name: changed.get(type(getattr(Hardware(), f.name))) for f in dataclasses.fields(Hardware)}
    others |= {"device": "cpu", "weights": "sharded", "engine_address": "http://elsewhere:1", "shared_prefix": "never"}
    monkeypatch.setattr(training, "parse", parse)
    monkeypatch.setattr("entrobench.run_config.read_config", lambda folder: {})
    for hardware in (Hardware(), Hardware(**others)):
        assert all(getattr(hardware, name) is not None for name in others)
        for arguments in ([], launch.options(hardware)) if hardware == Hardware() else (launch.options(hardware),):
            with pytest.raises(Read) as read:
                typer.main.get_command(app)(["train", str(tmp_path), *arguments], standalone_mode=False)
            assert read.value.args == (hardware,)
    assert all(field.metadata["help"] for field in dataclasses.fields(Hardware))
