"""`entrobench calibrate`: can a base model and a dataset show anything at all, before a study is run on them?

Group-relative methods learn from groups whose answers are partly right. A pair whose groups are all right (saturated)
or all wrong (hopeless) shows nothing, whatever the method.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.config import setting
from entrobench.engines.rollout import Sampling
from entrobench.evaluation.benchmarks.drawn_answers import Drawn, draw_answers
from entrobench.evaluation.grading.rewards import reward_function
from entrobench.evaluation.statistics.drawing import all_alike
from entrobench.evaluation.tables.table_formats import Entry, Table

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEW_MIXED, MANY_MIXED = 0.2, 0.5  # ours: shares of mixed groups below which hardly anything, above which most teaches
CUT = 0.05  # ours: more answers than these cut short, and the limit on their length decides the score
CERTAIN = 0.05  # ours: nats per token below which there is hardly any entropy to preserve
GROUPS = (4, 8, 16, 32)  # sizes of groups that are looked at


@dataclass(frozen=True)
class CalibrationSettings:
    """How many answers are drawn, and how they are judged."""

    problems: int = setting(48, low=2)
    draws: int = setting(16, low=2, high=256)
    temperature: float = setting(1.0, low=0.01)
    max_tokens: int = setting(32, low=1)
    reward: str = setting("entrobench")


@dataclass(frozen=True)
class Calibration:
    """What was measured, means over problems; the errors are standard errors over problems.

    `far` is pass@draws. `entropy` is in nats per token: the mean of −ln p over the sampled tokens, whose expectation it
    is. `mixed` gives the share of mixed groups by their size.
    """

    problems: int
    draws: int
    right: float
    right_error: float
    far: float
    mixed: Mapping[int, float]
    entropy: float
    prompt_tokens: float
    longest_prompt: int
    answer_tokens: float
    longest_answer: int
    truncated: float

    @property
    def verdict(self) -> str:
        """saturated, hopeless, thin or in between."""
        mixed = self.mixed[self.group]
        if mixed < FEW_MIXED:
            return "saturated" if self.right > 0.5 else "hopeless"
        return "in between" if mixed >= MANY_MIXED else "thin"

    @property
    def group(self) -> int:
        """The smallest group size at which most groups are mixed, else the largest one that was looked at."""
        return next((size for size, share in self.mixed.items() if share >= MANY_MIXED), max(self.mixed))


def calibrate(model: Path, data: Path, prompt: str, settings: CalibrationSettings) -> Calibration:
    """Draw answers of the model in a folder to a prepared dataset, judge and count them."""
    sampling = Sampling(temperature=settings.temperature, max_tokens=settings.max_tokens)
    drawn = draw_answers(model, data, prompt, settings.problems, settings.draws, sampling, f"calibrate/{data.name}")
    return summarise(drawn, right_counts(drawn, settings.reward), settings.draws)


def right_counts(drawn: list[Drawn], reward: str) -> list[int]:
    """How many of each row's answers the reward judges right."""
    judge = reward_function(reward)
    return [
        sum(
            judge(text, item.row.answer, completion.finish == "stop", f"{item.row.id}/{draw}", item.row.problem).correct
            for draw, (text, completion) in enumerate(zip(item.texts, item.completions, strict=True))
        )
        for item in drawn
    ]


def mixed_share(right: ArrayLike, draws: int, size: int) -> float:
    """Mean over problems of the share of groups of `size` draws that are neither all right nor all wrong; unbiased."""
    import numpy

    counts = numpy.asarray(right, dtype=float)
    return float(1 - (all_alike(counts, draws, size) + all_alike(draws - counts, draws, size)).mean())


def summarise(drawn: list[Drawn], right: list[int], draws: int) -> Calibration:
    """Count what was drawn; `right` is the number of right answers to each problem."""
    import numpy

    answers = [completion for item in drawn for completion in item.completions]
    lengths = numpy.array([len(answer.tokens) for answer in answers])
    shares = numpy.array(right) / draws
    prompts = [item.prompt for item in drawn]
    return Calibration(
        problems=len(drawn),
        draws=draws,
        right=float(shares.mean()),
        right_error=float(shares.std(ddof=1) / len(shares) ** 0.5),
        far=float((shares > 0).mean()),
        mixed={size: mixed_share(right, draws, size) for size in [g for g in GROUPS if g <= draws] or [draws]},
        entropy=-sum(sum(answer.logps) for answer in answers) / float(lengths.sum()),
        prompt_tokens=float(numpy.mean(prompts)),
        longest_prompt=max(prompts),
        answer_tokens=float(lengths.mean()),
        longest_answer=int(lengths.max()),
        truncated=float(numpy.mean([answer.finish == "length" for answer in answers])),
    )


def as_table(found: Calibration, model: str, dataset: str) -> Table:
    """One row per measure."""
    rows = [
        ("pass@1", f"{found.right:.3f} ± {found.right_error:.3f}"),
        (f"pass@{found.draws}", f"{found.far:.3f}"),
        *((f"mixed groups of {size}", f"{share:.3f}") for size, share in found.mixed.items()),
        ("entropy, nats per token", f"{found.entropy:.3f}"),
        ("tokens of a prompt", f"{found.prompt_tokens:.1f}, longest {found.longest_prompt}"),
        ("tokens of an answer", f"{found.answer_tokens:.1f}, longest {found.longest_answer}"),
        ("answers cut short", f"{found.truncated:.1%}"),
    ]
    note = (
        f"{found.problems} problems of the held-out split, {found.draws} answers each; ± is one standard error over "
        "problems. Pass@k and mixed groups are unbiased estimates; entropy is the mean of −ln p of the sampled tokens."
    )
    entries = [[Entry(name), Entry(value)] for name, value in rows]
    return Table("calibration", f"{model} on {dataset}", ["measure", "value"], entries, note)


def advice(found: Calibration) -> list[str]:
    """In words: whether this pair can show anything, and which settings to try."""
    share = f"{found.mixed[found.group]:.0%} of groups of {found.group} are mixed"
    said = {
        "saturated": f"Saturated: {share}, nearly all answers are right. Take harder problems or a weaker model.",
        "hopeless": f"Hopeless: {share}, nearly all answers are wrong. Take easier problems, examples in the prompt, "
        "a supervised stage or a stronger model.",
        "thin": f"Thin: {share}. The others teach nothing: try dynamic_sampling: true, or larger groups.",
        "in between": f"In between: {share}, so methods have something to learn from. Try group_size: {found.group}.",
    }
    lines = [said[found.verdict]]
    if found.truncated > CUT:
        lines.append(
            f"{found.truncated:.0%} of answers are cut short: allow more max_response_tokens, or teach to stop."
        )
    else:
        lines.append(f"max_response_tokens: {round(1.25 * found.longest_answer) + 1} cuts hardly any answer.")
    if found.entropy < CERTAIN:
        lines.append(f"At {found.entropy:.3f} nats per token there is hardly any entropy to preserve or to lose.")
    return lines


def write(found: Calibration, settings: CalibrationSettings, model: str, dataset: str, folder: Path) -> list[Path]:
    """Write calibration.md and calibration.json."""
    from entrobench.evaluation.tables.table_formats import markdown

    folder.mkdir(parents=True, exist_ok=True)
    text, data = (folder / f"calibration-{model}-{dataset}.{end}" for end in ("md", "json"))
    text.write_text(markdown(as_table(found, model, dataset)) + "\n" + "\n\n".join(advice(found)) + "\n")
    content = {"model": model, "dataset": dataset, "settings": asdict(settings), "verdict": found.verdict}
    data.write_text(json.dumps({**content, "measured": asdict(found)}, indent=2) + "\n")
    return [text, data]
