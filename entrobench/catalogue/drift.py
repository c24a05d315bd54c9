"""The drift ledger: where authors and frameworks disagree about a method, and by what factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from entrobench.documents import named_files
from entrobench.errors import InputError
from entrobench.text import table

from .variants import load_variant

LEDGER = Path(__file__).with_name("drift.yaml")


@dataclass(frozen=True)
class Source:
    """Who has which value; `variant` is the named variant with this value, "" where there is none."""

    who: str
    value: Any
    variant: str
    note: str


@dataclass(frozen=True)
class Quantity:
    """One quantity; the factors compare every source with the first one."""

    name: str
    setting: str  # method.setting, "" where it is none of ours
    sources: tuple[Source, ...]

    def factor(self, source: Source) -> str:
        """How the source's value compares with the first one: "100x more", "differs", or "" where it is the same."""
        first, value = self.sources[0].value, source.value
        if str(value) == str(first):
            return ""
        try:
            ratio = float(str(value)) / float(str(first))  # True and False are no numbers here
        except (ValueError, ZeroDivisionError):
            return "differs"
        if ratio <= 0:
            return "differs"
        return f"{ratio:.3g}x more" if ratio > 1 else f"{1 / ratio:.3g}x less"


def quantities() -> list[Quantity]:
    """The ledger, with values from config/methods. Raises InputError for a variant that does not exist."""
    return [_quantity(row) for row in yaml.safe_load(LEDGER.read_text(encoding="utf-8"))]


def ledger() -> str:
    """The ledger as text: one table for each quantity."""
    return "\n\n".join("\n".join(_shown(quantity)) for quantity in quantities())


def _quantity(row: Mapping[str, Any]) -> Quantity:
    setting = row.get("setting", "")
    return Quantity(row["quantity"], setting, tuple(_source(source, setting) for source in row["entries"]))


def _source(row: Mapping[str, Any], setting: str) -> Source:
    name, note = row.get("variant", ""), row.get("note", "")
    if not name:
        return Source(row["who"], row["text"], "", note)
    files = named_files("methods")
    if name not in files:
        raise InputError(f"{LEDGER.name}: no variant {name!r} in config/methods; run the command in the project's root")
    method, _, key = setting.partition(".")
    variant = load_variant(name, files[name])
    if variant.use != method or key not in variant.values:
        raise InputError(f"{LEDGER.name}: {files[name]} does not set {setting}")
    return Source(row["who"], variant.values[key], name, note)


def _shown(quantity: Quantity) -> Iterator[str]:
    yield f"{quantity.name}" + (f" ({quantity.setting})" if quantity.setting else "")
    rows = [(e.who, _text(e.value), quantity.factor(e), e.variant, e.note) for e in quantity.sources]
    for line in table(("who", "value", "against the first", "named variant", "note"), rows).splitlines():
        yield f"  {line}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
