"""What must not get out: files beside results/, secrets of the environment, control sequences of a model's text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import stages
import yaml
from kills import run
from typer.testing import CliRunner

from entrobench.cli.main import app
from entrobench.errors import InputError
from entrobench.studies.study import load_study

STUDY: dict[str, Any] = {
    **{"models": ["tiny"], "datasets": ["chain2"], "methods": ["grpo"], "seeds": [0], "benchmarks": ["chain2"]},
}
OUTSIDE = ("../../evil", "/tmp/evil", "a/b", "..", "a\nb", "\x1b[2J", "")


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    "change",
    [
        lambda name: {"models": [name]},
        lambda name: {"datasets": [name]},
        lambda name: {"benchmarks": [name]},
        lambda name: {"methods": [name]},
        lambda name: {"methods": {name: {"use": "grpo"}}},
        lambda name: {"include": [name]},
        lambda name: {"published": name, "evaluate_every": 1},
    ],
    ids=["model", "dataset", "benchmark", "method", "arm", "include", "published"],
)
def test_no_name_in_a_study_leads_out_of_its_folder(project: Path, change: Any, name: str) -> None:
    Path("config/studies/mine.yaml").write_text(yaml.safe_dump({**STUDY, **change(name)}))
    with pytest.raises(InputError):
        load_study("mine")


@pytest.mark.parametrize("name", ["../mine", "results", "reference", ".hidden"])
def test_nor_does_the_studys_own_name(project: Path, name: str) -> None:
    path = Path("config/studies") / f"{name}.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    if name in ("../mine", "results"):  # one that is elsewhere still writes below results/, one of this name as well
        study = load_study(str(path))
        assert study.files.folder.resolve().is_relative_to(Path("results").resolve())
    else:
        with pytest.raises(InputError, match="cannot name a study"):
            load_study(str(path))


def test_no_secret_of_the_environment_is_written(
    tiny_folders: tuple[Path, Path],
    empty_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Provenance, checkpoints, logs and MLflow's database, while a run trains and after it."""
    secret = "s3cr3t-of-somebody"
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN", "SOME_VARIABLE"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("ENTROBENCH_ENGINE_ADDRESS", f"http://user:{secret}@127.0.0.1:9")
    monkeypatch.chdir(tmp_path)
    for stage in (stages.training(*tiny_folders, steps=3), stages.tracking(empty_database)):
        assert (
            run(lambda folder=tmp_path / stage.name, stage=stage: stage.work(folder), tmp_path / stage.name).status == 0
        )
    from entrobench.distributed.ranks import Ranks
    from entrobench.engines.vllm_server import VllmServer

    with pytest.raises(InputError) as caught:
        VllmServer("", [1], 10, tmp_path, Ranks())
    assert secret not in str(caught.value)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"provenance.json", "mlflow.db"} <= {path.name for path in written}
    assert [path for path in written if secret.encode() in path.read_bytes()] == []
    assert secret not in "".join(capfd.readouterr())


def test_a_models_text_is_inert_in_the_terminal(tmp_path: Path) -> None:
    """Escape sequences, bidirectional marks and markup of an answer are shown, not obeyed."""
    text = "\x1b[2J\x1b]0;owned\x07\u202e<script>alert(1)</script>\r\x9b31m \\boxed{1"
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": text, "gold": text + "2", "response": text}) + "\n")
    said = ""
    for command in (["grade", str(path)], ["audit-grader", str(path)], ["grade", "--prediction", text, "--gold", "1"]):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        said += done.output
    assert [character for character in said if not character.isprintable() and character != "\n"] == []
