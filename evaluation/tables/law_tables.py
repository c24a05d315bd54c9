"""The laws measured on trained policies, as tables: those that lie in results/<study>/laws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from entrobench.results import StudyFolder

from .table_formats import Table, show
from .theory_tables import text

if TYPE_CHECKING:
    from pandas import DataFrame


def write_law(rows: list[dict[str, object]], folder: Path, name: str) -> Path:
    """Write `folder`/laws/`name`.csv and print it as the table of the report."""
    import pandas

    file = StudyFolder(folder).laws / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(rows).to_csv(file, index=False, float_format="%.10g")
    show([_read(file)])
    return file


def read_laws(folder: Path) -> list[Table]:
    """A table per file, clamp laws first, each before its parts."""
    return [_read(file) for file in sorted(StudyFolder(folder).laws.glob("*.csv"), key=lambda file: file.stem)]


def _read(file: Path) -> Table:
    import pandas

    found = pandas.read_csv(file)
    if "by" in found:
        return clamp_part_table(found)
    return (clamp_law_table if file.name.startswith("clamp-") else reward_law_table)(found)


def clamp_law_table(found: DataFrame) -> Table:
    """What each clamp takes from a model's own tokens."""
    forms = {
        "dtype": "",
        "clamp": "g",
        "tokens": ",",
        "mass": ".1e",
        "largest_mass": ".1e",
        "entropy": ".4f",
        "clamped_entropy": ".4f",
        "cosine": ".6f",
        "norm_ratio": ".4f",
        "decisive_share": ".1%",
        "limit": ".1e",
        "residual": ".0e",
    }
    names = [
        "numbers",
        "p",
        "tokens",
        "removed mass",
        "largest",
        "entropy H",
        "clamped H̃",
        "cosine",
        "norm ratio",
        "H̃ off by > 1 %",
        "limit of |H − H̃|",
        "identity off by",
    ]
    rows = [[text(row[name], form) for name, form in forms.items()] for row in found.to_dict("records")]
    model, vocabulary = found["model"].iloc[0], found["vocabulary"].iloc[0]
    note = (
        "Means over all tokens of the model's own answers; entropies in nats. Cosine and norm ratio: gradient of the "
        "clamped entropy against that of the full one, at the logits of all tokens. Limit: the most that the two "
        "entropies can differ at a token with the mean removed mass. Identity: H = h(m) + (1 − m)·H̃ + m·H_tail, the "
        "largest error of any token in float64."
    )
    return Table(f"clamp_law_{model}", f"What a clamp takes: {model}, {vocabulary:,} tokens", names, rows, note)


PARTS = {"entropy": "tenth of tokens\nby entropy", "position": "tenth of the\nlongest answer"}


def clamp_part_table(found: DataFrame) -> Table:
    """Removed mass, entropies and gradients of each clamp by tenths of the tokens."""
    by, model = found["by"].iloc[0], found["model"].iloc[0]
    span, middle = (".3f", " to ") if by == "entropy" else (".0f", "–")
    rows = [
        [
            text(row["part"], "d"),
            text(f"{row['low']:{span}}{middle}{row['high']:{span}}"),
            text(row["clamp"], "g"),
            text(row["tokens"], ","),
            text(row["mass"], ".1e"),
            text(row["entropy"], ".4f"),
            text(row["clamped_entropy"], ".4f"),
            text(row["cosine"], ".6f"),
            text(row["norm_ratio"], ".4f"),
        ]
        for row in found.to_dict("records")
    ]
    names = [PARTS[by], by, "p", "tokens", "removed mass", "entropy H", "clamped H̃", "cosine", "norm ratio"]
    note = "As above, for the tokens of each part; float32."
    return Table(f"clamp_law_{model}_{by}", f"What a clamp takes by {by}: {model}", names, rows, note, group=2)


def reward_law_table(found: DataFrame) -> Table:
    """R = −a·e^H + b, run by run."""
    rows = []
    for row in found.to_dict("records"):
        key = [text(row[name]) for name in ("model", "dataset", "method", "seed")]
        if row.get("a") is None or row["a"] != row["a"]:
            rows.append([*key, *[text(float("nan"))] * 5, text(row["failure"])])
            continue
        spans = [text(f"{row[name]:.3g} [{row[f'{name}_low']:.3g}, {row[f'{name}_high']:.3g}]") for name in ("a", "b")]
        rest = [text(row["r_squared"], ".2f"), text(row["effective_steps"], ".0f"), text(row["miss"], ".0%")]
        rows.append([*key, *spans, *rest, text("holds" if row["failure"] != row["failure"] else row["failure"])])
    study = found["study"].iloc[0]
    columns = [
        "model",
        "dataset",
        "method",
        "seed",
        "a",
        "b",
        "R²",
        "independent steps",
        "second half off by",
        "verdict",
    ]
    note = (
        "R = −a·e^H + b (Cui et al. 2025, arXiv 2505.22617), R the training reward, H the entropy in nats per token, "
        "by least squares over steps; 95 % intervals, corrected for the correlation of neighbouring steps. Second "
        "half: mean error there of the fit to the first half, over the range of R. Ours: it fails where a may be 0, "
        "R² is below 0.5 or the second half is off by more than 10 %."
    )
    return Table(f"reward_law_{study}", f"Reward and entropy: {study}", columns, rows, note, group=3)
