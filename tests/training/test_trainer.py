"""The real trainer on a tiny model: the same bits after any kill, fair between methods, honest about what it did."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from tiny import coin_reward, kill_once_there, run_config, weights
from torch import Tensor

from entrobench.api import Method, MiniBatch, Progress, StepSummary, TokenBatch, TrainerConfig
from entrobench.config import Hardware, parse
from entrobench.distributed.holding import MARK
from entrobench.errors import InputError
from entrobench.models.language_model import load_model, load_tokenizer
from entrobench.training.experience import draw_prompts
from entrobench.training.trainer import Trainer, at_plateau, train

AENT = {"coefficient": 0.05, "clamp": 0.3, "warmup": 1, "coefficient_rate": 0.02, "coefficient_high": 0.2}
CLOCK = {"time", "seconds_device", "seconds_rollout", "seconds_reward", "seconds_old", "seconds_update"}
Folders = tuple[Path, Path]


def figures(trainer: Trainer) -> list[dict[str, float]]:
    """The rows without what the clock decides."""
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in trainer.position.rows]


def kill_before(trainer: Trainer, step: int) -> None:
    """Run until just before a step, then stop as a kill would."""
    real = trainer._one_step

    def killed() -> dict[str, float]:
        if trainer.position.step == step:
            raise KeyboardInterrupt
        return real()

    trainer._one_step = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.run()


class Wanderer(Method):
    """Depends on everything that a checkpoint must hold: reference, state, random draws, temperature, last update."""

    fresh = ("entropy",)
    reference = "base"
    reference_reset_every = 2

    @dataclass
    class State:
        level: float = 0.1

    def sampling(self, progress: Progress) -> Mapping[str, float]:
        return {"temperature": 1.0 + 0.1 * progress.step}

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        return {"chosen": (rng(0) < 0.7).to(batch.logp_old) * batch.fresh["entropy"]}

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        assert tokens.logp_ref is not None
        return self.state.level * tokens.extras["chosen"] * (tokens.logp - tokens.logp_ref) ** 2

    def after_step(self, summary: StepSummary) -> None:
        self.state.level += 0.1 * summary.entropy


@pytest.mark.parametrize("method", ["aent", "wanderer"])
def test_a_killed_run_goes_on_bit_for_bit(make_trainer: Any, use_method: Any, method: str) -> None:
    if method == "wanderer":
        use_method(Wanderer)
    settings = {"steps": 7, "values": AENT if method == "aent" else {}}
    whole = make_trainer(method, "whole", hardware={"checkpoint_every": 100}, **settings)
    whole.run()
    for step in (2, 4, 7):
        kill_before(make_trainer(method, f"killed{step}", hardware={"checkpoint_every": 3}, **settings), step)
        resumed = make_trainer(method, f"killed{step}", hardware={"checkpoint_every": 3}, **settings)
        resumed.run()
        assert torch.equal(weights(resumed), weights(whole))
        assert figures(resumed) == figures(whole)
        assert resumed.parts.method.state == whole.parts.method.state
        if whole.parts.reference is not None:
            assert torch.equal(resumed.parts.reference.lm_head.weight, whole.parts.reference.lm_head.weight)


def train_run(tiny_folders: Folders, folder: Path, **settings: Any) -> None:
    """Train one whole run with the trainer's entry point."""
    folder.mkdir(parents=True, exist_ok=True)
    hardware = Hardware(device="cpu", micro_batch=4, checkpoint_every=1)
    train(run_config("aent", values=AENT, **settings), folder, *tiny_folders, hardware, coin_reward)


def test_a_run_survives_sigkill(tiny_folders: Folders, tmp_path: Path) -> None:
    settings = {"steps": 20, "prompts": 2}
    child = multiprocessing.get_context("fork").Process(
        target=train_run, args=(tiny_folders, tmp_path / "killed"), kwargs=settings
    )
    child.start()
    kill_once_there(child, tmp_path / "killed" / "checkpoints" / "step000003")
    left = {path.name for path in (tmp_path / "killed").iterdir() if not path.name.startswith(MARK)}
    assert left == {"checkpoints", "live.jsonl"}, "results appear only when training ends"
    train_run(tiny_folders, tmp_path / "killed", **settings)
    train_run(tiny_folders, tmp_path / "whole", **settings)
    for folder in ("killed", "whole"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == {"steps.parquet", "final", "provenance.json"}
    tables = [pyarrow.parquet.read_table(tmp_path / name / "steps.parquet") for name in ("killed", "whole")]
    kept = [name for name in tables[0].column_names if name not in CLOCK]
    assert tables[0].select(kept).equals(tables[1].select(kept))
    bits = [(tmp_path / name / "final" / "model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert bits[0] == bits[1]


def test_seed_decides_every_bit(make_trainer: Any) -> None:
    first, same, other = (make_trainer(where=name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    for trainer in (first, same, other):
        trainer.run()
    assert torch.equal(weights(first), weights(same))
    assert figures(first) == figures(same)
    assert not torch.equal(weights(first), weights(other))


def test_no_memory_is_read_before_it_is_written(make_trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the NaN with which torch fills new memory, where it is told to, would change the bits."""
    plain, filled = (make_trainer("aent", where=name, values=AENT) for name in ("plain", "filled"))
    assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    plain.run()
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    filled.run()
    assert torch.equal(weights(plain), weights(filled))
    assert figures(plain) == figures(filled)


def test_memory_settings_change_rounding_only(make_trainer: Any) -> None:
    sizes = ({"micro_batch": 1, "head_chunk": 5}, {"micro_batch": 3, "head_chunk": 64}, {"micro_batch": 64})
    runs = [make_trainer(where=f"run{number}", hardware=size) for number, size in enumerate(sizes)]
    for trainer in runs:
        trainer.run()
    for trainer in runs[1:]:
        torch.testing.assert_close(weights(trainer), weights(runs[0]), atol=2e-4, rtol=0)


def test_all_methods_see_the_same_prompts_and_first_answers(make_trainer: Any) -> None:
    seen: dict[str, list[Any]] = {}
    for method in ("grpo", "entropy_bonus", "clip_higher", "aent"):
        trainer = make_trainer(method, method, values=AENT if method == "aent" else {})
        seen[method] = []
        collect = trainer.parts.collector.collect

        def recorded(prompts: Any, *rest: Any, collect: Any = collect, found: list[Any] = seen[method]) -> Any:
            experience = collect(prompts, *rest)
            found.append(([prompt.id for prompt in prompts], experience.sequences.tokens.tolist()))
            return experience

        trainer.parts.collector.collect = recorded
        trainer.run()
    for found in seen.values():
        assert [names for names, _ in found] == [names for names, _ in seen["grpo"]]
        assert found[0][1] == seen["grpo"][0][1], "the answers of the first step, from the same base model"
    assert seen["aent"][3][1] != seen["grpo"][3][1], "later ones differ, since the policies do"


def test_a_method_inert_on_policy_is_exactly_grpo_at_one_update(make_trainer: Any) -> None:
    runs = [make_trainer(method, method, updates=1) for method in ("grpo", "clip_higher")]
    for trainer in runs:
        trainer.run()
    assert torch.equal(weights(runs[0]), weights(runs[1]))


def test_the_learning_rate_warms_up_over_updates(make_trainer: Any) -> None:
    trainer = make_trainer(steps=3, warmup_updates=4)
    trainer.run()
    assert [row["learning_rate"] for row in trainer.position.rows] == pytest.approx([5e-3, 1e-2, 1e-2])


def test_a_gradient_that_is_not_finite_stops_the_run(make_trainer: Any, use_method: Any) -> None:
    class Broken(Method):
        def token_loss(self, tokens: TokenBatch) -> Tensor:
            return tokens.logp * torch.inf

    use_method(Broken)
    trainer = make_trainer()
    with pytest.raises(InputError, match=r"step 1: token_loss is .*inf at"):
        trainer.run()


def test_what_a_run_leaves(tiny_folders: Folders, tmp_path: Path) -> None:
    train_run(tiny_folders, tmp_path, steps=3, temperature=0.9)
    table = pyarrow.parquet.read_table(tmp_path / "steps.parquet")
    contract = (
        "step time reward pass_rate mixed_groups entropy entropy_t1 surprisal kl clip_low clip_high length truncated "
        "policy_loss regularizer_loss grad_norm learning_rate updates tokens rollout_mismatch seconds_rollout "
        "seconds_reward seconds_old seconds_update method/coefficient stat/clamped_entropy outcome/correct"
    )
    assert set(contract.split()) <= set(table.column_names)
    rows = table.to_pylist()
    assert [row["step"] for row in rows] == [1, 2, 3]
    for row in rows:
        assert row["outcome/correct"] == pytest.approx(row["reward"])
        assert row["outcome/correct"] + row["outcome/wrong"] == pytest.approx(1)
        assert row["rollout_mismatch"] < 1e-5
        assert row["entropy_t1"] > row["entropy"] > 0, "sampled below temperature 1"
        assert 0 < row["stat/clamped_entropy"] < 3.8 < math.log(64 * 0.7)
        assert row["tokens"] == pytest.approx(16 * row["length"])
        assert row["updates"] == 2
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    keys = (
        "package_version git_commit git_dirty mathematics method reward lock_sha256 config_hash model dataset hardware "
        "versions seed started seconds cpu_seconds peak_memory_bytes reused_from"
    )
    assert set(keys.split()) == set(provenance)
    assert provenance["config_hash"] == run_config("aent", values=AENT, steps=3, temperature=0.9).hash
    assert provenance["hardware"]["device"] == "cpu"
    assert not (tmp_path / "checkpoints").exists()
    load_tokenizer(tmp_path / "final")
    trained, base = load_model(tmp_path / "final"), load_model(tiny_folders[0])
    assert trained.lm_head.weight is trained.model.embed_tokens.weight
    assert not torch.equal(trained.lm_head.weight, base.lm_head.weight)


def test_checkpoints_of_an_older_method_are_not_used(make_trainer: Any) -> None:
    fresh = make_trainer(where="fresh")
    fresh.run()
    old = make_trainer(where="killed", learning_rate=1e-3)
    old.identity["method_source"] = "old"
    kill_before(old, 3)
    again = make_trainer(where="killed")
    again.run()
    assert figures(again) == figures(fresh), "it started afresh"


def test_another_runs_checkpoints_are_refused(make_trainer: Any) -> None:
    kill_before(make_trainer(), 3)
    other = make_trainer(seed=1)
    with pytest.raises(InputError, match="belong to another run"):
        other.run()


@pytest.mark.parametrize(
    "settings", [{"top_p": 0.9}, {"top_k": 20}, {"prompts": 5}, {"group_size": 1}, {"engine": "vlm"}]
)
def test_settings_that_training_refuses(make_trainer: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"config\.json: trainer") as caught:
        make_trainer(**settings)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        parse(TrainerConfig, settings, "here")


def test_too_few_prompts_are_one_line(make_trainer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"usable training problems, but trainer: prompts is 64") as caught:
        make_trainer(prompts=64)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="0 usable"):
        make_trainer(max_prompt_tokens=3)
    assert "prompts are longer than 3 tokens" in capsys.readouterr().out


def test_prompts_are_the_datasets_with_its_template(make_trainer: Any) -> None:
    trainer = make_trainer()
    assert len(draw_prompts(trainer.parts.prompts, trainer.parts.config, trainer.parts.stream, 1)) == 4
    words = trainer.parts.tokenizer.convert_ids_to_tokens(trainer.parts.prompts[0].tokens)
    assert (len(words), words[0], words[-1]) == (5, "<s>", "=")


def test_the_clamp_diagnostic_changes_no_result(make_trainer: Any) -> None:
    plain, watched = make_trainer(where="plain"), make_trainer(where="watched", hardware={"clamp_diagnostics": [0.3]})
    for trainer in (plain, watched):
        trainer.run()
    assert torch.equal(weights(plain), weights(watched))
    assert all(0 <= row["clamp/0.3/mass"] < 1 and row["clamp/0.3/cosine"] <= 1 + 1e-6 for row in watched.position.rows)


@pytest.mark.parametrize(
    ("rewards", "reached"),
    [
        ([0.1, 0.1, 0.5, 0.5, 0.5, 0.5], False),  # the best window before the last two is the first
        ([0.5, 0.5, 0.5, 0.5, 0.52, 0.49], True),  # 0.505 gains less than 0.01
        ([0.5, 0.5, 0.5, 0.5, 0.53, 0.49], False),  # 0.51 gains as much
        ([0.5, 0.5, 0.5, 0.5, 0.5], False),  # half a window
        ([0.5, 0.5, 0.5, 0.5], False),  # one window without gain may be bad luck
        ([0.1, 0.1, 0.9, 0.9, 0.2, 0.2, 0.3, 0.3], True),  # a fall is no gain
    ],
)
def test_the_plateau_is_two_windows_without_gain(rewards: list[float], reached: bool) -> None:
    assert at_plateau(rewards, 2, 0.01) is reached
    assert not at_plateau(rewards, 0, 0.01), "off"


def test_a_run_ends_at_its_plateau_and_a_resumed_one_too(make_trainer: Any) -> None:
    rule = {"steps": 20, "plateau_window": 2, "plateau_gain": 1.1}  # a gain that no reward has: the first two windows
    whole = make_trainer(where="whole", **rule)
    whole.run()
    assert [row["plateau"] for row in whole.position.rows] == [0, 0, 0, 0, 0, 1]
    kill_before(make_trainer(where="killed", hardware={"checkpoint_every": 3}, **rule), 5)
    resumed = make_trainer(where="killed", hardware={"checkpoint_every": 3}, **rule)
    resumed.run()
    assert figures(resumed) == figures(whole)
    assert torch.equal(weights(resumed), weights(whole))
