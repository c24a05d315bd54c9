"""Many mishaps over all stages of a study: `make faults`.

    python tests/faults/campaign.py [mishaps] [seed] [parts]

writes how each stage came through into docs/reliability.md, prints that page, and ends with status 1 where anything was
lost, doubled or altered.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import costs  # noqa: E402
import stages  # noqa: E402
import yaml  # noqa: E402
from hostile import answer, judge_all, unconfined  # noqa: E402
from kills import KINDS, Ended, disturb, run  # noqa: E402
from stages import Stage  # noqa: E402
from tiny import save_data, save_tiny  # noqa: E402

from entrobench.data.datasets import prepare  # noqa: E402
from entrobench.tracking import experiments  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures of make faults -->", "<!-- end of the figures -->"
ANSWERS = 10_000
PARTS = ("training", "answering", "grading", "tracking", "study", "costs", "hostile")
MISHAPS = 60  # over the four stages; a tenth as many over a whole study
MOST_OVERHEAD, MOST_SECONDS = 0.02, 20.0  # of training, for checkpoints; to go on, beside the steps that are lost
SHARES = {"training": 0.5, "answering": 0.15, "grading": 0.15, "tracking": 0.2}


def all_stages(folder: Path) -> dict[str, Stage]:
    """The stages, with a tiny model and its data."""
    model, data = save_tiny(folder / "model", "qwen2", tie_word_embeddings=True), save_data(folder / "data")
    prepare("chain2", {"kind": "chain", "chain": {"operations": 2, "modulus": 5}}, folder / "root" / "chain2")
    experiments.initialise(folder / "empty" / "mlflow.db")
    made = (
        stages.training(model, data),
        stages.answering(model, folder / "root"),
        stages.grading(),
        stages.tracking(folder / "empty" / "mlflow.db"),
    )
    return {stage.name: stage for stage in made}


def survive(stage: Stage, folder: Path, whole: Ended, count: int, draw: random.Random) -> tuple[Counter[str], bool]:
    """Let `count` mishaps befall a stage, one to four in a row before it may finish; (their kinds, all equal)."""
    kinds: Counter[str] = Counter()
    expected, equal, number = stage.outcome(folder / "whole"), True, 0
    while kinds.total() < count:
        place = folder / f"disturbed{number}"
        number += 1
        for _ in range(draw.randint(1, 4)):
            mishap = disturb(lambda: stage.work(place), place, whole, draw.choice(KINDS), draw)  # noqa: B023
            kinds[mishap.kind] += mishap.ended.status != 0
            if mishap.ended.status == 0:  # then nothing makes it again, and a power loss came after the end
                equal &= _same(stage.outcome(place), expected, f"{stage.name}: {place} after {mishap.kind}")
            stage.tidy(place)
        ended = run(lambda: stage.work(place), place)  # noqa: B023
        what = f"{stage.name}: {place} after all mishaps"
        equal &= ended.status == 0 and _same(stage.outcome(place), expected, what)
        if ended.status != 0:
            print(f"{stage.name}: {place} does not go on: status {ended.status}", flush=True)
    return kinds, equal


def _same(found: Any, expected: Any, what: str) -> bool:
    """Whether an outcome is the expected one; says where it is not."""
    if found != expected:
        print(f"{what} differs: {_apart(found, expected)}", flush=True)
    return bool(found == expected)


def study(folder: Path, kills: int, draw: random.Random) -> tuple[str, bool]:
    """Kill Snakemake, with its jobs or alone, while it runs smoke with two methods; (line of the table, all equal)."""
    smoke = yaml.safe_load((ROOT / "config" / "studies" / "smoke.yaml").read_text()) | {"methods": ["grpo", "aent"]}
    names = ("whole", "killed")
    for name in names:
        for part in ("workflow", "profiles", "config", "results/reference"):
            shutil.copytree(ROOT / part, folder / name / part)
        for file in ("Snakefile", "requirements.lock"):
            shutil.copy(ROOT / file, folder / name)
        (folder / name / "config" / "studies" / "quickstart.yaml").write_text(yaml.safe_dump(smoke))
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    begun = time.monotonic()
    status = stages.snakemake(folder / "whole", None, signal.SIGKILL, variables)
    whole, kinds, equal = time.monotonic() - begun, Counter[str](), status == 0
    while kinds.total() < kills:
        how = draw.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        moment = draw.uniform(5.0, max(6.0, 0.5 * whole))
        if stages.snakemake(folder / "killed", moment, how, variables) == 0:
            break  # it had ended before
        kinds[how.name] += 1
    equal &= stages.snakemake(folder / "killed", None, signal.SIGKILL, variables) == 0
    found, expected = (stages.study_outcome(folder / name) for name in ("killed", "whole"))
    equal &= _same(found, expected, "a whole study, killed,")
    said = ", ".join(f"{count} {name}" for name, count in kinds.items())
    return f"| Snakemake, a whole study | {kinds.total()} | {said} | {'equal' if equal else 'DIFFERENT'} |", equal


def cost(folder: Path) -> tuple[str, bool]:
    """What checkpoints and a kill cost a run of the quickstart's size; (line of figures, whether it is little)."""
    found = costs.measure(folder)
    begin = found.resume - found.interval
    fine = found.equal and found.share < MOST_OVERHEAD and begin <= MOST_SECONDS
    said = (
        f"Checkpoints at the default interval take {found.share:.2%} of training (of the quickstart's size). "
        f"A kill just before one costs {found.resume:.1f} s of CPU: {found.interval:.1f} s for the steps since the "
        f"last, {begin:.1f} s to begin again"
    )
    return said, fine


def hostile_text(count: int, seed: int) -> tuple[str, bool]:
    """Grade adversarial answers by eight clients at once; (line of figures, whether all went well)."""
    draw, begun = random.Random(seed), time.monotonic()
    outcomes, memory, slowest = judge_all([answer(draw) for _ in range(count)])
    said = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common())
    escaped = [*unconfined(), *Path.cwd().glob("escaped*")]
    fine = outcomes.total() == count and not outcomes["error"] and not escaped
    figures = f"largest worker {memory / 1e6:.0f} MB, slowest verdict {slowest:.1f} s of wall time"
    return f"{count} adversarial answers, 8 clients: {said}; {figures}; {time.monotonic() - begun:.0f} s", fine


def _apart(found: Any, expected: Any) -> str:
    """Where two outcomes differ, as far as a line shows it."""
    if isinstance(found, tuple) and isinstance(expected, tuple):
        return "; ".join(_apart(*pair) for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
    if isinstance(found, dict) and isinstance(expected, dict):
        return ", ".join(str(key) for key in {*found, *expected} if found.get(key) != expected.get(key))[:300]
    return f"{found!r:.200} instead of {expected!r:.200}"


def stage_line(stage: Stage, folder: Path, mishaps: int, draw: random.Random) -> tuple[str, bool]:
    """Let mishaps befall one stage; (line of the table, whether all outcomes are equal)."""
    whole = run(lambda: stage.work(folder / "whole"), folder / "whole")
    kinds, equal = survive(stage, folder, whole, mishaps, draw)
    said = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
    return f"| {stage.name} | {kinds.total()} | {said} | {'equal' if equal else 'DIFFERENT'} |", equal


def campaign(mishaps: int, seed: int, parts: Sequence[str]) -> tuple[list[str], bool]:
    """Run the parts; (a line of figures for each, whether everything came through)."""
    lines, all_fine, draw = [], True, random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        (Path(name) / "costs").mkdir()
        made = all_stages(Path(name)) if set(parts) & set(SHARES) else {}
        for part in parts:
            if part in made:
                line, fine = stage_line(made[part], Path(name) / part, max(1, round(mishaps * SHARES[part])), draw)
            elif part == "study":
                line, fine = study(Path(name) / "study", max(1, mishaps // 10), draw)
            elif part == "costs":
                line, fine = cost(Path(name) / part)
            else:
                line, fine = hostile_text(ANSWERS * mishaps // MISHAPS, seed)
            lines.append(line)
            all_fine &= fine
            print(line, flush=True)
        os.chdir(ROOT)
    return lines, all_fine


def write_page(lines: Sequence[str]) -> None:
    """Put the figures into docs/reliability.md and print it."""
    head = ("| stage | mishaps | of which | outcome, bit for bit |", "|---|---|---|---|")
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    rows = [line for line in lines if line.startswith("|")]
    figures = [*head, *rows, *(text for line in lines if line not in rows for text in ("", f"{line}.")), ""]
    PAGE.write_text("\n".join([before + BEGIN, "", *figures, END]) + after, encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


def main(mishaps: int = MISHAPS, seed: int = 0, parts: Sequence[str] = PARTS) -> bool:
    """Run the campaign; all parts of it write the page. Whether everything came through."""
    lines, fine = campaign(mishaps, seed, parts)
    if tuple(parts) == PARTS:
        write_page(lines)
    return fine


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    chosen = [argument for argument in sys.argv[1:] if argument in PARTS]
    sys.exit(not main(*(numbers + [MISHAPS, 0][len(numbers) :]), parts=chosen or PARTS))
