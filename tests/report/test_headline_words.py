"""The sentences say what the numbers say, and no more; the committed ones agree with the tables beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas
import pytest

from entrobench.errors import InputError
from entrobench.evaluation.report.headline_words import (
    Answer,
    Compared,
    Estimate,
    entropy_differences,
    headline,
    headline_of_study,
)
from entrobench.results import Results

REFERENCES = Results(Path(__file__).parents[2] / "results")
COMPARED = sorted(file.parent.name for file in REFERENCES.reference_root.glob("*/scores.csv"))


def answer(*rows: Compared, seeds: int = 5, base: float | None = 0.3, **entropy: Estimate) -> Answer:
    scores = {"grpo": 0.5} | {row.method: 0.5 + row.difference.value for row in rows}
    return Answer("grpo", seeds, 0.01, scores, base, list(rows), entropy)


def row(method: str, value: float, verdict: str, seeds_needed: int = 9, metric: str = "avg@8") -> Compared:
    return Compared(metric, method, Estimate(value, value - 0.01, value + 0.01), verdict, 0.02, seeds_needed)


def test_a_shown_difference_is_named_with_its_interval_and_the_others_are_not() -> None:
    said = headline(
        answer(row("aent", 0.05, "better"), row("siren", -0.04, "worse"), row("x", 0.005, "no difference shown"))
    )
    assert said[0] == "Higher than grpo in avg@8: aent +0.050 [+0.040, +0.060]."
    assert said[1] == "Lower than grpo in avg@8: siren −0.040 [−0.050, −0.030]."
    assert said[2].startswith(
        "No other method is shown to differ from grpo in avg@8. Only differences of 0.020 or more"
    )
    assert said[-1] == "A true difference of 0.01 would take about 9 seeds per cell to show (80 % power)."


def test_too_few_seeds_say_so_and_nothing_else() -> None:
    said = headline(answer(row("aent", 0.05, "too few seeds"), row("x", -0.01, "too few seeds", 2000), seeds=2))
    assert said[0] == "Too few seeds to call a method better or worse in avg@8: 2 seeds per cell, a verdict takes 5."
    assert said[1] == "Differences to grpo so far: aent +0.050 [+0.040, +0.060], x −0.010 [−0.020, +0.000]."
    assert "about 9 to more than 1,000 seeds" in said[-1]
    assert not re.search("[Hh]igher|[Ll]ower|is shown", " ".join(said))


def test_one_seed_cannot_say_how_many_it_takes() -> None:
    lone = Compared("avg@8", "aent", Estimate(0.05), "too few seeds")
    said = headline(answer(lone, seeds=1, aent=Estimate(0.1)))
    assert "1 seed per cell" in said[0]
    assert "Final entropy beside grpo's: aent +0.100 nats/token (no intervals)." in said
    assert said[-1] == "How many seeds would settle a difference, one seed cannot say."


def test_without_an_audit_there_is_no_verdict_to_tell() -> None:
    said = headline(answer(row("aent", 0.05, "no audited interval")))
    assert said[0] == "No verdict in avg@8: no interval was audited for a study of this size."


def test_entropy_is_more_or_less_only_where_its_interval_says_so() -> None:
    estimates = {"a": Estimate(0.04, 0.01, 0.07), "b": Estimate(-0.1, -0.2, -0.01), "c": Estimate(0.3, -0.1, 0.7)}
    said = headline(answer(row("a", 0.0, "no difference shown"), **estimates))
    assert "More final entropy than grpo: a +0.040 [+0.010, +0.070] nats/token." in said
    assert "Less final entropy than grpo: b −0.100 [−0.200, −0.010] nats/token." in said
    assert "No difference in final entropy is seen for c (95 % intervals, not corrected for their number)." in said


def test_many_methods_are_counted_with_their_ends() -> None:
    many = {f"m{number}": Estimate(number / 10, number / 10 - 0.01, number / 10 + 0.01) for number in range(1, 6)}
    said = headline(answer(row("m1", 0.0, "no difference shown"), **many))
    assert "More final entropy than grpo: 5 methods, from +0.100 (m1) to +0.500 (m5) nats/token." in said


@pytest.mark.parametrize(
    ("base", "said"),
    [
        (0.3, "All 2 methods gain 0.200 to 0.250 over the untrained base model's 0.300."),
        (0.52, "1 of 2 methods gain over the untrained base model's 0.520: −0.020 to +0.030."),
        (None, None),
    ],
)
def test_the_gain_over_the_base_model(base: float | None, said: str | None) -> None:
    lines = headline(answer(row("aent", 0.05, "no difference shown"), base=base))
    assert [line for line in lines if "base model" in line] == ([said] if said else [])


def test_a_study_of_one_method_compares_nothing() -> None:
    assert headline(answer()) == [
        "One method, grpo: nothing is compared.",
        "It gains 0.200 over the untrained base model's 0.300.",
    ]


def test_entropy_differences_are_paired_by_seed_over_all_cells() -> None:
    """Two cells of two seeds: differences 0.1, 0.3 and 0.2, 0.2; by hand mean 0.2, s² = 0.02/2, t(2) = 4.302653."""
    final = {("a", "grpo"): (1.0, 2.0), ("a", "aent"): (1.1, 2.3), ("b", "grpo"): (1.0, 2.0), ("b", "aent"): (1.2, 2.2)}
    rows = [
        {"model": model, "dataset": "d", "method": method, "seed": seed, "step": step, "entropy_t1": value}
        | {"updates": 1, "tokens": 1, "seconds_device": 1.0}
        for (model, method), values in final.items()
        for seed, value in enumerate(values)
        for step in (1, 2)
    ]
    found = entropy_differences(pandas.DataFrame(rows))
    assert list(found) == ["aent"]
    half = 4.302653 * (0.01 / 4) ** 0.5
    assert (found["aent"].value, found["aent"].lower) == pytest.approx((0.2, 0.2 - half))


@pytest.mark.parametrize("name", COMPARED)
def test_a_committed_headline_agrees_with_the_table_beside_it(name: str) -> None:
    """Difference, interval and verdict of every method stand in table.md as they do in headline.json."""
    folder = REFERENCES.reference(name)
    found = Answer.read(json.loads(folder.headline.read_text()))
    sections = re.findall(r"^### (Methods against .*\n[^#]*)", (folder.folder / "table.md").read_text(), re.MULTILINE)
    for own in found.compared:  # older tables have one comparison, whose heading does not name the metric
        named = (text for text in sections if text.partition("\n")[0].endswith(f"({own.metric})"))
        section = next(named, sections[0])
        (line,) = (text for text in section.splitlines() if re.match(rf"\| \**{own.method}[ *<]", text))
        assert str(own.difference) in line
        assert f"| {own.verdict} |" in line.replace("**", "")
    assert all(sentence.endswith(".") for sentence in headline(found))


def test_every_committed_study_has_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REFERENCES.folder.parent)
    for name in [*COMPARED, "theory"]:
        assert headline_of_study(name)
    with pytest.raises(InputError, match=r"unknown study with results 'all-metods'.*did you mean 'all-methods'"):
        headline_of_study("all-metods")
