"""What a method declares besides its hooks (scope, divisor, aggregations, reference) decides what the trainer does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from tiny import weights
from torch import Tensor

from entrobench.api import Method, MiniBatch, TokenBatch, setting

SEEN: list[MiniBatch] = []


class Settable(Method):
    """Keeps the tokens above the median old entropy of a minibatch or micro-batch; everything declared is a setting."""

    reference = "base"

    @dataclass(frozen=True)
    class Config:
        scope: str = setting("minibatch", choices=("minibatch", "microbatch"))
        divisor: str = setting("all", choices=("all", "selected"))
        loss_agg: str | None = setting(None)
        regularizer_agg: str | None = setting(None)
        reference_reset_every: int = setting(0, low=0)
        current: bool = setting(False)
        pull: float = setting(0.0, low=0.0)

    @property
    def fresh(self) -> tuple[str, ...]:
        return ("entropy",) if self.config.current else ()

    def select(self, batch: MiniBatch, rng: Callable[[int], Tensor]) -> Mapping[str, Tensor]:
        SEEN.append(batch)
        ranked = batch.fresh["entropy"] if self.config.current else batch.entropy_old
        parts = batch.micro_batch if self.scope == "microbatch" else torch.zeros_like(batch.micro_batch)
        chosen = torch.zeros_like(ranked)
        for number in parts.unique():
            rows = parts == number
            chosen[rows] = (ranked[rows] > ranked[rows][batch.mask[rows]].median()).to(ranked)
        return {"selected": chosen * batch.mask}

    def token_loss(self, tokens: TokenBatch) -> Tensor:
        return super().token_loss(tokens) * tokens.extras["selected"]

    def regularizer(self, tokens: TokenBatch) -> Tensor:
        assert tokens.logp_ref is not None
        return self.config.pull * (tokens.logp - tokens.logp_ref) ** 2


@pytest.fixture
def run(make_trainer: Any, use_method: Any) -> Callable[..., Any]:
    """Train Settable: run(folder's name, micro-batch, values, settings of the trainer)."""
    use_method(Settable)
    SEEN.clear()

    def made(where: str, micro_batch: int = 8, values: dict[str, Any] | None = None, **settings: Any) -> Any:
        hardware = {"micro_batch": micro_batch, "checkpoint_every": 100}
        trainer = make_trainer("grpo", where, hardware=hardware, values=values, **settings)
        trainer.run()
        return trainer

    return made


def test_constants_properties_and_settings_declare() -> None:
    class Constant(Method):
        scope = "microbatch"
        fresh = ("logp",)

    plain, constant = Method(Method.Config(), None), Constant(Constant.Config(), None)  # type: ignore[arg-type]
    assert (plain.scope, plain.fresh, plain.divisor, plain.reference_reset_every) == ("minibatch", (), "all", 0)
    assert (plain.loss_agg, plain.regularizer_agg, plain.provisional) == (None, None, "")
    assert (constant.scope, constant.fresh) == ("microbatch", ("logp",))
    chosen = Settable(Settable.Config(scope="microbatch", divisor="selected", reference_reset_every=3), None)  # type: ignore[arg-type]
    assert (chosen.scope, chosen.divisor, chosen.reference_reset_every) == ("microbatch", "selected", 3)


def test_only_scope_microbatch_depends_on_the_micro_batch(run: Any) -> None:
    def moved(scope: str) -> float:
        whole, parts = (run(f"{scope}{size}", size, {"scope": scope}, steps=1, updates=1) for size in (16, 3))
        return float((weights(whole) - weights(parts)).abs().max())

    assert moved("minibatch") < 1e-5
    assert moved("microbatch") > 1e-3


def test_micro_batch_numbers_are_those_of_the_forwards(run: Any) -> None:
    run("run", 3, {"scope": "microbatch"}, steps=1)
    assert [batch.micro_batch.tolist() for batch in SEEN] == [[0, 0, 0, 1, 1, 1, 2, 2]] * 2


def policy_loss_by_hand(run: Any, divide: Callable[[Tensor, Tensor], Tensor], **values: Any) -> tuple[float, float]:
    """(logged policy loss, expected one) of one on-policy update: selected tokens' -A, aggregated by `divide`."""
    trainer = run("run", 5, values, steps=1, updates=1)
    (batch,) = SEEN
    selected = trainer.parts.method.select(batch, None)["selected"]
    loss = -batch.advantages * selected
    return trainer.position.rows[0]["policy_loss"], float(divide(loss, selected))


def test_divisor_selected(run: Any) -> None:
    logged, expected = policy_loss_by_hand(run, lambda loss, chosen: loss.sum() / chosen.sum(), divisor="selected")
    assert logged == pytest.approx(expected, rel=1e-5)
    assert abs(expected) > 1e-3


def test_a_pinned_aggregation_wins_over_the_studys(run: Any) -> None:
    def divide(loss: Tensor, chosen: Tensor) -> Tensor:
        return loss.sum(1).mean() / 6  # the configured longest response

    logged, expected = policy_loss_by_hand(run, divide, loss_agg="seq-mean-token-sum-norm")
    assert logged == pytest.approx(expected, rel=1e-5)


def test_the_regularizer_has_an_aggregation_of_its_own(run: Any) -> None:
    values = {"pull": 0.7, "regularizer_agg": "seq-mean-token-mean"}
    trainer = run("run", 5, values, steps=2, updates=1)
    batch = SEEN[1]
    assert batch.logp_ref is not None
    squares = 0.7 * (batch.logp_old - batch.logp_ref) ** 2 * batch.mask  # one update a step: old is current
    expected = (squares.sum(1) / batch.mask.sum(1)).mean()
    assert trainer.position.rows[1]["regularizer_loss"] == pytest.approx(float(expected), rel=1e-4)
    assert float(expected) > 1e-4


def test_the_reference_is_reset_as_often_as_a_setting_says(run: Any) -> None:
    run("run", 8, {"reference_reset_every": 2}, steps=5, updates=1)
    at_reset = [bool(torch.equal(batch.logp_ref, batch.logp_old)) for batch in SEEN if batch.logp_ref is not None]
    assert at_reset == [True, False, True, False, True]


def test_fresh_may_be_a_matter_of_settings(run: Any) -> None:
    run("old", 8, {}, steps=1)
    assert [dict(batch.fresh) for batch in SEEN] == [{}, {}]
    SEEN.clear()
    trainer = run("current", 8, {"current": True}, steps=1)
    first, second = SEEN
    assert torch.equal(first.fresh["entropy"], first.entropy_old)
    assert not torch.allclose(second.fresh["entropy"], second.entropy_old, atol=1e-4)
    assert 0 < trainer.position.rows[0]["extra/selected"] < 0.6
