"""What a study declares about its verdicts before it starts: metrics, A/A arm, the difference it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from entrobench.errors import InputError, unknown
from entrobench.evaluation.benchmarks.evaluation import Evaluation
from entrobench.evaluation.benchmarks.task_files import carriers
from entrobench.run_config import Variant

BASELINE = "grpo"
ENOUGH_SEEDS = 5  # per cell, for a verdict


@dataclass(frozen=True)
class Headline:
    """Primary and co-primary metric by their names in scores.parquet: one family of verdicts over all methods.

    `a_a_arm` is the method that is the baseline with a change that cannot matter, `detect` the difference that the
    study is meant to find, `clipped_at_least` the share of clipped tokens that its methods need in order to act.
    """

    primary: str
    co_primary: str | None = None
    a_a_arm: str | None = None
    detect: float | None = None
    clipped_at_least: float | None = None

    @property
    def metrics(self) -> list[str]:
        return [self.primary, self.co_primary] if self.co_primary else [self.primary]


def baseline_of(methods: Sequence[str]) -> str:
    """The method that others are compared with: grpo, or the study's first method where grpo is not in the study."""
    return BASELINE if BASELINE in methods else methods[0]


def headline_of(
    content: Mapping[str, Any],
    methods: Mapping[str, Variant],
    by_model: Mapping[str, Evaluation],
    graders: Sequence[str],
    where: str,
) -> Headline:
    """Read what a study's keys say of its verdicts. InputError for what cannot carry one.

    `methods` are the configs of its methods by name, in the study's order; `graders` those of its answers.
    """
    metrics = metric_names(by_model, graders)
    primary = _metric(content.get("primary", "avg@n"), metrics, f"{where}: primary")
    co_primary = content.get("co_primary")
    if co_primary is not None:
        co_primary = _metric(co_primary, metrics, f"{where}: co_primary")
        if co_primary == primary:
            raise InputError(f"{where}: co_primary: {primary} is the primary metric already")
    for key, metric in (("primary", primary), ("co_primary", co_primary)):
        if metric:
            _check_draws(metric, by_model, f"{where}: {key}")
    a_a_arm = _a_a_arm(content["a_a_arm"], methods, f"{where}: a_a_arm") if "a_a_arm" in content else None
    return Headline(primary, co_primary, a_a_arm, content.get("detect"), content.get("clipped_at_least"))


VERIFIED = {"chain": "(verified)"}  # second graders whose pass@k may carry verdicts, and what it is called


def metric_names(by_model: Mapping[str, Evaluation], graders: Sequence[str] = ()) -> list[str]:
    """The accuracies; where benchmarks have different numbers of samples, avg@n and maj@n keep the n."""
    samples = {settings.samples for evaluation in by_model.values() for settings in evaluation.by_benchmark.values()}
    n = str(samples.pop()) if len(samples) == 1 else "n"
    wanted = sorted({k for ks in next(iter(by_model.values())).pass_k.values() for k in ks})
    passed = [f"pass@{k}" for k in wanted]
    verified = [f"{name} {VERIFIED[grader]}" for grader in graders if grader in VERIFIED for name in passed]
    return [f"avg@{n}", f"maj@{n}", *passed, *verified]


def _metric(wanted: str, metrics: Sequence[str], where: str) -> str:
    """The metric by its name in scores.parquet; avg@n and maj@n stand for the study's samples."""
    allowed = {metric.partition("@")[0] + "@n": metric for metric in metrics if not metric.startswith("pass@")}
    name = allowed.get(wanted, wanted)
    if name not in metrics:
        raise unknown("metric", wanted, metrics, where)
    return name


def _check_draws(metric: str, by_model: Mapping[str, Evaluation], where: str) -> None:
    """A pass@k carries verdicts, so the noise of its draws has to be known: that takes 2k of them."""
    if not metric.startswith("pass@"):
        return
    k = int(metric.removeprefix("pass@").partition(" ")[0])
    for evaluation in by_model.values():
        for name in carriers([name for name, ks in evaluation.pass_k.items() if k in ks]):
            if (samples := evaluation.by_benchmark[name].samples) < 2 * k:
                raise InputError(f"{where}: {metric} needs {2 * k} samples per problem, {name} has {samples}")


def _a_a_arm(name: str, methods: Mapping[str, Variant], where: str) -> str:
    """The method that a study declares to be the baseline again."""
    if name not in methods:
        raise unknown("method", name, methods, where)
    baseline = baseline_of(list(methods))
    if name == baseline:
        raise InputError(f"{where}: {name} is the baseline itself; name a second arm, such as grpo_again")
    if (methods[name].use, methods[name].values) == (methods[baseline].use, methods[baseline].values):
        raise InputError(f"{where}: {name} is {baseline} with the same values and would train the same bits")
    return name
