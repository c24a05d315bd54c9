"""Conditions that trail an answer ("where k is an integer", "for x > 0"): split off, and compared with each other.

Conditions that are the answer ("at least 3", "all integers n > 3") are written in signs.

Policy: conditions on both sides must be the same; one on one side only may go where it restates the domain, as
k in Z, "for all x", n >= 1 or "C is a constant" do.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .scanning import enclosed, is_balanced, parts, split_top

_OPENING = (
    r"where|for(?:\s+(?:all|any|every|each|some|which))?|with|such\s+that|if|when(?:ever)?|provided(?:\s+that)?"
    r"|given(?:\s+that)?|assuming|subject\s+to|s\.t\.|as\s+long\s+as|unless|except(?:\s+(?:for|when|where))?|only\s+(?:if|for)"
)
_QUALIFIER = re.compile(
    rf"(?P<before>.*?[^\s,;(])\s*[,;]?\s*\(?\s*(?:\\text\s*\{{\s*,?\s*(?P<text>{_OPENING})\b|(?<![a-zA-Z\\])(?P<plain>{_OPENING})(?![a-zA-Z])"
    r"|(?P<sign>\\forall))(?P<rest>.*)$",
    re.DOTALL,
)
_MEMBERSHIP = re.compile(
    r"(?P<before>.*?[^\s,;(])\s*(?:[,;]|\s\(|(?<=[^a-zA-Z\s])\(|\()\s*\(?(?P<rest>(?:\\?[a-zA-Z](?:_\{?\w\}?)?\s*,\s*)*\\?[a-zA-Z](?:_\{?\w\}?)?\s*"
    r"(?:\\in(?![a-zA-Z])|\\ge(?![a-zA-Z])|\\le(?![a-zA-Z])|\\ne(?![a-zA-Z])|>|<"
    r"|\s*(?:\\text\s*\{\s*)?(?:is\s+|are\s+)?(?:an?|any)\s+(?:arbitrary\s+)?(?:integer|real|natural|positive|constant)).*)$",
    re.DOTALL,
)
_BRACKETED = re.compile(
    r"(?P<before>.*[^\s,;(])\s*\((?P<rest>\s*[^()]*(?:\\in(?![a-zA-Z])|\\ge(?![a-zA-Z])|\\le(?![a-zA-Z])|\\ne(?![a-zA-Z])|>|<|=)[^()]*)\)$",
    re.DOTALL,
)
_EXCEPTING = re.compile("unless|except|only")  # these turn what follows round: they stay with it
_SIGNS = ("=", "<", ">", "\\le", "\\ge", "\\ne", "\\in", "\\equiv", "\\mid")
_TEXT = re.compile(r"\\(?:text|mathrm)\s*\{([^{}]*)\}")
_POSITIVE = r"\s*[\^_]\s*\{?\s*(?:\+|>\s*0)\s*\}?"
_SETS = {
    "Z": r"\\mathbb\s*\{?Z\}?|Z|integers?|whole numbers?",
    "N": r"\\mathbb\s*\{?[ZN]\}?\s*[\^_]\s*\{?\s*(?:\+|\*|>\s*0|\\ge\s*1)\s*\}?|\\mathbb\s*\{?N\}?|N"
    r"|positive integers?|natural numbers?",
    "N0": r"\\mathbb\s*\{?[ZN]\}?\s*_\s*\{?\s*(?:\\ge\s*)?0\s*\}?|non-?negative integers?",
    "Q+": r"\\mathbb\s*\{?Q\}?" + _POSITIVE + r"|positive rationals?|positive rational numbers?",
    "R+": r"\\mathbb\s*\{?R\}?" + _POSITIVE + r"|positive reals?|positive real numbers?|positive",
    "Q": r"\\mathbb\s*\{?Q\}?|rational numbers?|rationals?",
    "R": r"\\mathbb\s*\{?R\}?|R|real numbers?|reals?|real",
    "C": r"\\mathbb\s*\{?C\}?|complex numbers?|complex",
    "constant": r"(?:arbitrary |real |integration )?constants?(?: of integration)?|arbitrary|parameters?",
}
_SET = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _SETS.items()}
_NAMES = (
    r"(?:\\?[a-zA-Z]+(?:_\{?\w+\}?)?'*(?:\([a-z]\))?)(?:\s*(?:,|and|\\text\{\s*and\s*\})\s*\\?[a-zA-Z](?:_\{?\w+\}?)?)*"
)
_IN_WORDS = re.compile(
    rf"(?:(?P<names>{_NAMES})\s+(?:(?:is|are|be|being|\\in)\s+|(?=an?\s|any\s)))?"
    r"(?:an?|any|all|some|the|every|each)?\s*(?:set of\s+)?"
    r"(?:all\s+)?(?:arbitrary\s+)?(?P<set>.*?)$"
)
_FROM_START = re.compile(
    r"[i-nN]\s*(?:\\ge\s*\{?[012]\}?|>\s*\{?[01]\}?)|\{?[012]\}?\s*\\le\s*[i-nN]|\{?[01]\}?\s*<\s*[i-nN]"
)
_LETTER = r"(?:\\[a-zA-Z]+|[a-zA-Z])(?:_\{?\w+\}?)?'*(?:\([a-z]\))?"
_EVERY_NAME = re.compile(rf"(?:all|any|every|each)?\s*{_LETTER}(?:\s*(?:,|and|\\text\{{\s*and\s*\}})\s*{_LETTER})*")


def split_condition(text: str) -> tuple[str, str]:
    """Return (answer, condition); the condition is "" where there is none that can be told from the answer."""
    for pattern in (_QUALIFIER, _MEMBERSHIP, _BRACKETED):
        found = pattern.match(text)
        if found is None:
            continue
        before = found["before"].rstrip(" ,;")
        rest = found["rest"]
        opening = "".join(_EXCEPTING.findall(found["text"] or found["plain"] or "")) if pattern is _QUALIFIER else ""
        rest = f"{opening} {rest}" if opening else rest
        if pattern is _QUALIFIER and found["text"] is not None:
            rest = "\\text{" + rest
        if pattern is not _QUALIFIER and not _states_no_relation(before) and not _restricts(before, rest):
            continue
        if is_balanced(before) and before:
            return before, _stripped(rest)
    return text, ""


def _restricts(answer: str, rest: str) -> bool:
    """n > 3, n in Z: a relation, and the kind of its letter."""
    return "," not in answer and len(split_top(answer, _SIGNS)) > 1 and _domain(_stripped(rest)) is not None


def _states_no_relation(answer: str) -> bool:
    """An inequality or a bare letter is no answer to which another inequality is a condition."""
    if len(parts(answer, ",")) > 1 or re.fullmatch(r"[a-zA-Z]|[A-Z]'?", answer):
        return False
    return not any(sign in ("<", ">", "\\le", "\\ge", "\\ne", "\\in") for _, sign in split_top(answer, _SIGNS))


def _stripped(condition: str) -> str:
    condition = condition.strip().rstrip(".,;").strip()
    if condition.endswith(")") and not is_balanced(condition):
        condition = condition[:-1].strip()
    pair = enclosed(condition)
    return pair[1] if pair is not None and pair[0] == "(" else condition


def conditions_agree(first: str, second: str, equal: Callable[[str, str], bool]) -> bool:
    """Compare two conditions, either of them maybe empty; `equal` compares their relations."""
    if _compact(first) == _compact(second):
        return True
    mine, other = _atoms(first), _atoms(second)
    if not first or not second:
        return all(_is_domain(atom) for atom in mine + other)
    sets = _domains(mine), _domains(other)
    if any(_contradict(sets[0][name], sets[1][name]) for name in sets[0].keys() & sets[1].keys()):
        return False
    rest = [[atom for atom in atoms if not _is_domain(atom) or _FROM_START.fullmatch(atom)] for atoms in (mine, other)]
    return _match(rest[0], rest[1], equal)


def _contradict(first: str, second: str) -> bool:
    """A constant may be any real or complex number."""
    return first != second and not ({first, second} <= {"constant", "R", "C"} and "constant" in (first, second))


def _match(first: list[str], second: list[str], equal: Callable[[str, str], bool]) -> bool:
    remaining = list(second)
    for atom in first:
        same = next(
            (one for one in remaining if _compact(one) == _compact(atom) or _same_relation(one, atom, equal)), None
        )
        if same is None:
            return False
        remaining.remove(same)
    return not remaining


def _same_relation(first: str, second: str, equal: Callable[[str, str], bool]) -> bool:
    both = [len(split_top(text, _SIGNS)) > 1 and "\\text" not in text for text in (first, second)]
    return all(both) and equal(first, second)


def _atoms(condition: str) -> list[str]:
    opened = _TEXT.sub(r" \1 ", condition)
    pieces = [
        piece
        for piece in re.split(r";|\band\b|\\land\b|\bwhere\b|\bsuch that\b|\bwith\b|\bfor\b", opened)
        if piece.strip()
    ]
    atoms: list[str] = []
    for piece in pieces:
        names: list[str] = []
        for part in parts(piece.strip(" ,.()"), ","):
            part = " ".join(part.split())
            if re.fullmatch(r"(?:all |any |every |each )?\\?[a-zA-Z](?:_\{?\w+\}?)?", part):
                names.append(part)  # a, b in Z
            elif part:
                atoms.append(", ".join([*names, part]))
                names = []
        atoms += names
    return atoms


def _is_domain(atom: str) -> bool:
    return (
        _domain(atom) is not None
        or bool(_FROM_START.fullmatch(atom))
        or bool(_EVERY_NAME.fullmatch(atom) and len(atom) < 8)
    )


def _domains(atoms: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for atom in atoms:
        domain = _domain(atom)
        if domain is not None:
            found.update(dict.fromkeys(domain[0] or ("",), domain[1]))
    return found


def _domain(atom: str) -> tuple[tuple[str, ...], str] | None:
    """(names, set) of an atom that only says of what kind a letter is; None for any other."""
    atom = re.sub(r"^(?:all|any|every|each)\s+", "", atom)
    names, sign, kind = atom.partition("\\in")
    if not sign:
        trailing = re.fullmatch(r"(?P<kind>[a-z][a-z -]*?)\s+(?P<names>\\?[a-zA-Z](?:\s*,\s*[a-zA-Z])*)", atom)
        words = _IN_WORDS.fullmatch(atom)
        if trailing is not None and (name := _set_name(trailing["kind"])) is not None:
            return tuple(re.findall(r"\\?[a-zA-Z]+", trailing["names"])), name
        names, kind = (words["names"] or "", words["set"]) if words is not None else ("", "")
    name = _set_name(kind.strip())
    return None if name is None else (tuple(re.findall(r"\\?[a-zA-Z]+(?:_\{?\w+\}?)?", names)), name)


def _set_name(kind: str) -> str | None:
    return next(
        (name for name, pattern in _SET.items() if pattern.fullmatch(kind.strip(" {}"))) if kind else iter(()), None
    )


def _compact(text: str) -> str:
    return re.sub(r"[\s{}]", "", _TEXT.sub(r" \1 ", text))


_OPENED = r"(?:\\text\s*\{\s*)?"
_BOUND = re.compile(
    rf"^{_OPENED}(?:(?P<name>[a-z])\s+{_OPENED}(?:is\s+|must be\s+))?(?:strictly\s+)?"
    r"(?:(?P<least>at least|no less than|not less than)|(?P<most>at most|no more than|not more than|no greater than)"
    r"|(?P<word>greater|more|larger|less|smaller)\s+than(?P<equal>\s+or\s+equal\s+to)?)\s*\}?\s*(?P<value>[-\d\\][^,;]*)$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    rf"^{_OPENED}(?:(?P<name>[a-z])\s+{_OPENED}(?:is\s+|lies\s+))?(?:strictly\s+)?between\s*\}}?\s*(?P<low>[-\d\\][^,;]*?)\s*"
    rf"{_OPENED}and\s*\}}?\s*(?P<high>[-\d\\][^,;]*?)\s*(?P<ends>,?\s*\(?{_OPENED}\(?(?:inclusive|exclusive)\)?\s*\}}?\)?)?$",
    re.IGNORECASE,
)
_ALL_NUMBERS = re.compile(
    rf"^{_OPENED}(?:for\s+)?all\s+(?P<sign>positive\s+|non-?negative\s+)?"
    r"(?P<kind>integers|real numbers|reals|natural numbers)\b"
    rf"\s*\}}?\s*(?:(?P<name>[a-z])\s*{_OPENED}(?:with|such that|where|satisfying)\s*\}}?\s*)?(?P<rest>.*)$",
    re.IGNORECASE,
)
_RELATION = re.compile(r"[^,;=]*?(?P<name>(?<![a-zA-Z\\])[a-z](?![a-zA-Z]))[^,;=]*?(?:<|>|\\ge|\\le|\\ne)[^,;=]*$")


def in_signs(text: str) -> str:
    """ "x is at least 3" as x \\ge 3, "all integers n > 3" as n > 3 with its domain; any other text as it is."""
    between = _BETWEEN.match(text)
    if between is not None:
        sign = "\\le" if "inclusive" in (between["ends"] or "").lower() else "<"
        return f"{between['low']} {sign} {between['name'] or 'x'} {sign} {between['high']}"
    bound = _BOUND.match(text)
    if bound is not None:
        return f"{bound['name'] or 'x'} {_sign(bound)} {bound['value']}"
    every = _ALL_NUMBERS.match(text)
    if every is None:
        return text
    whole = every["kind"].lower() in ("integers", "natural numbers")
    relation = in_signs(every["rest"])
    if relation != every["rest"]:
        relation = re.sub(r"(?<![a-zA-Z\\])x(?![a-zA-Z])", "n", relation) if whole else relation
    named = _RELATION.fullmatch(relation)
    if named is None or named["name"] is None:
        return text
    letter = "Z" if every["kind"].lower() == "integers" else "N" if whole else "R"
    return f"{relation}, {named['name']} \\in \\mathbb{{{letter}}}{_raised(every['sign'])}"


def _raised(sign: str | None) -> str:
    return "" if not sign else "_{\\ge 0}" if sign.lower().startswith("non") else "^{+}"


def _sign(bound: re.Match[str]) -> str:
    if bound["word"] is None:
        return "\\ge" if bound["least"] else "\\le"
    above = bound["word"].lower() in ("greater", "more", "larger")
    if bound["equal"]:
        return "\\ge" if above else "\\le"
    return ">" if above else "<"
