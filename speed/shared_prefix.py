"""Claim: an update whose prompts are run once for all their answers is at least twice as fast as the plain way.

The update is 16 prompts x 8 answers (40 + 8 tokens) at SmolLM2-135M's shape with random weights, GRPO's loss, micro-
batches of 64 sequences and the optimizer included; the forward that records the old log-probabilities is timed apart.
Both ways use the same weights in one process and take turns. Times are CPU seconds of this process, which other work on
the machine disturbs less than wall time; a ratio is the median over the rounds of plain / shared. Log-probabilities and
gradients of both are compared before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from shared.measure import describe_machine, ratio, table, use_threads

PROMPTS, ANSWERS, PROMPT_TOKENS, ANSWER_TOKENS = 16, 8, 40, 8
SHAPE = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
LAYERS = 30
TARGET = 2.0
TOLERANCE = 1e-5  # of log-probabilities in nats, and of a gradient relative to the largest one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", type=int, default=LAYERS, help="fewer make a quick trial (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    use_threads(chosen.threads)
    ways = {"plain": Way(chosen.layers, shares=False), "shared": Way(chosen.layers, shares=True)}
    apart = difference(*(way.update() for way in ways.values()))
    lines = []
    for what in ("record", "update"):
        seconds = in_turns({name: getattr(way, what) for name, way in ways.items()}, chosen.rounds)
        medians = [f"{median(taken):.2f}" for taken in seconds.values()]
        lines.append([what, *medians, f"{ratio(seconds['plain'], seconds['shared']):.2f}"])
    print(describe_machine(f"{chosen.threads} threads"))
    size = f"{PROMPTS} x {ANSWERS}, {PROMPT_TOKENS} + {ANSWER_TOKENS} tokens, {chosen.layers} of {LAYERS} layers"
    print(f"{size}: CPU seconds, medians of {chosen.rounds} rounds in turns")
    print(table(["forward", *ways, "ratio"], lines))
    print(f"gradients lie {apart:.1e} apart, relative to the largest (at most {TOLERANCE:g})")
    print(f"target of the update: at least {TARGET}")
    if apart > TOLERANCE:
        raise SystemExit("the two ways do not make the same update")


class Way:
    """A model and an optimizer of its own; equal seeds give equal weights."""

    def __init__(self, layers: int, shares: bool) -> None:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        from entrobench.models.language_model import make_deterministic
        from entrobench.models.shared_prefix import share_prompts

        make_deterministic(torch.device("cpu"))
        torch.manual_seed(0)
        config: Any = LlamaConfig(num_hidden_layers=layers, **SHAPE)
        self.model: Any = LlamaForCausalLM(config).eval()
        if shares:
            share_prompts(self.model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.0, weight_decay=0.0, foreach=True)
        self.sequences = random_sequences()

    def record(self) -> Any:
        """Log-probabilities and entropies of all answers without gradient."""
        from entrobench.entropy.logits import entropy
        from entrobench.training.forward import frozen_forward

        return frozen_forward(self.model, self.sequences, {"entropy": entropy}, 1.0, limits())

    def update(self) -> list[Any]:
        """GRPO's gradient in micro-batches and the optimizer's step; a few of the gradients."""
        from torch import Tensor

        from entrobench.training.update import accumulate_gradients

        keys = [str(row) for row in range(PROMPTS * ANSWERS)]
        method, batch = grpo_batch(self.sequences)
        accumulate_gradients(method, self.model, batch, self.sequences, keys, limits(), Tensor.backward)
        layers = self.model.base_model.layers
        watched = [layers[0].self_attn.k_proj, layers[-1].mlp.down_proj, self.model.base_model.embed_tokens]
        gradients = [layer.weight.grad.clone() for layer in watched]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return gradients


def limits() -> Any:
    """The default memory settings."""
    from entrobench.config import Hardware
    from entrobench.training.micro_batches import ForwardLimits

    return ForwardLimits(Hardware().micro_batch, Hardware().head_chunk)


def random_sequences() -> Any:
    """Prompts and answers of random tokens, all of one length."""
    import torch

    from entrobench.training.forward import pack

    draw = torch.Generator().manual_seed(0)
    prompts = torch.randint(SHAPE["vocab_size"], (PROMPTS, PROMPT_TOKENS), generator=draw).tolist()
    answers = torch.randint(SHAPE["vocab_size"], (PROMPTS * ANSWERS, ANSWER_TOKENS), generator=draw).tolist()
    return pack([prompt for prompt in prompts for _ in range(ANSWERS)], answers, torch.device("cpu"))


def grpo_batch(sequences: Any) -> tuple[Any, Any]:
    """GRPO, and the records of a first update with advantages of both signs."""
    import torch

    from entrobench.api import Method, MiniBatch, TrainerConfig

    advantages = torch.where(torch.arange(len(sequences.mask)) % 2 == 0, 1.0, -1.0)[:, None] * sequences.mask
    zero, rows = torch.zeros(sequences.mask.shape), torch.arange(len(sequences.mask))
    batch = MiniBatch(
        rewards=advantages[:, 0],
        group=rows // ANSWERS,
        pass_rate=torch.full((len(rows),), 0.5),
        truncated=torch.zeros(len(rows), dtype=torch.bool),
        mask=sequences.mask,
        logp_old=zero,
        logp_rollout=None,
        entropy_old=zero,
        stats_old={},
        logp_ref=None,
        step=1,
        total_steps=1,
        temperature=1.0,
        advantages=advantages,
        fresh={},
        micro_batch=rows // limits().micro_batch,
        update=0,
    )
    return Method(Method.Config(), TrainerConfig(prompts=PROMPTS, group_size=ANSWERS, updates=1)), batch


def difference(some: list[Any], others: list[Any]) -> float:
    """The largest difference, relative to the largest number."""
    pairs = zip(some, others, strict=True)
    return max(float((one - other).abs().max() / one.abs().max()) for one, other in pairs)


def in_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each call, round by round in an order that turns."""
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % 2 :] + names[: number % 2]:
            start = time.process_time()
            calls[name]()
            seconds[name].append(time.process_time() - start)
    return seconds


if __name__ == "__main__":
    main()
