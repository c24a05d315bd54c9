"""A step's answers: sampled, graded, refilled (dynamic sampling) and penalised by length where the study says so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from entrobench.config import TrainerConfig
from entrobench.distributed.ranks import Ranks
from entrobench.engines.rollout import Completion, Engine, Sampling
from entrobench.models.replies import reply_text


class RewardVerdict(Protocol):
    """What a reward returns; the grader's Verdict fits."""

    @property
    def correct(self) -> bool: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reward(self) -> float: ...


# (reply as `reply_text` has it, gold answer, ended by itself, a name of this very answer for rewards that draw random
# numbers, problem)
Reward = Callable[[str, str, bool, str, str], RewardVerdict]


@dataclass(frozen=True)
class Prompt:
    """A training problem, tokenised."""

    id: str
    tokens: list[int]
    answer: str
    problem: str  # as in the data, without the prompt around it


@dataclass(frozen=True)
class Answer:
    """One sampled and judged response; `key` names it for random draws."""

    prompt: Prompt
    completion: Completion
    verdict: RewardVerdict
    key: str


@dataclass
class Sampled:
    """All answers of a step, also those that are dropped; and those that go on, groups side by side."""

    kept: list[Answer] = field(default_factory=list)
    trainable: bool = True  # False: no group is mixed, `kept` is the first batch, for the record only
    batches: int = 0
    tokens: int = 0
    correct: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    rollout_seconds: float = 0.0
    reward_seconds: float = 0.0

    @property
    def count(self) -> int:
        return self.outcomes.total()

    @property
    def shares(self) -> dict[str, float]:
        """Share of each outcome among all answers."""
        return {name: count / self.count for name, count in self.outcomes.items()}


class Sampler:
    """Samples and grades answers to prompts; each process does its share and receives the answers of all."""

    def __init__(
        self, tokenizer: Any, engine: Engine, reward: Reward, config: TrainerConfig, stream: str, ranks: Ranks
    ) -> None:
        self.tokenizer, self.engine, self.reward, self.config, self.stream = tokenizer, engine, reward, config, stream
        self.ranks = ranks

    def sample(
        self, prompts: Sequence[Prompt], step: int, temperature: float, refill: Iterator[Sequence[Prompt]]
    ) -> Sampled:
        """Sample G answers to each prompt of a step.

        With dynamic sampling (DAPO, arXiv 2503.14476, section 3.2) groups whose answers are all right or all wrong are
        dropped. Further batches of prompts are taken from `refill`, until as many groups are mixed as the step has
        prompts, or `max_sampling_batches` batches are sampled.
        """
        sampled = Sampled()
        first = self._batch(prompts, step, temperature, sampled)
        if not self.config.dynamic_sampling:
            sampled.kept = first
            return sampled
        mixed = self._mixed(first)
        while len(mixed) < len(first) and sampled.batches < self.config.max_sampling_batches:
            mixed += self._mixed(self._batch(next(refill), step, temperature, sampled))
        sampled.trainable = bool(mixed)
        sampled.kept = mixed[: len(first)] or first
        return sampled

    def _batch(self, prompts: Sequence[Prompt], step: int, temperature: float, sampled: Sampled) -> list[Answer]:
        """Sample and judge one batch, and count it; random numbers are keyed by its number within the step."""
        start, size, number = time.perf_counter(), self.config.group_size, sampled.batches
        again = f"/{number}" if number else ""
        own = self.ranks.share(prompts)
        completions = self.engine.generate(
            [prompt.tokens for prompt in own],
            size,
            Sampling(temperature=temperature, max_tokens=self.config.max_response_tokens),
            [prompt.id for prompt in own],
            f"{self.stream}/{step}{again}",
        )
        drawn = time.perf_counter()
        answers = []
        for place, completion in enumerate(completions):
            prompt = own[place // size]
            key = f"{self.stream}/{prompt.id}/{place % size}{again}"
            text = reply_text(self.tokenizer, prompt.tokens, completion.tokens)
            ended = completion.finish == "stop"
            verdict = self.reward(text, prompt.answer, ended, f"{key}/{step}", prompt.problem)
            answers.append(Answer(prompt, completion, verdict, key))
        answers = self.ranks.gather(answers)
        sampled.batches += 1
        sampled.tokens += sum(len(answer.completion.tokens) for answer in answers)
        sampled.correct += sum(answer.verdict.correct for answer in answers)
        sampled.outcomes.update(answer.verdict.outcome for answer in answers)
        sampled.rollout_seconds += drawn - start
        sampled.reward_seconds += time.perf_counter() - drawn
        return answers

    def _mixed(self, answers: list[Answer]) -> list[Answer]:
        """The answers of groups that hold right and wrong ones (DAPO, eq. 11)."""
        return [answer for group in groups(answers, self.config.group_size) if mixed(group) for answer in group]


def groups(answers: Sequence[Answer], size: int) -> list[Sequence[Answer]]:
    """The answers to each prompt, which stand side by side."""
    return [answers[start : start + size] for start in range(0, len(answers), size)]


def mixed(group: Sequence[Answer]) -> bool:
    """Whether one answer to a prompt earned more than another, the length penalty left out."""
    return len({answer.verdict.reward for answer in group}) > 1


def reward_of(answer: Answer, config: TrainerConfig) -> float:
    """What the reward gives (built in: 1 if correct), minus the soft length penalty (DAPO, arXiv 2503.14476, eq. 13).

    The penalty grows linearly from 0 at max_response_tokens - overlong_buffer to `overlong_factor` at the longest
    answer.
    """
    earned = answer.verdict.reward
    if not config.overlong_buffer:
        return earned
    over = len(answer.completion.tokens) - (config.max_response_tokens - config.overlong_buffer)
    return earned - config.overlong_factor * max(0, over) / config.overlong_buffer
