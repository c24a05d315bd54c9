"""What the trainer gives to a method's hooks: values of the right weights, exact first ratios, honest divisors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tiny import weights
from torch import Tensor

from entrobench.api import Method, MiniBatch, StepBatch, TokenBatch
from entrobench.entropy.logits import entropy
from entrobench.training.forward import frozen_forward, token_forward
from entrobench.training.micro_batches import ForwardLimits


class Spy(Method):
    """GRPO that records what it is given."""

    fresh = ("logp", "entropy", "top")
    old_stats = ("top",)
    reference = "base"
    reference_reset_every = 2
    log: list[tuple[str, Any]]

    def token_stats(self) -> Any:
        return {"top": lambda logits: logits.amax(-1)}

    def before_updates(self, step: StepBatch) -> None:
        self.log.append(("step", step))

    def select(self, batch: MiniBatch, rng: Any) -> Mapping[str, Tensor]:
        self.log.append(("minibatch", batch))
        return {}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        self.log.append(("ratio", (tokens.logp - tokens.logp_old).detach().abs().max()))
        return super().token_loss(tokens)


TOP = {"top": lambda logits: logits.amax(-1), "entropy": entropy}


def close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-5, rtol=0)


def test_fresh_old_and_reference_values_are_those_of_the_right_weights(make_trainer: Any, use_method: Any) -> None:
    use_method(Spy)
    trainer = make_trainer(steps=4)
    trainer.parts.method.log = []
    models: dict[str, Any] = {}
    experiences: list[Any] = []
    collect, select = trainer.parts.collector.collect, trainer.parts.method.select
    checked = []

    def values(model_state: Mapping[str, Tensor], rows: Tensor) -> Any:
        current = {name: value.clone() for name, value in trainer.parts.model.state_dict().items()}
        trainer.parts.model.load_state_dict(model_state)
        sequences = experiences[-1].sequences.rows(rows)
        found = frozen_forward(trainer.parts.model, sequences, TOP, 1.0, ForwardLimits(16, 4096))
        trainer.parts.model.load_state_dict(current)
        return found

    def recorded(*arguments: Any) -> Any:
        state = {name: value.clone() for name, value in trainer.parts.model.state_dict().items()}
        models["sampling"] = state
        models.setdefault("base", state)
        if trainer.position.step == 3:
            models["base"] = state  # reset before step 3, to the weights that sample it
        experiences.append(collect(*arguments))
        return experiences[-1]

    def compared(batch: MiniBatch, rng: Any) -> Any:
        rows = torch.arange(8) + 8 * batch.update
        logp, stats = values(models["sampling"], rows)
        close(batch.logp_old, logp)
        close(batch.entropy_old, stats["entropy"])
        close(batch.stats_old["top"], stats["top"])
        assert batch.logp_ref is not None
        close(batch.logp_ref, values(models["base"], rows)[0])
        assert torch.equal(batch.logp_ref, batch.logp_old) is (trainer.position.step in (1, 3))
        logp, stats = values(trainer.parts.model.state_dict(), rows)
        for name, value in (("logp", logp), *stats.items()):
            close(batch.fresh[name], value)
        if batch.update == 0:
            assert torch.equal(batch.fresh["logp"], batch.logp_old)
        else:
            assert not torch.allclose(batch.fresh["logp"], batch.logp_old, atol=1e-3)
        checked.append((trainer.position.step, batch.update))
        return select(batch, rng)

    trainer.parts.collector.collect, trainer.parts.method.select = recorded, compared
    trainer.run()
    assert checked == [(step, update) for step in range(1, 5) for update in range(2)]


def test_the_first_updates_ratio_is_one_exactly(make_trainer: Any, use_method: Any) -> None:
    use_method(Spy)
    trainer = make_trainer(steps=2)
    trainer.parts.method.log = []
    trainer.run()
    ratios: dict[int, list[float]] = {0: [], 1: []}
    update = 0
    for name, value in trainer.parts.method.log:
        if name == "minibatch":
            update = value.update
        if name == "ratio":
            ratios[update].append(float(value))
    assert ratios[0] == [0.0] * 4, "two steps, two micro-batches each"
    assert min(ratios[1]) > 0


class Dropping(Method):
    """Keeps only what `kept` says, and records its minibatches."""

    kept: Callable[[StepBatch], Tensor]
    log: list[MiniBatch]

    def keep(self, step: StepBatch) -> Tensor:
        return type(self).kept(step)

    def select(self, batch: MiniBatch, rng: Any) -> Mapping[str, Tensor]:
        self.log.append(batch)
        return {}


def test_dropped_sequences_leave_minibatches_and_divisors(
    make_trainer: Any, use_method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropping sequences is the same as weighting the others by a divisor that counts only them."""
    use_method(Dropping)
    monkeypatch.setattr(Dropping, "kept", staticmethod(lambda step: torch.arange(16) % 3 != 0), raising=False)
    trainer = make_trainer(steps=1, updates=1)
    trainer.parts.method.log = []
    experiences = []
    collect = trainer.parts.collector.collect
    trainer.parts.collector.collect = lambda *arguments: experiences.append(collect(*arguments)) or experiences[-1]
    base = {name: value.clone() for name, value in trainer.parts.model.state_dict().items()}
    trainer.run()
    (batch,) = trainer.parts.method.log
    kept = torch.arange(16)[torch.arange(16) % 3 != 0]
    assert torch.equal(batch.rewards, experiences[0].batch.rewards[kept])
    assert torch.equal(batch.mask, experiences[0].batch.mask[kept])
    advantages = trainer.parts.method.advantages(experiences[0].batch)
    assert torch.equal(batch.advantages, advantages[kept]), "advantages see all groups, dropped sequences too"
    trainer.parts.model.load_state_dict(base)
    trainer.parts.model.zero_grad()
    logp, _ = token_forward(trainer.parts.model, experiences[0].sequences.rows(kept), {}, 1.0, 4096)
    loss = -(logp * batch.advantages)[batch.mask].sum() / batch.mask.sum()  # the gradient of the surrogate at ratio 1
    loss.backward()
    expected = torch.nn.utils.get_total_norm([w.grad for w in trainer.parts.model.parameters()])
    assert trainer.position.rows[0]["grad_norm"] == pytest.approx(float(expected), rel=1e-4)


def test_a_minibatch_that_is_dropped_whole_makes_no_update(
    make_trainer: Any, use_method: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_method(Dropping)
    monkeypatch.setattr(Dropping, "kept", staticmethod(lambda step: torch.arange(16) >= 8), raising=False)
    trainer = make_trainer(steps=2)
    trainer.parts.method.log = []
    trainer.run()
    assert [row["updates"] for row in trainer.position.rows] == [1, 1]
    assert [batch.update for batch in trainer.parts.method.log] == [0, 0], "the one that is made is on policy"
    assert [row["kl"] for row in trainer.position.rows] == [0, 0]
    monkeypatch.setattr(Dropping, "kept", staticmethod(lambda step: torch.zeros(16, dtype=torch.bool)), raising=False)
    idle = make_trainer(steps=2, where="idle")
    before = weights(idle).clone()
    idle.run()
    assert torch.equal(weights(idle), before)
    assert (
        idle.position.rows[1]["updates"]
        == idle.position.rows[1]["policy_loss"]
        == idle.position.rows[1]["learning_rate"]
        == 0
    )


@pytest.mark.parametrize(("fresh", "updates"), [(True, 2), (False, 6)])
def test_a_renewed_reference_may_start_the_optimizer_afresh(
    make_trainer: Any, use_method: Any, fresh: bool, updates: int
) -> None:
    """Three steps of two updates; the reference is renewed before the third."""

    class Renewing(Method):
        reference = "base"
        reference_reset_every = 2
        fresh_optimizer = fresh

    use_method(Renewing)
    trainer = make_trainer(steps=3)
    trainer.run()
    assert {int(state["step"]) for state in trainer.parts.optimizer.state.values()} == {updates}
