"""The signs that the rules name: each looks at a log and returns its evidence, or None where all is well."""

from __future__ import annotations

from collections.abc import Callable

from .series import Evidence, Log

COMPANIONS = {  # column -> what its change is called; told where a share moves by 0.05 or a number by a quarter
    "clip_high": "share of tokens clipped above",
    "clip_low": "share of tokens clipped below",
    "length": "length",
    "truncated": "share of cut answers",
    "reward": "reward",
    "kl": "KL",
    "mixed_groups": "share of mixed groups",
}
SHARES = ("clip_high", "clip_low", "truncated", "reward", "mixed_groups")


def collapse(log: Log, below: float, onset: float) -> Evidence | None:
    """Entropy ends below a share of its first value; it began where it fell below `onset` of it for good."""
    found = log.smooth(log.entropy_name)
    if not found or found[0][1] <= 0 or found[-1][1] >= below * found[0][1]:
        return None
    step = _since(found, lambda value: value < onset * found[0][1])
    fallen = f"{log.entropy_name} fell from {found[0][1]:.3g} to {found[-1][1]:.3g} nats"
    return Evidence(step, f"{fallen}, below half from step {step} on{_with(log, step)}")


def explosion(log: Log, above: float, at_least: float, onset: float) -> Evidence | None:
    """Entropy ends above a multiple of its first value, and by some nats."""
    found = log.smooth(log.entropy_name)
    if not found or found[-1][1] <= max(above * found[0][1], found[0][1] + at_least):
        return None
    step = _since(found, lambda value: value > onset * found[0][1])
    risen = f"{log.entropy_name} rose from {found[0][1]:.3g} to {found[-1][1]:.3g} nats"
    return Evidence(step, f"{risen}, above {onset:g} times the first value from step {step} on{_with(log, step)}")


def reward_lost(log: Log, kept: float, once: float) -> Evidence | None:
    """The reward ends below a share of its best."""
    found = log.smooth("reward")
    if not found:
        return None
    step, best = max(found, key=lambda point: point[1])
    if best < once or found[-1][1] >= kept * best:
        return None
    return Evidence(step, f"reward {best:.3g} at step {step}, {found[-1][1]:.3g} at the end{_with(log, step)}")


def groups_dry(log: Log, mixed: float) -> Evidence | None:
    """The share of groups with both right and wrong answers, and on which side the others are."""
    share = log.last("mixed_groups")
    if share is None or share >= mixed:
        return None
    step = _since(log.smooth("mixed_groups"), lambda value: value < mixed)
    rate = log.last("pass_rate")
    side = "" if rate is None else f"; {rate:.0%} of the answers are right"
    return Evidence(step, f"mixed groups {share:.1%} in the last third{side}")


def cut_off(log: Log, truncated: float, of_failures: float) -> Evidence | None:
    """Truncated answers, beside those that fail: wrong is another thing than cut off."""
    cut, right = log.last("truncated"), log.last("pass_rate")
    if cut is None or cut < truncated or right is None or cut < of_failures * (1 - right):
        return None
    return Evidence(None, f"in the last third {cut:.0%} of the answers are cut off, {1 - right:.0%} fail")


def unreadable(log: Log, share: float) -> Evidence | None:
    """Answers from which the grader takes nothing, and which were not cut off."""
    lost, cut = log.last("outcome/unparsable"), log.last("truncated") or 0.0
    if lost is None or lost - cut < share:
        return None
    return Evidence(None, f"in the last third {lost:.0%} of the answers are unparsable, {cut:.0%} are cut off")


def never_clipped(log: Log) -> Evidence | None:
    """A method that acts where ratios move, in a run where none left the clip range."""
    found = log.series("clip_low") + log.series("clip_high")
    if not log.inert_on_policy or not found or any(value > 0 for _, value in found):
        return None
    updates = log.last("updates")
    said = "" if updates is None else f", at {updates:g} updates per step"
    return Evidence(None, f"clip_low and clip_high are 0 in all {len(log.rows)} steps{said}")


def at_the_edge(log: Log, share: float) -> Evidence | None:
    """A value of the method's state that equals a bound among its settings, in the last third."""
    names = {name for row in log.rows for name in row if name.startswith("method/")}
    for name in sorted(names):
        found = log.series(name)
        last = found[-max(1, len(found) // 3) :]
        for side in ("low", "high"):
            edge = log.values.get(f"{name.removeprefix('method/')}_{side}")
            if not isinstance(edge, (int, float)) or log.values.get("adaptive") is False:
                continue
            at = [step for step, value in last if abs(value - edge) <= 1e-9 * max(1e-9, abs(edge))]
            if last and len(at) >= share * len(last):
                return Evidence(
                    at[0], f"{name} is at its {side} bound {edge:g} in {len(at)} of the last {len(last)} steps"
                )
    return None


def _since(found: list[tuple[int, float]], holds: Callable[[float], bool]) -> int:
    """The first step from which on a condition holds to the end; the last step where it never does."""
    since = found[-1][0]
    for step, value in reversed(found):
        if not holds(value):
            break
        since = step
    return since


def _with(log: Log, step: int) -> str:
    """What changed around a step, in words."""
    told = []
    for name, words in COMPANIONS.items():
        both = log.around(name, step)
        if both is None:
            continue
        before, after = both
        enough = 0.05 if name in SHARES else 0.25 * max(abs(before), 1e-6)
        if abs(after - before) > enough:
            told.append(f"{words} {before:.3g} to {after:.3g}")
    return f"; with it {', '.join(told)}" if told else "; nothing else that is logged moved with it"
