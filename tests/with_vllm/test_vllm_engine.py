"""vLLM in process: the native engine's greedy tokens, the trainer's log-probabilities, weights that follow."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_checks import KEYS, LONGEST, PROMPTS, assert_it_follows, change, drawn, mismatches, save, tokens, untrained
from tiny import END

from entrobench.config import Hardware
from entrobench.engines.rollout import Sampling
from entrobench.engines.vllm_engine import VllmEngine, first_seed


@dataclass
class Pair:
    model: Any
    engine: VllmEngine


@pytest.fixture(scope="module", params=["chain-qwen", "chain-llama"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A model and an engine of the same weights; tied embeddings, and not."""
    model = untrained(request.param)
    folder = save(model, tmp_path_factory.mktemp("models") / request.param)
    engine = VllmEngine(folder, [END], torch.device("cpu"), torch.float32, Hardware(), LONGEST)
    return Pair(model, engine)


def test_it_follows_the_weights_before_and_after_updates(pair: Pair) -> None:
    assert_it_follows(pair.engine, pair.model)
    for seed in (1, 2):
        before = drawn(pair.engine)
        change(pair.model, seed)
        assert float(mismatches(pair.model, before, 1.0).mean()) > 10 * pair.engine.tolerance, "stale weights must show"
        pair.engine.load(pair.model)
        assert tokens(drawn(pair.engine)) != tokens(before)
        assert_it_follows(pair.engine, pair.model)


def test_a_small_change_of_the_output_layer_alone_is_followed(pair: Pair) -> None:
    with torch.no_grad():
        pair.model.get_output_embeddings().weight.mul_(1.1)
    stale = float(mismatches(pair.model, drawn(pair.engine), 1.0).mean())
    assert stale > pair.engine.tolerance
    pair.engine.load(pair.model)
    assert_it_follows(pair.engine, pair.model)


def test_seeds_and_keys_alone_decide_the_tokens(pair: Pair) -> None:
    first = drawn(pair.engine)
    assert drawn(pair.engine) == first
    pair.engine.load(pair.model)
    assert tokens(drawn(pair.engine)) == tokens(first), "the same weights again"
    assert tokens(drawn(pair.engine, seed="0/2")) != tokens(first)
    assert len({tuple(completion.tokens) for completion in first[:4]}) > 1, "draws of a prompt differ"
    sampling = Sampling(max_tokens=20)
    turned = pair.engine.generate(PROMPTS[::-1], 4, sampling, KEYS[::-1], "0/1")
    regrouped = [completion for start in range(28, -1, -4) for completion in turned[start : start + 4]]
    assert tokens(regrouped) == tokens(first)
    same = pair.engine.generate([PROMPTS[3]] * 2, 1, sampling, ["a", "b"], "0")
    assert same[0].tokens != same[1].tokens


def test_draws_follow_the_distribution(pair: Pair) -> None:
    count = 4000
    found = pair.engine.generate([PROMPTS[2]], count, Sampling(temperature=0.5, max_tokens=1), ["x"], "0")
    with torch.no_grad():
        logits = pair.model(torch.tensor([PROMPTS[2]])).logits[0, -1].double()
    expected = (logits / 0.5).softmax(-1) * count
    common = expected >= 10
    observed = torch.zeros_like(expected)
    for token, times in Counter(completion.tokens[0] for completion in found).items():
        observed[token] = times
    pooled = [torch.cat([x[common], x[~common].sum()[None]]) for x in (observed, expected)]
    statistic = float(((pooled[0] - pooled[1]) ** 2 / pooled[1]).sum())
    degrees = len(pooled[0]) - 1
    assert degrees > 10
    assert abs(statistic - degrees) < 5 * (2 * degrees) ** 0.5


def test_sampling_may_be_truncated(pair: Pair) -> None:
    found = pair.engine.generate([PROMPTS[2]], 200, Sampling(top_k=3, max_tokens=1), ["x"], "0")
    with torch.no_grad():
        likely = pair.model(torch.tensor([PROMPTS[2]])).logits[0, -1].topk(3).indices.tolist()
    assert {completion.tokens[0] for completion in found} == set(likely)
    assert found[0].logps == [], "they would be those of the three"


def test_it_sleeps_after_sampling_and_wakes_to_load_or_sample(pair: Pair) -> None:
    first = drawn(pair.engine)
    pair.engine.sleeps = True  # on a CPU the calls free nothing, but their order counts: asleep, vLLM samples nothing
    try:
        assert tokens(drawn(pair.engine)) == tokens(first)
        assert pair.engine.asleep
        assert tokens(drawn(pair.engine)) == tokens(first), "a step may sample again"
        pair.engine.load(pair.model)
        assert not pair.engine.asleep
        assert tokens(drawn(pair.engine)) == tokens(first)
    finally:
        pair.engine.sleeps = False
        pair.engine._wake()


@pytest.mark.parametrize("recipe", ["chain-qwen", "chain-llama"])
def test_layers_cut_between_two_devices_follow_the_weights(recipe: str, tmp_path: Path) -> None:
    """Two processes on the CPU, tied embeddings and not."""
    script = Path(__file__).with_name("two_devices.py")
    ended = subprocess.run([sys.executable, script, recipe, tmp_path], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]


def test_seeds_leave_room_for_the_draws() -> None:
    seeds = [first_seed("0/1", f"prompt{number}") for number in range(1000)]
    assert len(set(seeds)) == 1000
    assert max(seeds) < 2**62 < 2**63 - 2**40


def test_the_plug_in_is_installed(tmp_path: Path) -> None:
    from importlib.metadata import entry_points

    names = {point.name: point.value for point in entry_points(group="vllm.general_plugins")}
    assert names["entrobench"] == "entrobench.engines.vllm_plugin:register"
