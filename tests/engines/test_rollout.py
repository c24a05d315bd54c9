"""The native engine: transformers' numbers, keyed random draws, and one line for what it cannot run."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import BODY, END, PAD, tiny_model

from entrobench.engines import rollout
from entrobench.engines.native import NativeModel
from entrobench.engines.rollout import Completion, NativeEngine, Sampling, sample, truncate
from entrobench.errors import InputError
from entrobench.training.forward import frozen_forward, pack
from entrobench.training.micro_batches import ForwardLimits

ROPES: dict[str, dict[str, Any]] = {
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "yarn": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32},
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama3 rope": ("llama", {"rope_parameters": ROPES["llama3"]}),
    "yarn": ("llama", {"rope_parameters": ROPES["yarn"]}),
    "qwen2": ("qwen2", {}),
    "qwen2, tied, one key head": ("qwen2", {"tie_word_embeddings": True, "num_key_value_heads": 1}),
    "qwen3": ("qwen3", {}),
    "qwen3, tied": ("qwen3", {"tie_word_embeddings": True}),
}
FAMILIES = pytest.mark.parametrize("name", MODELS)


def make(name: str) -> Any:
    family, changes = MODELS[name]
    return tiny_model(family, **changes)


def draw_prompts(count: int, shortest: int = 1, longest: int = 9, seed: int = 0) -> list[list[int]]:
    generator = random.Random(seed)
    return [generator.choices(BODY, k=generator.randint(shortest, longest)) for _ in range(count)]


def engine(model: Any, ends: Sequence[int] = (END,), batch_rows: int = 256) -> NativeEngine:
    return NativeEngine(model, ends, torch.float32, batch_rows)


def names(prompts: Sequence[Sequence[int]]) -> list[str]:
    return [str(place) for place in range(len(prompts))]


def assert_teacher_forced(
    model: Any, prompts: list[list[int]], completions: list[Completion], temperature: float
) -> None:
    """Log-probabilities within 1e-5 of the trainer's forward, in float64: in float32 that has noise of its own."""
    repeated = [prompt for prompt in prompts for _ in range(len(completions) // len(prompts))]
    sequences = pack(repeated, [c.tokens for c in completions], torch.device("cpu"))
    exact, _ = frozen_forward(copy.deepcopy(model).double(), sequences, {}, temperature, ForwardLimits(44, 4096))
    told = torch.tensor([logp for c in completions for logp in c.logps], dtype=torch.float64)
    torch.testing.assert_close(told, exact[sequences.mask], atol=1e-5, rtol=0)


@FAMILIES
def test_greedy_tokens_equal_generate(name: str) -> None:
    model, prompts = make(name), draw_prompts(9)
    found = engine(model).generate(prompts, 1, Sampling(temperature=0, max_tokens=14), names(prompts), "0")
    width = max(map(len, prompts))
    padded = torch.tensor([[PAD] * (width - len(prompt)) + prompt for prompt in prompts])
    seen = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    output = model.generate(padded, attention_mask=seen, do_sample=False, max_new_tokens=14, eos_token_id=END)
    for completion, row in zip(found, output[:, width:].tolist(), strict=True):
        assert completion.tokens == row[: row.index(END) + 1 if END in row else None]


@FAMILIES
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_log_probs_equal_teacher_forcing_with_padding(name: str, temperature: float) -> None:
    model, prompts = make(name), draw_prompts(11)
    sampling = Sampling(temperature, max_tokens=16)
    completions = engine(model).generate(prompts, 4, sampling, names(prompts), "0")
    assert_teacher_forced(model, prompts, completions, temperature)


def test_finish_says_why_a_completion_ended() -> None:
    prompts = draw_prompts(12)
    ends = [END, BODY[0], BODY[1]]
    completions = engine(tiny_model(), ends).generate(prompts, 4, Sampling(max_tokens=12), names(prompts), "0")
    assert {c.finish for c in completions} == {"stop", "length"}
    for completion in completions:
        stops = [token in ends for token in completion.tokens]
        assert len(completion.logps) == len(completion.tokens)
        if completion.finish == "stop":
            assert stops.index(True) == len(stops) - 1
        else:
            assert len(stops) == 12
            assert not any(stops)


def boundary_distance(model: Any, prompt: list[int], tokens: list[int], key: str) -> float:
    """How far the draw of the last of `tokens` lies from a boundary of the cumulative distribution, in probability."""
    logits = model(torch.tensor([prompt + tokens[:-1]])).logits[0, -1].double()
    uniform = float(rollout._uniforms([key], len(tokens))[0, -1])
    return float((logits.softmax(-1).cumsum(-1) - uniform).abs().min())


def assert_same(model: Any, prompts: list[list[int]], left: list[Completion], right: list[Completion]) -> None:
    """Equal tokens, but after a draw within 1e-5 of a boundary; log-probabilities within 1e-5."""
    n = len(left) // len(prompts)
    assert len(left) == len(right)
    for place, (one, two) in enumerate(zip(left, right, strict=True)):
        pairs = itertools.zip_longest(one.tokens, two.tokens)
        parting = next((t for t, (a, b) in enumerate(pairs) if a != b), len(one.tokens))
        if parting < max(len(one.tokens), len(two.tokens)):
            prompt, key = place // n, f"0/{place // n}/{place % n}"
            assert boundary_distance(model, prompts[prompt], one.tokens[: parting + 1], key) < 1e-5
        assert one.logps[:parting] == pytest.approx(two.logps[:parting], abs=1e-5)


def test_order_batch_size_and_number_of_answers_do_not_change_tokens() -> None:
    model, prompts = tiny_model("qwen2"), draw_prompts(10)
    sampling = Sampling(max_tokens=16)
    whole = engine(model).generate(prompts, 4, sampling, names(prompts), "0")
    for batch_rows in (1, 7, 16):
        assert_same(
            model,
            prompts,
            whole,
            engine(model, batch_rows=batch_rows).generate(prompts, 4, sampling, names(prompts), "0"),
        )
    backwards = engine(model).generate(prompts[::-1], 4, sampling, names(prompts)[::-1], "0")
    turned = [c for start in range(36, -1, -4) for c in backwards[start : start + 4]]
    assert_same(model, prompts, whole, turned)
    fewer = engine(model).generate(prompts, 2, sampling, names(prompts), "0")
    first_two = [c for start in range(0, 40, 4) for c in whole[start : start + 2]]
    assert_same(model, prompts, first_two, fewer)


def test_compaction_changes_nothing_and_stops_at_eight_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = tiny_model(spread=0.2), draw_prompts(8)
    ends = [END, *BODY[:12]]
    lines: list[int] = []
    step = NativeModel.step
    monkeypatch.setattr(
        NativeModel, "step", lambda self, tokens, cache: lines.append(len(tokens)) or step(self, tokens, cache)
    )
    compacted = engine(model, ends).generate(prompts, 4, Sampling(max_tokens=16), names(prompts), "0")
    assert lines == sorted(lines, reverse=True)
    assert (lines[0], lines[-1]) == (32, 8)
    lines.clear()
    monkeypatch.setattr(rollout, "COMPACT_SHARE", 2.0)
    plain = engine(model, ends).generate(prompts, 4, Sampling(max_tokens=16), names(prompts), "0")
    assert set(lines) == {32}
    assert_same(model, prompts, compacted, plain)


def test_seed_and_key_decide_the_draws() -> None:
    model, prompts = tiny_model(), draw_prompts(4)
    sampling = Sampling(max_tokens=16)
    first = engine(model).generate(prompts, 3, sampling, names(prompts), "0")
    assert engine(model).generate(prompts, 3, sampling, names(prompts), "0") == first
    for keys, seed in ((names(prompts), "1"), (["a", "b", "c", "d"], "0")):
        other = engine(model).generate(prompts, 3, sampling, keys, seed)
        assert [c.tokens for c in other] != [c.tokens for c in first]
    assert len({tuple(c.tokens) for c in first[:3]}) == 3, "draws of one prompt differ"


def test_uniform_numbers_are_keyed_streams() -> None:
    numbers = rollout._uniforms([f"key {row}" for row in range(2000)], 8)
    assert numbers.dtype == numpy.float32
    assert numbers.min() >= 0
    assert numbers.max() <= 1 - 2**-24
    assert numpy.array_equal(numbers * 2**24, numpy.round(numbers * 2**24))
    assert abs(numbers.mean() - 0.5) < 0.01
    assert abs(numbers.var() - 1 / 12) < 0.002
    assert numpy.array_equal(rollout._uniforms(["key 3"], 5)[0], numbers[3, :5]), "a longer answer starts alike"


@given(st.integers(2, 200), st.integers(0, 2**32 - 1), st.floats(0.1, 8.0))
def test_inversion_draws_every_token_as_often_as_its_probability(size: int, seed: int, sharpness: float) -> None:
    logits = sharpness * torch.randn(1, size, generator=torch.Generator().manual_seed(seed))
    count = 4096
    grid = (torch.arange(count) + 0.5) / count
    token, logp = sample(logits.expand(count, -1), Sampling(), grid)
    drawn = torch.bincount(token, minlength=size)
    exact = logits[0].double().softmax(-1)
    assert (drawn - count * exact).abs().max() <= 1.01, (
        "an interval of length p holds floor(p·n) or one more of the grid"
    )
    assert bool((token.diff() >= 0).all())
    torch.testing.assert_close(logp.double(), exact.log()[token], atol=1e-5, rtol=0)


@given(st.integers(2, 300), st.integers(0, 2**32 - 1))
def test_tokens_without_mass_are_never_drawn(size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, size, generator=generator)
    logits[0, torch.rand(size, generator=generator) < 0.7] = -torch.inf
    logits[0, seed % size] = 0.0
    edges = torch.tensor([0.0, 2**-24, 0.5, 1 - 2**-24])
    token, logp = sample(logits.expand(4, -1), Sampling(), edges)
    assert bool(logits[0, token].isfinite().all())
    assert bool(logp.isfinite().all())


def nucleus(probabilities: list[float], top_p: float, top_k: int) -> set[int]:
    """Tokens that may be drawn, from the definitions."""
    ordered = sorted(range(len(probabilities)), key=lambda token: -probabilities[token])
    if top_k:
        ordered = [token for token in ordered if probabilities[token] >= probabilities[ordered[:top_k][-1]]]
    total = sum(probabilities[token] for token in ordered)
    kept, mass = set(), 0.0
    for token in ordered:
        if kept and mass >= top_p * total:
            break
        kept.add(token)
        mass += probabilities[token]
    return kept


@given(st.integers(2, 60), st.integers(0, 2**32 - 1), st.floats(0.05, 1.0), st.integers(0, 70))
def test_truncation_keeps_the_nucleus(size: int, seed: int, top_p: float, top_k: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (3 * torch.randn(1, size, dtype=torch.float64, generator=generator)).softmax(-1)
    kept = truncate(probabilities, Sampling(top_p=top_p, top_k=top_k))[0]
    expected = nucleus(probabilities[0].tolist(), top_p, top_k)
    assert set(kept.nonzero().flatten().tolist()) == expected
    assert bool((kept[kept > 0] == probabilities[0][kept > 0]).all()), "what is kept stays as it is"


def test_truncated_sampling_stays_inside_and_reports_full_log_probs() -> None:
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(1)).expand(512, -1)
    token, logp = sample(logits, Sampling(temperature=0.8, top_k=5, top_p=0.9), torch.rand(512))
    exact = (logits[0].double() / 0.8).softmax(-1)
    assert set(token.tolist()) == nucleus(exact.tolist(), 0.9, 5)
    torch.testing.assert_close(logp.double(), exact.log()[token], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
@pytest.mark.parametrize("tied", [True, False])
def test_load_follows_an_update(family: str, tied: bool) -> None:
    model, prompts = tiny_model(family, tie_word_embeddings=tied), draw_prompts(6)
    sampling = Sampling(max_tokens=10)
    native = engine(model)
    before = native.generate(prompts, 2, sampling, names(prompts), "0")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(torch.tensor([prompts[0] + [END]])).logits.logsumexp(-1).sum().backward()
    optimizer.step()
    native.load(model)
    after = native.generate(prompts, 2, sampling, names(prompts), "0")
    assert after == engine(model).generate(prompts, 2, sampling, names(prompts), "0")
    assert after != before
    assert_teacher_forced(model, prompts, after, 1.0)


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("mistral", {}, ["native", "mistral", "llama, qwen2, qwen3"]),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 0}, ["sliding window"]),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}, ["rope", "dynamic"]),
        ("llama", {"hidden_act": "gelu"}, ["hidden_act", "gelu"]),
    ],
)
def test_what_it_cannot_run_is_one_line(family: str, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        engine(tiny_model(family, **changes))
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_an_empty_prompt_is_one_line() -> None:
    with pytest.raises(InputError, match="empty prompt") as caught:
        engine(tiny_model()).generate([[5], []], 2, Sampling(), ["0", "1"], "0")
    assert "\n" not in str(caught.value)


def test_what_does_not_fit_the_models_positions_is_one_line() -> None:
    """Positions beyond them are computed all the same, and give other answers."""
    made = engine(tiny_model(max_position_embeddings=16))
    prompts = [[5] * 3, [6] * 10]
    assert len(made.generate(prompts, 1, Sampling(max_tokens=6), ["a", "b"], "0")) == 2
    with pytest.raises(InputError, match="a prompt of 10 tokens and a response of up to 7 exceed the model's 16 posit"):
        made.generate(prompts, 1, Sampling(max_tokens=7), ["a", "b"], "0")


@pytest.mark.parametrize("sampling", [Sampling(1.0), Sampling(0.0), Sampling(1.0, top_k=3), Sampling(0.7, top_p=0.9)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_one_line(sampling: Sampling, bad: float) -> None:
    """Before, sampling ended in an IndexError, and a greedy answer was token 0 for ever."""
    model = tiny_model()
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight[3, 2] = bad
    engine = NativeEngine(model, [END], torch.float32)
    with pytest.raises(InputError, match=r"are NaN: [1-9]\d* of the model's weights are NaN or infinite") as caught:
        engine.generate([[5, 6, 7], [5]], 4, sampling, ["a", "b"], "seed")
    assert "\n" not in str(caught.value)
