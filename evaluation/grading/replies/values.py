"""Values in a sentence: numbers, formulas, equations and lists of them, found by walking token by token."""

from __future__ import annotations

import re

from .sentences import FORMULA

_LETTER_BEFORE = r"[^\W\u0590-\uffef]"  # of scripts that put spaces between words
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+|,\d{1,2}(?!\d))?(?:[:/]\d+)*"
_CURRENCY = r"(?:US)?\\?[$€£¥₹]\s?"
_TOKEN = re.compile(
    rf"(?P<operand>{FORMULA}|(?:{_CURRENCY})?(?:\d+\s+\d+/\d+|{_NUMBER}|\.\d+)(?:\s(?:hundred|thousand|million"
    rf"|billion|trillion|dozen)\b)?(?:\s?(?:\\?%|€|\$(?!\d)|£|¥))?"
    rf"|(?:sqrt|sin|cos|tan|log|ln|exp|pi)(?![a-zA-Z])"
    rf"|\\[a-zA-Z]+(?:\s*\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})*|√\s?(?:\d+|[a-zA-Z]|\([^()]*\))|[π∞ℝℤℕ∅θ]|[½⅓¼¾⅔⅛]"
    rf"|(?P<letter>[a-zA-Z](?:_?\d)?(?!{_LETTER_BEFORE}|['’])))"
    r"|(?P<operator>\*\*|(?:to|out of)(?=\s+\d)|[-+−*/×·÷^=<>≤≥≠≈±∓∪∩|⁄∈])|(?P<comma>,|,?\s+(?:and|or)\b)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<suffix>[!°²³⁰-⁹'])"
)
_START = re.compile(
    rf"{FORMULA}|(?<!{_LETTER_BEFORE})(?<!\.)(?:[-+−±]\s?)?(?:{_CURRENCY})?\.?\d|[√π∞½⅓¼¾⅔]"
    rf"|(?<![\w\\])\\[a-zA-Z]+\s*\{{"
    rf"|(?<!{_LETTER_BEFORE})(?<!['’])[a-zA-Z](?:_?\d)?\s*[=≤≥<>](?!=)|(?<![\w)])[(\[{{](?=[^()\[\]]*[\d,])"
    rf"|(?<!{_LETTER_BEFORE})(?<!['’+*/^=<>−_-])\(?[A-H]\)?(?!{_LETTER_BEFORE}|[\d'’(])"
)
_CHOICE = re.compile(
    rf"\(?[A-H]\)?(?!{_LETTER_BEFORE}|[\d'’(=])(?!\s*[-=+*/^<>])"
    rf"(?P<label>[.:]?\s+(?=[\d$\\-]|{FORMULA}))?"
)
MOST_TOKENS = 400  # of one value, ours


def values_of(sentence: str) -> list[tuple[int, int]]:
    """(start, end) of each longest value of a sentence, in order."""
    found: list[tuple[int, int]] = []
    place = 0
    while (start := _START.search(sentence, place)) is not None:
        choice = _CHOICE.match(sentence, start.start())
        if choice is not None:
            end = _end(sentence, choice.end()) if choice["label"] else choice.end()
        else:
            end = _end(sentence, start.start())
        if end > start.start():
            found += [(restart, end) for restart in (start.start(), *_restarts(sentence, start.start(), end))]
        place = max(end, start.start() + 1)
    return found


def _restarts(text: str, start: int, end: int) -> list[int]:
    """Where a list may really begin: "In 2024, 15 people came"."""
    if re.search(r"[()\[\]{}]", text[start:end]):
        return []
    return [start + comma.end() for comma in re.finditer(r",\s+(?=[-$\d])", text[start:end])]


def _end(text: str, start: int) -> int:
    """Where the value that starts here ends; `start` where none does."""
    place, end, depth, before = start, start, 0, "operator"
    for _ in range(MOST_TOKENS):
        space = _spaces(text, place)
        token = _TOKEN.match(text, space if text[space : space + 1] != "," else place) or _TOKEN.match(text, place)
        if token is None or not _goes_on(token, before, spaced=space > place, depth=depth):
            break
        place = token.end()
        kind = token.lastgroup if token.lastgroup != "letter" else "operand"
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            break
        before = "operand" if kind in ("operand", "close", "suffix") else str(kind)
        end = place if before == "operand" and depth == 0 else end
    return end


def _spaces(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\u00a0":
        place += 1
    return place


def _goes_on(token: re.Match[str], before: str, spaced: bool, depth: int) -> bool:
    """Whether a token may follow one of kind `before` within one value."""
    kind = "operand" if token["operand"] else token.lastgroup
    follows_operand = before == "operand"
    if kind == "operand":
        if token["letter"] and before in ("comma", "operator") and depth == 0 and spaced:
            return _has_a_sign_after(token)
        return not follows_operand or (not spaced and not token["operand"][0].isdigit()) or depth > 0
    if kind == "comma":
        return follows_operand and (depth > 0 or _value_follows(token))
    if kind == "open":
        return not follows_operand or not spaced
    return follows_operand or (kind == "operator" and token["operator"] in ("-", "+", "−", "±"))


def _has_a_sign_after(token: re.Match[str]) -> bool:
    """A letter after a space belongs to a formula; "5 - a guess" does not."""
    following = token.string[token.end() : token.end() + 3]
    return re.match(r"\s?[-+=*/^<>)²³]|\Z|[.,]?\Z|[.,]\s", following) is not None


def _value_follows(token: re.Match[str]) -> bool:
    following = token.string[token.end() : token.end() + 12]
    starts = (
        rf"\s*(?:and\s+|or\s+)?(?:{FORMULA}|[-−]?[$€£]?\d"
        r"|[(\[]\s?[-\d]|[a-zA-Z](?:_?\d)?\s?=|\\|√|[-]?π|[A-H](?!\w))"
    )
    return re.match(starts, following) is not None
