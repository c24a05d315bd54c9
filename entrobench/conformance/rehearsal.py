"""A rehearsal: a tiny real model and fixed answers, on which a method goes through whole steps in float64.

All of it is the trainer's own code, except that answers are fixed and not sampled: two rehearsals differ only in what
the caller changes.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from entrobench.api import Method, Progress, TrainerConfig
from entrobench.distributed.sharding import sum_gradients
from entrobench.engines.rollout import Completion, Sampling
from entrobench.models.shared_prefix import share_prompts
from entrobench.training import hook_checks
from entrobench.training.answers import Prompt, Reward, Sampler
from entrobench.training.experience import Collector, Experience, minibatches
from entrobench.training.micro_batches import ForwardLimits
from entrobench.training.rows import summarise
from entrobench.training.update import Measures, accumulate_gradients

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<unk>")
WORDS = (*"0123456789", *"+-*=;", "\\boxed{", "}", *"abcdefghijk")  # the embedded task's, and filler up to 32 entries
VOCABULARY = (*SPECIAL_TOKENS, *WORDS)
BODY = range(len(SPECIAL_TOKENS), len(VOCABULARY))  # what prompts and answers are made of
END = SPECIAL_TOKENS.index("</s>")
PROMPT_LENGTHS = (2, 5, 3, 4)
RESPONSE_LENGTHS = (3, 4, 7, 2, 5, 6, 2, 4, 6, 5, 3, 4)  # three answers a prompt, the end token included
TRUNCATED = 2  # the answer that has no end token
STEPS = (1, 400, 401)  # the first; and two late ones, past any warm-up, so that the last runs on an adapted state
LEARNING_RATE = 0.2  # some ratios of the second updates leave the clip range; more would magnify rounding

TRAINER = TrainerConfig(
    steps=STEPS[-1],
    prompts=len(PROMPT_LENGTHS),
    group_size=3,
    updates=2,
    max_prompt_tokens=8,
    max_response_tokens=max(RESPONSE_LENGTHS),
    learning_rate=1e-3,
    warmup_updates=0,
    dual_clip=3.0,
    grad_clip=3.0,  # without it, ratios as weights (CISPO) make the descent run away; a tighter one leaves none clipped
)
MINIBATCH = TRAINER.prompts * TRAINER.group_size // TRAINER.updates  # sequences
WHOLE = ForwardLimits(MINIBATCH, 4096)


@dataclass
class Trace:
    """What a rehearsal did: the gradient of every update, and the weights and the method's state at the end."""

    gradients: list[Tensor] = field(default_factory=list)
    before: list[Tensor] = field(default_factory=list)  # the weights from which each update starts
    ends: list[tuple[Tensor, dict[str, Any]]] = field(default_factory=list)  # weights and state after each step
    terms: int = 1  # numbers that are added up for one of a gradient

    def difference(self, other: Trace) -> float:
        """Largest difference of any gradient, weight or number of the state."""
        pairs = [*zip(self.gradients, other.gradients, strict=True), (self.weights, other.weights)]
        numbers = [(self.state[k], other.state[k]) for k, v in self.state.items() if isinstance(v, (int, float))]
        return largest([(a - b).abs().max() for a, b in pairs] + [abs(float(a) - float(b)) for a, b in numbers])

    @property
    def rounding(self) -> float:
        """How far two float64 evaluations of one update may lie apart: the bound of sums in another order.

        Such a sum of n terms errs by at most n·u·Σ|terms|, u the unit roundoff; Σ|terms| is taken as the size of the
        result, at least 1, with `terms` (tokens times vocabulary, the longest sum there is) for n.
        """
        size = largest([1.0, *(gradient.abs().max() for gradient in self.gradients)])
        return self.terms * torch.finfo(torch.float64).eps * size

    @property
    def weights(self) -> Tensor:
        """Those at the end."""
        return self.ends[-1][0]

    @property
    def state(self) -> dict[str, Any]:
        """The method's at the end."""
        return self.ends[-1][1]


def largest(differences: Sequence[Tensor | float]) -> float:
    """The largest number; NaN if any is NaN, which Python's `max` may overlook."""
    return float(torch.tensor([float(difference) for difference in differences], dtype=torch.float64).max())


@dataclass(frozen=True)
class Judged:
    """A verdict."""

    correct: bool
    outcome: str

    @property
    def reward(self) -> float:
        return float(self.correct)


def even_words(text: str, answer: str, finished: bool, key: str, problem: str) -> Judged:
    """A reward unrelated to the problem: right if the response has an even number of words."""
    correct = len(text.split()) % 2 == 0
    return Judged(correct, "correct" if correct else "wrong")


class Replay:
    """An engine that always returns the fixed answers."""

    tolerance = math.inf

    def load(self, model: Any) -> None:
        """Does nothing: there are no weights."""

    def generate(
        self, prompts: Sequence[Sequence[int]], n: int, sampling: Sampling, keys: Sequence[str], seed: str
    ) -> list[Completion]:
        """The fixed answers; a rough log-probability stands for the rollout engine's own."""
        names = [prompt.id for prompt in fixed_prompts()]
        answers = fixed_answers()
        return [answer for key in keys for answer in answers[names.index(key) * n : (names.index(key) + 1) * n]]


def fixed_answers() -> list[Completion]:
    """Answers of unequal length, as many to each prompt; all but one end by themselves."""
    generator = random.Random("answers")
    completions = []
    for number, length in enumerate(RESPONSE_LENGTHS):
        body = [generator.choice(BODY) for _ in range(length)]
        tokens = body if number == TRUNCATED else [*body[:-1], END]
        completions.append(Completion(tokens, [-3.0] * length, "length" if number == TRUNCATED else "stop"))
    return completions


def tiny_tokenizer() -> Any:
    """A tokenizer of 32 words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pad, begin, end, unknown = SPECIAL_TOKENS
    names = {"pad_token": pad, "bos_token": begin, "eos_token": end, "unk_token": unknown}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def tiny_model() -> Any:
    """A Qwen2 of 32 tokens, width 8 and two layers, float32, its weights fixed and far from uniform."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=END,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model: Any = Qwen2ForCausalLM(config)
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.normal_(std=0.5)
    return model.eval()


def exact_model() -> Any:
    """A new tiny model in float64 throughout: transformers' norms would round to float32 inside."""
    return copy.deepcopy(_exact_model())


@functools.cache
def _exact_model() -> Any:
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

    model = tiny_model().double()
    share_prompts(model)
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, Qwen2RMSNorm):
                exact = torch.nn.RMSNorm(len(norm.weight), norm.variance_epsilon, dtype=torch.float64)
                setattr(parent, name, exact)
    return model


def fixed_prompts() -> list[Prompt]:
    """Prompts of unequal length."""
    generator = random.Random("prompts")
    return [
        Prompt(f"prompt{number}", [generator.choice(BODY) for _ in range(length)], "", "")
        for number, length in enumerate(PROMPT_LENGTHS)
    ]


def unchanged(experience: Experience) -> Experience:
    """The experience itself."""
    return experience


def padded(experience: Experience) -> Experience:
    """The experience with three more places of padding in L and T."""
    return _changed(experience, lambda t: torch.nn.functional.pad(t, (0, 3)) if t.dim() == 2 else t, experience.keys)


def reordered(experience: Experience) -> Experience:
    """The experience with the sequences of each minibatch in another order."""
    order = torch.cat([torch.tensor([4, 0, 5, 2, 1, 3]) + start for start in range(0, len(experience.keys), MINIBATCH)])
    order = order[order < len(experience.keys)]  # dynamic sampling may leave fewer
    return _changed(experience, lambda t: t[order], [experience.keys[row] for row in order.tolist()])


def _changed(experience: Experience, change: Callable[[Tensor], Tensor], keys: list[str]) -> Experience:
    """Apply one change to every tensor of an experience."""
    batch, sequences = experience.batch, experience.sequences
    tensors: dict[str, Any] = {name: change(value) for name, value in vars(batch).items() if isinstance(value, Tensor)}
    stats_old = {name: change(value) for name, value in batch.stats_old.items()}
    packed = {name: change(value) for name, value in vars(sequences).items()}
    return replace(
        experience,
        batch=replace(batch, stats_old=stats_old, **tensors),
        sequences=replace(sequences, **packed),
        keys=keys,
    )


def rehearse(
    method: Method,
    limits: ForwardLimits = WHOLE,
    rearrange: Callable[[Experience], Experience] = unchanged,
    leader: Trace | None = None,
    reward: Reward = even_words,
) -> Trace:
    """Take a new method through the steps of `STEPS`, two updates each, as the trainer does.

    The settings of the study are the method's `trainer`. With a leader every update starts from the leader's weights:
    what is compared is one update, and not how training magnifies rounding. The optimizer is plain gradient descent,
    for Adam divides by the gradient's own size.
    """
    model, trace = exact_model(), Trace()
    reference = copy.deepcopy(model) if method.uses_reference else None
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    config = method.trainer
    sampler = Sampler(tiny_tokenizer(), Replay(), reward, config, "rehearsal/0", limits.ranks)
    collector = Collector(model, sampler, method, limits)
    for step in STEPS:
        _follow(leader, trace, model)
        temperature = hook_checks.temperature(method, Progress(step, config.steps))
        experience = rearrange(collector.collect(fixed_prompts(), step, temperature, reference))
        made = len(trace.gradients)
        measures = _updates(method, model, optimizer, experience, limits, trace, leader)
        if len(trace.gradients) > made:
            hook_checks.after_step(method, summarise(experience, measures, len(trace.gradients) - made, config))
        trace.ends.append((_flat(model), dataclasses.asdict(method.state)))
    trace.terms = int(experience.batch.mask.sum()) * len(VOCABULARY)
    return trace


def _updates(
    method: Method,
    model: Any,
    optimizer: torch.optim.Optimizer,
    experience: Experience,
    limits: ForwardLimits,
    trace: Trace,
    leader: Trace | None,
) -> Measures:
    """The updates of one step, clipped as the trainer clips them; traces the gradient of each before that."""
    measures = Measures()
    for part in minibatches(method, experience, limits):
        _follow(leader, trace, model)
        trace.before.append(_flat(model))
        measures.include(accumulate_gradients(method, model, *part, limits, Tensor.backward))
        sum_gradients(model.parameters(), limits.ranks)
        trace.gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
        torch.nn.utils.clip_grad_norm_(model.parameters(), method.trainer.grad_clip)
        optimizer.step()
        optimizer.zero_grad()
    return measures


def _follow(leader: Trace | None, trace: Trace, model: Any) -> None:
    """Take over the weights from which the leader's next update started."""
    if leader is not None and len(trace.gradients) < len(leader.before):
        weights = leader.before[len(trace.gradients)].clone()  # the parameters become views of it
        torch.nn.utils.vector_to_parameters(weights, model.parameters())


def _flat(model: Any) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])
