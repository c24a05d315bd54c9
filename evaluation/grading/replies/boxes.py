"""The boxes of a reply, \\boxed{..} and its kin: which close, which belong together, and which are taken back."""

from __future__ import annotations

import re
from functools import lru_cache

from entrobench.evaluation.grading.reading.scanning import word_set

from .follow_ups import is_taken_back

LONGEST_REPLY = 65_536  # characters from the end, ours
BOX = re.compile(
    r"(?:\\(?:boxed|fbox|framebox(?:\[[^\[\]]*\]){0,2})(?![a-zA-Z])|(?<![\\a-zA-Z])boxed(?=\{))"
    r"\s*(\{|[^\s{\\]|\s[^\s{\\])"
)
_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_OPEN_BEFORE = re.compile(r"\\(?:boxed|fbox)\s*\{\s*\Z")
# Between two boxes of one answer: a comma, "and", "or", layout, a name with "=", at most three words beside "and".
_LAYOUT = re.compile(r"\\(?:text|quad|qquad|mathrm|left|right|[,;: ()\[\]])|[${}~*()\s.]|\\\\")
_CONNECTED = re.compile(r"(?:,|;|and|or|&|\w{1,2}_?\w?\s*=|,\s*and)*", re.IGNORECASE)
_CONNECTED_BY_AND = re.compile(r"(?:[a-z]+ ){0,4}(?:and|or)(?: [a-z]+){0,2}", re.IGNORECASE)
_DENIED = re.compile(
    r"(?:\bnot(?:\s+equal\s+to)?|\bcannot\s+be|\bcan\s+not\s+be|\bnever|n't(?:\s+be)?|不是|不等于)[\s$*:(]*\Z",
    re.IGNORECASE,
)
# Words before a box that suppose, bound or refute it.
_SUPPOSED = re.compile(
    r"(?:(?:\A|[.!?;,]\s|\n)\W*(?:if\s+(?:it|this|the\s+answer)|suppose|supposing|assume|assuming)\b[^.,;\n]*"
    r"|\b(?:(?:less|more|greater|fewer|smaller|larger)\s+than|below|(?<!the\s)above|beyond|exceed(?:s|ing)?)[\s$*:(]*"
    r"|\b(?:wrong|incorrect|false|mistaken|naive|tempting)\s+(?:answer|result|value|guess|solution)s?"
    r"(?:\s+(?:is|was|would\s+be|of))?[\s$*:(]*"
    r"|\b(?:might|could|may)\s+(?:\w+\s+)?(?:think|guess|say|expect|believe|conclude|suspect)\b[^.!?\n]{0,60}"
    r"|\bwould\s+(?:\w+\s+)?(?:think|guess|expect|suspect)\b[^.!?\n]{0,60}"
    r"|(?:\A|[.!?]\s|\n)\W*(?:replace|discard|reject|ignore|omit|drop|exclude|forget|multiply|divide|add|subtract"
    r"|double|square|halve)\s+(?:by\s+|the\s+)?[\s$*]*)\Z",
    re.IGNORECASE,
)
_COUNTERFACTUAL = re.compile(
    r"\bif\b[^.!?\n]{0,60}\b(?:were|had)\b[^.!?\n]{0,60}\bwould\b[^.!?,\n]{0,30}\Z", re.IGNORECASE
)
# A formula that goes on before or behind a box: the box holds a part of it.
_WITHIN_BEFORE = re.compile(
    r"(?:(?:[<≠]|(?<![\w|/\"'=-])>|(?<=[^\w<][a-zA-Z])>|\\(?:neq?|[lg]t)(?![a-zA-Z]))[\s{]*"
    r"|\\[dt]?frac\s*(?:\{[^{}]*\}\s*)?\{\s*|\\sqrt\s*(?:\[[^\[\]]*\])?\s*\{\s*|[\^_]\s*\{?\s*|\\l(?:floor|ceil)\s*"
    r"|\\(?:(?:arc)?(?:sin|cos|tan|cot)h?|sec|csc|log|ln|lg|exp|gcd|lcm|max|min|det|binom|overline)(?![a-zA-Z])"
    r"\s*(?:[_^]\s*(?:\{[^{}]*\}|\w)\s*)*[({]?\s*"
    r"|(?:[\d})]|(?<![a-zA-Z])[a-zA-Z])[ \t]*(?:[+×·÷/]|\\(?:cdot|times|div|pm|mp)(?![a-zA-Z]))\s*"
    r"|(?:[\d})]|(?<![a-zA-Z])[a-zA-Z])\("
    r"|(?:\$|\\\[|\\\()[^$\n=]{0,40}[\d})a-z][ \t]*-[ \t]*)\Z"
)
_WITHIN_AFTER = re.compile(
    r"\s*(?:[-+×·*/]|\\(?:cdot|times|div)(?![a-zA-Z]))\s*(?:\d|\\[dt]?frac|\\sqrt)"
    r"|[ \t]*(?:[+×·/]|\\(?:cdot|times|div)(?![a-zA-Z]))[ \t]*[a-zA-Z](?![a-zA-Z])|[:,]\d"
)
_BAR_BEFORE = re.compile(r"(?:\A|[$=(])\s*\\?\|\Z")  # |\boxed{-5}|, and no cell of a table
# What asks, drops or refutes a box, right behind it.
_DROPPED = re.compile(
    r"[\s$*.)]{0,4}[?？]|[\s$*]*,?\s+(?:and|but)\s+(?:then\s+)?(?:we\s+)?(?:discard|reject|exclude|drop|ignore)\b"
    r"|[\s$*]*,?\s+but\s+not\b|[\s$*]*,\s+which\s+(?:over|under|double[- ]?|mis)count\w*"
    r"|[^.!?\n]{0,60}\bbut\s+(?:here|now|in\s+(?:our|this)\s+(?:case|problem)|the\s+(?:question|problem))\b"
    r"|[\s$*]*,?\s+(?:yet|but|while|whereas|though|however)\b[^.\n]{0,40}?\b(?:true|actual|real|correct|right)\s+"
    r"(?:value|answer|one|result)\b",
    re.IGNORECASE,
)
_CALLED_WRONG = re.compile(
    r"(?:[\s$.*)]|\\text\s*\{){0,6}(?:is|was)\b[^.,;\n]{0,40}"
    r"\b(?:impossible|wrong|incorrect|false|extraneous|invalid|rejected|inadmissible)\b(?!\s+(?:for|to)\b)",
    re.IGNORECASE,
)
_FACTOR_BEFORE = re.compile(r"(?<![\w.,}^_{/])\d+\Z")
_MINUS_BEFORE = re.compile(r"[=:$({\s]-\Z")
_FACTOR_AFTER = re.compile(
    r"\s*(?:\\sqrt\s*(?:\[[^\[\]]*\]\s*)?\{[^{}]*\}|\\pi(?![a-zA-Z])|\^\s*(?:\{(?!\s*\\(?:circ|prime|text))[^{}]*\}|\d)"
    r"|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|_\s*(?:\{\s*\d+\s*\}|\d)|\\?%)"
)
_LATE_WORDS = 200  # characters after the last box, ours: what stands later goes on working
_ARGUING = word_set("so no not thus hence therefore but final answer wait actually is be because alternatively")


def window(text: str) -> str:
    """The last 64 KB, moved back to the last box where that stands before them."""
    start = max(0, len(text) - LONGEST_REPLY)
    box = max(text.rfind("\\boxed"), text.rfind("boxed{"), text.rfind("\\fbox"), text.rfind("\\framebox"))
    return text[start:] if box < 0 or box >= start else text[box : box + LONGEST_REPLY]


@lru_cache(maxsize=4)  # extraction asks several times about one reply
def boxes(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return (start, end, content) of every closed outermost box, in order."""
    found: list[tuple[int, int, str]] = []
    place = 0
    ends: dict[int, int] | None = None
    while (match := BOX.search(text, place)) is not None:
        place = match.end()
        if match[1] != "{":
            found.append((match.start(), place, match[1].strip()))
            continue
        ends = ends if ends is not None else _closing_braces(text, place - 1)
        if place - 1 in ends:
            end = ends[place - 1]
            found.append((match.start(), end + 1, text[place:end]))
            place = end + 1
    return tuple(found)


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """Map each { from here on to its }; one pass, so that a reply of nothing but braces stays linear."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACES.finditer(text, start):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            ends[opened.pop()] = match.start()
    return ends


def last_boxed(text: str) -> str | None:
    """Return the content of the last closed box, joined by commas with the boxes of the same answer beside it."""
    found = boxes(text)
    if not found or _is_retracted(text, found[-1][0], found[-1][1]):
        return None
    start, end, content = found[-1]
    if not content.strip():
        return ""
    contents = [_with_what_clings(text, start, end, content)]
    for before_start, before_end, before in reversed(found[:-1]):
        if not _belong_together(text[before_end:start]):
            break
        contents.insert(0, before)
        start = before_start
    return ", ".join(dict.fromkeys(contents))


def end_of_boxes(text: str) -> int:
    """Where the last closed box ends, 0 where there is none."""
    return max((end for _, end, _ in boxes(text)), default=0)


def _with_what_clings(text: str, start: int, end: int, content: str) -> str:
    """-\\boxed{5}, \\boxed{5}\\sqrt{2}: a sign, root, power or constant that the box left outside."""
    sign = "-" if _MINUS_BEFORE.search(text, max(0, start - 20), start) else ""
    number = _FACTOR_BEFORE.search(text, max(0, start - 20), start)
    if number is not None:
        sign, content = f"{sign}{number[0]}", f"({content})"
    factor = _FACTOR_AFTER.match(text, end)
    return f"{sign}{content}{factor[0]}" if factor else f"{sign}{content}"


def _is_retracted(text: str, start: int, end: int) -> bool:
    """Whether a box that never closes follows the last closed one, or opens right before it, or words deny it."""
    later = [box for box in BOX.finditer(text, end) if box[1] == "{"]
    if later or _OPEN_BEFORE.search(text, 0, start) is not None:
        return True
    before, near = text[max(0, start - 160) : start], text[max(0, start - 40) : start]
    if _BAR_BEFORE.search(near) and text.startswith(("|", "\\|"), end):
        return True
    if any(words.search(before[-80:]) for words in (_DENIED, _SUPPOSED)) or _WITHIN_BEFORE.search(near):
        return True
    if "would" in before and _COUNTERFACTUAL.search(before):
        return True
    if any(words.match(text, end) for words in (_CALLED_WRONG, _WITHIN_AFTER, _DROPPED)):
        return True
    return is_taken_back(text[end : end + _LATE_WORDS])


def _belong_together(between: str) -> bool:
    if len(between) > 80 or re.search(r"[?!:.]|\n\s*\n", between):
        return False
    words = " ".join(_LAYOUT.sub(" ", between).split())
    if _ARGUING.intersection(words.lower().split()):
        return False
    joined = words.replace(" ", "")
    return _CONNECTED.fullmatch(joined) is not None or _CONNECTED_BY_AND.fullmatch(words) is not None
