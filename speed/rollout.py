"""Claim: the native engine samples at least 3.5 times as fast as model.generate() at batch 128, with equal results.

Tokens per second count real response tokens, the end token included. Both sides sample from the full vocabulary at
temperature 1 with the same end token and the same limit, 8 answers a prompt. generate() runs with a dynamic and with a
static cache; the faster is the peer. The native engine's time includes taking over the weights (`load`), which
generate() need not do, and the log-probabilities, which generate() is not asked for.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from shared.measure import arguments, describe_machine, interleaved, one_thread, ratio, table

BATCHES = (32, 128, 256)
GROUP = 8
TARGET = 3.5  # at batch 128
Prompts = list[list[int]]


def main() -> None:
    chosen = arguments(__doc__, tokens=24, rounds=9)
    one_thread()
    from entrobench.data.datasets import load_rows
    from entrobench.models.language_model import encode_prompt, load_model, load_tokenizer

    model = load_model(chosen.model)
    tokenizer = load_tokenizer(chosen.model)
    rows = load_rows(chosen.data, "train")[: max(BATCHES) // GROUP]
    prompts = [encode_prompt(tokenizer, row.problem) for row in rows]
    contest = Contest(model, tokenizer, chosen)
    contest.check(prompts)
    lines = [contest.measure(prompts[: batch // GROUP]) for batch in BATCHES]
    print(describe_machine())
    print(f"{chosen.model}, at most {chosen.tokens} new tokens, median of {chosen.rounds} interleaved rounds, tokens/s")
    print(table(["batch", "generate dynamic", "generate static", "native", "ratio to the faster"], lines))
    print(f"target at batch 128: at least {TARGET}")


class Contest:
    """The native engine and generate() on one model."""

    def __init__(self, model: Any, tokenizer: Any, chosen: Any) -> None:
        import torch

        from entrobench.engines.rollout import NativeEngine
        from entrobench.models.language_model import end_tokens

        self.model, self.longest, self.rounds = model, chosen.tokens, chosen.rounds
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        self.ends = end_tokens(model.generation_config, tokenizer)
        self.engine = NativeEngine(model, self.ends, torch.float32)

    def measure(self, prompts: Prompts) -> list[str]:
        """One line of the table."""
        tokens: dict[str, list[int]] = {"dynamic": [], "static": [], "native": []}
        seconds = interleaved(
            {
                "dynamic": lambda: tokens["dynamic"].append(self.generate(prompts, None)),
                "static": lambda: tokens["static"].append(self.generate(prompts, "static")),
                "native": lambda: tokens["native"].append(self.native(prompts, len(tokens["native"]))),
            },
            self.rounds,
        )
        # seconds per token; the first round only warmed up
        cost = {name: [s / t for s, t in zip(seconds[name], tokens[name][1:], strict=True)] for name in tokens}
        speed = {name: 1 / median(costs) for name, costs in cost.items()}
        peer = max("dynamic", "static", key=speed.__getitem__)
        ratio_text = f"{ratio(cost[peer], cost['native']):.2f}x"
        return [str(len(prompts) * GROUP), *(f"{speed[name]:,.0f}" for name in tokens), ratio_text]

    def native(self, prompts: Prompts, number: int) -> int:
        """Sample with the engine; the count of response tokens."""
        from entrobench.engines.rollout import Sampling

        self.engine.load(self.model)
        names = [str(place) for place in range(len(prompts))]
        completions = self.engine.generate(prompts, GROUP, Sampling(max_tokens=self.longest), names, str(number))
        return sum(len(completion.tokens) for completion in completions)

    def generate(self, prompts: Prompts, cache: str | None) -> int:
        """Sample with transformers; the count of response tokens."""
        settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "cache_implementation": cache}
        return sum(map(len, self._generate([p for p in prompts for _ in range(GROUP)], **settings)))

    def _generate(self, prompts: Prompts, **settings: Any) -> Prompts:
        """Responses of transformers' generate(), each up to its end token."""
        import torch

        width = max(map(len, prompts))
        ids = torch.tensor([[self.pad] * (width - len(p)) + p for p in prompts])
        seen = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        with torch.inference_mode():
            output = self.model.generate(
                ids,
                attention_mask=seen,
                max_new_tokens=self.longest,
                eos_token_id=self.ends,
                pad_token_id=self.pad,
                **settings,
            )
        return [self._until_end(row) for row in output[:, width:].tolist()]

    def _until_end(self, tokens: Sequence[int]) -> list[int]:
        ends = [place for place, token in enumerate(tokens) if token in self.ends]
        return list(tokens[: ends[0] + 1] if ends else tokens)

    def check(self, prompts: Prompts) -> None:
        """End with status 1 unless greedy tokens equal generate()'s and log-probs a teacher-forced forward's.

        Float32 itself moves single log-probabilities of a trained model by more than 1e-5, so the float64 forward shows
        what either side's rounding is, and the limit is one on 99.9 % of the tokens.
        """
        import torch

        from entrobench.engines.rollout import Sampling

        names = [str(place) for place in range(len(prompts))]
        greedy = self.engine.generate(prompts, 1, Sampling(temperature=0, max_tokens=self.longest), names, "0")
        equal = [c.tokens for c in greedy] == self._generate(prompts, do_sample=False)
        print(f"greedy tokens equal generate(): {equal}")
        drawn = self.engine.generate(prompts, GROUP, Sampling(max_tokens=self.longest), names, "0")
        told = torch.tensor([logp for c in drawn for logp in c.logps], dtype=torch.float64)
        responses = [completion.tokens for completion in drawn]
        forced = self._forced(prompts, responses, self.model)
        exact = self._forced(prompts, responses, copy.deepcopy(self.model).double())
        within = show_error("log-probs, native to teacher-forced", told, forced)
        show_error("log-probs, native to float64", told, exact)
        show_error("log-probs, teacher-forced to float64", forced, exact)
        if not equal or within < 0.999:
            sys.exit("the engine's results are wrong")

    @staticmethod
    def _forced(prompts: Prompts, responses: Prompts, model: Any) -> Any:
        """Log-probabilities of all response tokens in one row, from the trainer's forward."""
        import torch

        from entrobench.training.forward import frozen_forward, pack
        from entrobench.training.micro_batches import ForwardLimits

        repeated = [p for p in prompts for _ in range(GROUP)]
        sequences = pack(repeated, responses, torch.device("cpu"))
        logp, _ = frozen_forward(model, sequences, {}, 1.0, ForwardLimits(64, 4096))
        return logp[sequences.mask].double()


def show_error(label: str, found: Any, expected: Any) -> float:
    """Print how far two rows of log-probabilities are apart; returns the share of tokens within 1e-5."""
    error = (found - expected).abs()
    within = float((error <= 1e-5).double().mean())
    print(
        f"{label}: {within:.2%} of {len(error)} tokens within 1e-5, mean {error.mean():.1e}, largest {error.max():.1e}"
    )
    return within


if __name__ == "__main__":
    main()
