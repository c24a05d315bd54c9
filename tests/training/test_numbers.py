"""Numbers that are none stop a run before the update that they would spoil, and what it had in hand is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import weights

from entrobench.api import Method
from entrobench.errors import InputError
from entrobench.progress import entropy_events
from entrobench.training import checkpoint

STEP = 3
Spoil = Callable[[Any], None]


def at_step(trainer: Any, owner: Any, name: str, change: Callable[[Any], Any]) -> None:
    """Change what a method of the trainer's parts returns, in one step."""
    real = getattr(owner, name)

    def changed(*arguments: Any, **named: Any) -> Any:
        value = real(*arguments, **named)
        return change(value) if trainer.position.step == STEP else value

    setattr(owner, name, changed)


def bad_weights(trainer: Any) -> None:
    def spoil(value: Any) -> Any:
        with torch.no_grad():
            trainer.parts.model.model.layers[0].mlp.down_proj.weight[0, 0] = math.nan
        return value

    at_step(trainer, trainer, "_reset_reference", spoil)


def bad_rewards(trainer: Any) -> None:
    def spoil(sampled: Any) -> Any:
        trainer.parts.config = trainer.parts.collector.config = replace(trainer.parts.config, overlong_buffer=1)
        object.__setattr__(trainer.parts.config, "overlong_factor", math.inf)
        return sampled

    at_step(trainer, trainer.parts.collector.sampler, "sample", spoil)


def bad_gradient(trainer: Any) -> None:
    def spoil(part: Any) -> Any:
        trainer.parts.model.lm_head.weight.register_hook(lambda gradient: gradient * math.inf)
        return part

    at_step(trainer, trainer, "_collect", spoil)


def bad_log_probabilities(trainer: Any) -> None:
    def spoil(done: Any) -> Any:
        first = replace(done[0], logps=[math.nan, *done[0].logps[1:]])
        return [first, *done[1:]]

    at_step(trainer, trainer.parts.collector.engine, "generate", spoil)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (bad_weights, r"engine: native: the probabilities of the next token are NaN: \d+ of the model's weights"),
        (bad_rewards, r"the rewards is -?(inf|nan) at"),
        (bad_gradient, "the gradient is not finite"),
        (bad_log_probabilities, "engine: native: at step 3 its log-probabilities lie nan nats per token"),
    ],
)
def test_training_stops_before_the_update_with_its_evidence(make_trainer: Any, spoil: Spoil, said: str) -> None:
    trainer = make_trainer(steps=5)
    spoil(trainer)
    with pytest.raises(InputError, match=f"step {STEP}: {said}") as caught:
        trainer.run()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("the last checkpoint is intact")
    folder = trainer.parts.folder / "evidence" / f"step00000{STEP}"
    assert f"evidence in {folder}" in str(caught.value)
    about = json.loads((folder / "about.json").read_text())
    assert about["step"] == STEP
    assert about["message"] in str(caught.value)
    found = checkpoint.latest(trainer.parts.folder / "checkpoints", trainer.identity)
    assert found is not None
    assert checkpoint.load_state(found)["step"] == STEP - 1
    assert all(bool(value.isfinite().all()) for value in checkpoint.load_tensors(found, "model").values())


def test_the_evidence_holds_answers_and_records(make_trainer: Any) -> None:
    trainer = make_trainer(steps=5)
    bad_gradient(trainer)
    with pytest.raises(InputError):
        trainer.run()
    folder = trainer.parts.folder / "evidence" / f"step00000{STEP}"
    answers = json.loads((folder / "answers.json").read_text())
    records = load_file(folder / "records.safetensors")
    assert len(answers) == len(records["rewards"]) == 4 * 4
    assert [float(answer["correct"]) for answer in answers] == records["rewards"].tolist()
    assert [len(answer["tokens"]) for answer in answers] == records["mask"].sum(1).tolist()


def test_weights_that_an_update_spoils_reach_no_checkpoint(make_trainer: Any) -> None:
    """The last net: an update whose own numbers are fine, and whose weights are not."""
    trainer = make_trainer(steps=STEP)

    def spoil(norm: float) -> float:
        if trainer.position.updates == 2 * STEP:
            with torch.no_grad():
                trainer.parts.model.lm_head.weight[0, 0] = math.inf
        return norm

    at_step(trainer, trainer, "_optimizer_step", spoil)
    trainer.run()
    with pytest.raises(InputError, match=r"the model's weights model.embed_tokens.weight hold NaN"):
        trainer.save_weights(trainer.parts.folder / "final")
    assert not (trainer.parts.folder / "final").exists()


def test_a_loss_that_overflows_only_as_a_sum_is_told(make_trainer: Any, use_method: Any) -> None:
    class Huge(Method):
        def token_loss(self, tokens: Any) -> Any:
            return tokens.logp * 0 + 3e38

        def regularizer(self, tokens: Any) -> Any:
            return tokens.logp * 0 + 3e38

    use_method(Huge)
    trainer = make_trainer(steps=2)
    before = weights(trainer).clone()
    with pytest.raises(InputError, match="the loss is not finite, though it is at every token"):
        trainer.run()
    assert torch.equal(weights(trainer), before)


def test_a_drop_and_a_surge_of_entropy_are_told_once_and_are_no_errors(
    make_trainer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entropy_events([1, 2, 3, 4, 5], [1.0, 0.04, 0.03, 3.5, 4.0]) == [
        ("drop", 2, "0.04 nats per token, 4 % of step 1"),
        ("surge", 4, "3.5 nats per token, 350 % of step 1"),
    ]
    trainer = make_trainer(steps=4)

    def explode(row: dict[str, float]) -> dict[str, float]:
        return row | {"entropy_t1": 99.0}

    at_step(trainer, trainer, "_one_step", explode)
    trainer.run()
    said = [line for line in capsys.readouterr().out.splitlines() if "entropy surge" in line]
    assert len(said) == 1
    assert said[0].startswith(f"step {STEP}: entropy surge: 99 nats per token")
