"""A run's config.json: read into types and written back byte for byte, its hash that of the content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrobench.config import canonical_hash, parse
from entrobench.errors import InputError
from entrobench.run_config import MATHEMATICS, RunConfig, read_config
from entrobench.studies.study import load_study

PLAIN = """{
  "model": {
    "name": "tiny",
    "recipe_hash": "5a"
  },
  "dataset": {
    "name": "chain2",
    "recipe_hash": "e7",
    "prompt": "{problem}"
  },
  "method": {
    "name": "mild",
    "use": "aent",
    "values": {
      "coefficient": 0.001,
      "warmup": 9,
      "pull": null
    }
  },
  "seed": 3,
  "trainer": {
    "steps": 2,
    "prompts": 4,
    "group_size": 4,
    "updates": 2,
    "max_prompt_tokens": 1024,
    "max_response_tokens": 24,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "learning_rate": 0.0002,
    "warmup_updates": 16,
    "beta1": 0.9,
    "beta2": 0.98,
    "weight_decay": 0.0,
    "grad_clip": 1.0,
    "clip_low": 0.2,
    "clip_high": 0.2,
    "dual_clip": null,
    "log_ratio_clamp": 20.0,
    "loss_agg": "token-mean",
    "reward": "boxed",
    "engine": "native"
  },
  "hash": "HASH"
}
"""  # as versions before the typed config wrote it; MATHEMATICS came later and stands beside the hash
HASH = "bc7d071a82b30f6cb1433e3240394768af9528cf14319751095eb791a1a78265"


def changed(**sections: Any) -> dict[str, Any]:
    """PLAIN with more, hashed as a version before the typed config did."""
    content = json.loads(PLAIN)
    for name, more in sections.items():
        content[name] = {**content.get(name, {}), **more} if isinstance(more, dict) else more
    del content["hash"]
    return {**content, "hash": canonical_hash(content), "mathematics": MATHEMATICS}


def write(folder: Path, content: dict[str, Any]) -> str:
    text = json.dumps(content, indent=2) + "\n"
    (folder / "config.json").write_text(text)
    return text


def test_what_earlier_versions_wrote_is_read_and_written_back_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(PLAIN.replace('"HASH"', f'"{HASH}",\n  "mathematics": {MATHEMATICS}'))
    config = read_config(tmp_path)
    assert config.hash == HASH
    assert (config.trainer.steps, config.method.values["warmup"], config.dataset.prompt) == (2, 9, "{problem}")
    assert json.dumps(config.content, indent=2) + "\n" == (tmp_path / "config.json").read_text()


@pytest.mark.parametrize(
    "sections",
    [
        {"dataset": {"decontaminated": {"rule": "equal", "against": {"words/test": "a7"}}}},
        {"method": {"derived": {"coefficient": {"time_mean": "aent", "from_step": 1, "to_step": 2, "value": 0.1}}}},
        {"trainer": {"dynamic_sampling": True, "overlong_buffer": 4, "rollout_correction": 2.0}},
        {"declared": "0d"},
    ],
)
def test_what_only_some_runs_have_is_kept_and_hashed(tmp_path: Path, sections: dict[str, Any]) -> None:
    content = changed(**sections)
    write(tmp_path, content)
    config = read_config(tmp_path)
    assert config.content == content
    assert config.hash == content["hash"] != HASH
    text = write(tmp_path, config.content)
    assert json.dumps(read_config(tmp_path).content, indent=2) + "\n" == text


@pytest.mark.parametrize("study", ["quickstart", "all-methods", "paper-math"])
def test_the_runs_of_committed_studies_survive_the_round_trip(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    for run in load_study(study).runs:
        write(tmp_path, run.config.content)
        assert read_config(tmp_path) == run.config


def test_an_edited_config_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {**changed(), "seed": 4})
    with pytest.raises(InputError, match="its content does not match its hash"):
        read_config(tmp_path)
    with pytest.raises(InputError, match=r"nowhere/config\.json: missing"):
        read_config(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"trainer": {"stepz": 2}}, "config.json: trainer: unknown key 'stepz'"),
        ({"trainer": {"prompts": 5}}, "config.json: trainer: prompts (5) must be a multiple of updates (2)"),
        ({"trainer": {"dynamic_sampling": False}}, "config.json: another version of entrobench wrote it"),
        ({"seed": "3"}, "config.json: seed must be int, got '3'"),
    ],
)
def test_what_would_not_be_written_back_is_refused(tmp_path: Path, sections: dict[str, Any], line: str) -> None:
    write(tmp_path, changed(**sections))
    with pytest.raises(InputError) as caught:
        read_config(tmp_path)
    assert line in str(caught.value)


@pytest.mark.parametrize("missing", ["model", "dataset", "method", "seed", "trainer"])
def test_every_section_is_needed(missing: str) -> None:
    content = {key: value for key, value in json.loads(PLAIN).items() if key not in ("hash", missing)}
    with pytest.raises(InputError, match=f"here: the key '{missing}' is missing"):
        parse(RunConfig, content, "here")
