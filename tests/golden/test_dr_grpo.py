"""Dr. GRPO by hand: advantages without the standard deviation, a divisor without lengths."""

from __future__ import annotations

import pytest
from golden_records import ROUNDED, method, mini_batch, step_batch

from entrobench.training.update import divisor_weights


def test_advantages_are_centred_and_not_scaled() -> None:
    batch = step_batch([1, 0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1, 2, 2], [3, 1, 2, 3, 1, 2, 3, 1, 2])
    found = method("dr_grpo").advantages(batch)
    by_sequence = [0.5, -0.5, -0.5, 0.5, 2 / 3, -1 / 3, -1 / 3, 0, 0]
    for row, (value, mask) in enumerate(zip(by_sequence, batch.mask.tolist(), strict=True)):
        assert found[row].tolist() == pytest.approx([value * inside for inside in mask], abs=ROUNDED)


def test_every_token_weighs_the_same_whatever_the_response_and_the_study() -> None:
    # two sequences of 1 and 3 tokens, configured longest response 10: each token counts 1/(2·10)
    batch = mini_batch([[1.0], [1.0, 1.0, 1.0]])
    for loss_agg in ("token-mean", "seq-mean-token-mean"):
        weights, _ = divisor_weights(method("dr_grpo", {"loss_agg": loss_agg}), batch, {})
        assert weights.tolist() == [[0.05, 0.0, 0.0], [0.05, 0.05, 0.05]]
