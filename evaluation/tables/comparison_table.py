"""The headline: every method against the baseline over the whole study, with verdicts and what they cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from entrobench.evaluation.grading.grader import OUTCOMES
from entrobench.evaluation.statistics.admission import FILE
from entrobench.evaluation.statistics.analysis import A_A, comparison, mean_over_cells
from entrobench.studies.headline import ENOUGH_SEEDS

from .entries import difference_entry, interval_entry, number_entry, p_text, score_entry, signed
from .table_formats import Entry, Table

JUDGED = "correct/wrong/\nunparsable/\ntimeout/error"
AUDITED = {  # columns of the comparison whose interval the audit measures
    "paired t": "difference",
    "IQM": "IQM",
    "crossed bootstrap": "bootstrap",
    "improvement": "P(better)",
}


def comparison_table(
    rows: list[dict[Any, Any]], benchmarks: Sequence[str], statistics: Mapping[str, Any], metric: str
) -> Table:
    """A row per method, of one headline metric; `rows` are those of the wide table."""
    baseline, body = statistics["baseline"], []
    for summary in statistics["aggregates"]:
        if summary["metric"] != metric:
            continue
        own = [row for row in rows if row["method"] == summary["method"]]
        marks = ", ".join(dict.fromkeys(row["marks"] for row in own if row["marks"]))
        seeds = " ".join(map(str, summary["seed_means"] or []))
        found = comparison(statistics, "study", metric=metric, method=summary["method"])
        body.append(
            [
                Entry(summary["method"], marks, summary["method"]),
                Entry(str(summary["runs"]), value=summary["runs"]),
                score_entry(summary["mean"], summary["mean_upper"], seeds),
                *_verdict_entries(found, bool(statistics["detect"])),
                interval_entry(summary["interquartile_mean"], (summary["lower"], summary["upper"]), ".3f"),
                *_beside_entries(found),
                judged_entry(own, benchmarks),
            ]
        )
    columns = ["method", "runs", "score", f"difference to {baseline}", "Holm p", "verdict", "smallest\ndetectable"]
    columns += [f"seeds that\n{statistics['detect']:g} needs"] if statistics["detect"] else []
    first = metric == statistics["metric"]  # what holds for all tables is said once
    lines = [*_how_it_is_judged(statistics), *_beside(statistics)] if first else []
    note = "\n".join([_what_is_shown(statistics, metric), *lines])
    name = "comparison" if first else f"comparison {metric}"
    title = f"Methods against {baseline}, whole study ({metric})"
    return Table(name, title, [*columns, "IQM", "bootstrap", "P(better)", JUDGED], body, note)


def _what_is_shown(statistics: Mapping[str, Any], metric: str) -> str:
    return (
        f"Score: {metric}, mean over benchmarks and model x dataset cells, ± half of the 95 % t interval over seeds. "
        f"Difference to {statistics['baseline']}: 95 % paired t interval on seed differences within cells."
    )


def _how_it_is_judged(statistics: Mapping[str, Any]) -> list[str]:
    """The family, the noise, the power, and what a verdict covers."""
    headline = [row for row in statistics["comparisons"] if row["scope"] == "study"]
    family = [row for row in headline if row["method"] != statistics["a_a_arm"]]
    count = f"{len(family)} comparison{'s' if len(family) > 1 else ''}"
    own = [f"{row['method']} ({row['metric']})" for row in headline if not row["pooled"]]
    exceptions = f"; not pooled for {', '.join(own)}" if own else ""
    lines = [
        f"Verdicts follow Holm's p over one family declared beforehand ({' and '.join(statistics['metrics'])}, all "
        f"methods: {count}) and need {ENOUGH_SEEDS} seeds. A verdict covers {statistics['covers']}.",
        f"Noise of a run: from methods x seeds within cells, pooled over methods unless a one-sided F test at "
        f"{statistics['pooling_level']:g} says that the two compared vary more{exceptions}; never below the noise of "
        "drawing answers.",
        f"Smallest detectable: the true difference that this test finds with {100 * statistics['power']:.0f} % power.",
    ]
    if statistics["a_a_arm"]:
        lines.append(
            f"{statistics['a_a_arm']} is the {A_A}: {statistics['baseline']} with the same seeds and a change that "
            "cannot matter, so its difference shows what chance alone does; it is not in the family."
        )
    return lines


def _beside(statistics: Mapping[str, Any]) -> list[str]:
    return [
        "Beside it, descriptive: IQM (interquartile mean), crossed bootstrap of the difference (seeds x problems) and "
        f"P(better than {statistics['baseline']}), with 95 % percentile intervals.",
        audit_line(statistics["audit"]),
    ]


def audit_line(audit: Mapping[str, Any] | None) -> str:
    """What the audit of the statistics measured for a study of this size."""
    if audit is None:
        return f"No verdicts: {FILE} is not there; `entrobench audit-statistics --write` measures the intervals."
    if not audit["measured"]:
        return "With one seed there are no intervals."
    rates = [f"{label} {100 * audit['measured'][name]['coverage']:.1f} %" for name, label in AUDITED.items()]
    size = next(iter(audit["measured"].values()))
    refused = "" if audit["admits_primary"] else " The paired t interval is wrong too often to give a verdict."
    cells = f"{size['cells']} cell{'s' if size['cells'] > 1 else ''}"
    return (
        f"Coverage measured on simulated studies of {size['seeds']} seeds and {cells} ({audit['file']}): "
        f"{', '.join(rates)}.{refused}"
    )


def _verdict_entries(found: Mapping[str, Any] | None, with_seeds: bool) -> list[Entry]:
    """Difference, Holm's p, verdict, smallest detectable difference and, if wished, the seeds that another needs."""
    if found is None:
        return [Entry("–") for _ in range(4 + with_seeds)]
    p, better = found["p_holm"], found["verdict"] == "better"
    same = all(seeds == found["seeds"][0] for seeds in found["seeds"])
    seeds = " ".join(map(str, (mean_over_cells(found["differences"]) if same else None) or []))
    entries = [
        difference_entry(found["difference"], found["lower"], found["upper"], seeds, better),
        Entry("–" if p is None else p_text(p), value=p),
        Entry(found["verdict"], value=found["verdict"], bold=better),
        number_entry(found["detectable"], ".3f"),
    ]
    return [*entries, _needed_entry(found)] if with_seeds else entries


def _needed_entry(found: Mapping[str, Any]) -> Entry:
    """Seeds per cell; a study that could not say is not one that needs more than anybody can train."""
    if found["detectable"] is None:
        return Entry("–")
    return Entry("> 1000") if found["seeds_needed"] is None else number_entry(found["seeds_needed"], ".0f")


def _beside_entries(found: Mapping[str, Any] | None) -> list[Entry]:
    if found is None:
        return [Entry("–") for _ in range(2)]
    bootstrap = found["bootstrap"]
    return [
        Entry(f"[{signed(bootstrap[0])}, {signed(bootstrap[1])}]", value=bootstrap[0]) if bootstrap else Entry("–"),
        interval_entry(found["improvement"], found["improvement_interval"] or (None, None), ".2f"),
    ]


def judged_entry(rows: Sequence[Mapping[Any, Any]], benchmarks: Sequence[str]) -> Entry:
    """How many answers of these rows, on all benchmarks, had each outcome; sorted by the answers that failed."""
    counts = [sum(row[f"{benchmark} {outcome}"] for row in rows for benchmark in benchmarks) for outcome in OUTCOMES]
    return Entry("/".join(map(str, counts)), value=sum(counts[1:]))
