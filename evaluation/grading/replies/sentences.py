"""Sentences of a reply, each formula in them one character, so that no sentence ends inside of one."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMULA = "[\ue000-\uf8ff]"  # private use: one character for one formula
LONGEST_END = 8_192  # characters from the end of a reply, ours: the final statement stands in them
_FIRST, _MOST = 0xE000, 0xF8FF - 0xE000
_FORMULAS = re.compile(
    r"\$\$(?P<a>.{1,2000}?)\$\$|\\\[(?P<b>.{1,2000}?)\\\]|\\\((?P<c>.{1,2000}?)\\\)"
    r"|(?<!\\)\$(?=[^\s$])(?P<d>[^$\n]*?[^\s$\\]|[^\s$\\])\$(?!\d)|(?<!\\)\$\s+(?P<e>[^$\n]+?)\s+\$",
    re.DOTALL,
)
_MARKUP = re.compile(
    r"\*\*|__|`|^\s*(?:#{1,6}(?!#)\s*|>\s*|[-*•]\s+(?=\D)|-{3,}\s*$)"
    r"|[✅☑✔️🎯]|\\(?:quad|qquad|,|;|!)",
    re.MULTILINE,
)
_OPENED = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf)\s*\{([^{}]*)\}")
# A line that goes on: a heading or "is:" before its value, a formula set on lines of its own.
_GOES_ON = re.compile(
    rf"(?:(?<=[:=,])|(?<=[^\W\d]))[ \t]*\n\s*(?={FORMULA}|-?[\d.]+[^\n]{{0,20}}(?:\n|\Z)|\(?[A-H]\)?\s*(?:\n|\Z))"
)
_ENDS = re.compile(
    r"(?<=[.!?])[)\"']*\s+(?=[^a-z])|(?<=[.!?])\s+(?=[a-z]{2})|(?<=[。！？।])\s*"
    r"|\n+|[ \t]+(?=(?:Therefore|Thus|Hence|So|Donc)\b|इसलिए)"
    r"|(?<=[.}$)\]\ue000-\uf8ff])\s+(?=Final Answer\b|The final answer\b)"
)
_ABBREVIATED = re.compile(r"\b(?:Ans|approx|sq|ft|in|cm|etc|e\.g|i\.e|Mr|Mrs|Dr|No|vs|Rs|[A-H])\.$", re.IGNORECASE)


@dataclass(frozen=True)
class Sentences:
    """The sentences in order, formulas as single characters; `restored` gives the text of one back."""

    texts: list[str]
    formulas: list[str]

    def restored(self, text: str) -> str:
        """A text of these sentences with its formulas written out, in dollars unless a formula is the whole text."""
        if re.fullmatch(FORMULA, text):
            return self.formulas[ord(text) - _FIRST].strip()
        return re.sub(FORMULA, lambda sign: f"${self.formulas[ord(sign[0]) - _FIRST].strip()}$", text)


def sentences_of(text: str) -> Sentences:
    """Split the end of a reply without boxes into sentences, markup gone."""
    formulas: list[str] = []

    def kept(match: re.Match[str]) -> str:
        content = match[match.lastgroup or 0]
        if len(formulas) >= _MOST or _is_money(content):
            return match[0]
        formulas.append(content)
        return chr(_FIRST + len(formulas) - 1)

    marked = _FORMULAS.sub(kept, re.sub(FORMULA, " ", text[-LONGEST_END:]))
    plain = _OPENED.sub(r"\1", _MARKUP.sub("", marked))
    pieces = [piece.strip() for piece in _ENDS.split(_GOES_ON.sub(" ", plain))]
    return Sentences(_joined([piece for piece in pieces if piece]), formulas)


def _is_money(content: str) -> bool:
    """ "5 and not $7": words between two amounts are no formula."""
    return re.match(r"\d[\d.,]*\s+[a-z]{2,}|[^\\]*\b[a-z]{3,}\s+[a-z]{3,}\b", content[:200]) is not None


def _joined(pieces: list[str]) -> list[str]:
    joined: list[str] = []
    for piece in pieces:
        if joined and _ABBREVIATED.search(joined[-1]) and re.match(rf"[-$\d]|{FORMULA}", piece):
            joined[-1] = f"{joined[-1]} {piece}"
        else:
            joined.append(piece)
    return joined
