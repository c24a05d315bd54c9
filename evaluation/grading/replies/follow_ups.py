"""What comes after an answer: sentences that leave it as it is, and those that take it back."""

from __future__ import annotations

import re


def _any_of(*patterns: str, before: str = "", after: str = "") -> re.Pattern[str]:
    return re.compile(f"{before}(?:{'|'.join(patterns)}){after}", re.IGNORECASE | re.DOTALL | re.MULTILINE)


# A sentence that starts like this explains, checks or takes leave; any other one may change the answer.
_EXPLAINS = _any_of(
    r"(?:explanation|verification|check|proof|reason(?:ing)?|justification|note)\s*:",
    "解析|验证|检验",
    before=r"\A\W*",
)
_LEAVES = _any_of(
    r"verifying|checking|to (?:check|verify|see)",
    r"(?:this|that|it) (?:is (?:because|since|the (?:final )?answer|correct|our)|checks|matches|agrees|works"
    r"|confirms|satisfies|makes sense|completes|follows)",
    r"(?:because|since|as|where|here|for example|for instance|in other words)\b",
    r"i hope|let me know|hope this|feel free|good luck|please let|if you (?:have|need|want)|q\.?e\.?d|done|thank|■|□",
    r"(?:all|the) (?:other|others|rest)|(?:option|choice)?\s*\(?[A-H]\)? (?:is|are) (?:wrong|incorrect|false|not)",
    "因为|这是因为|希望",
    before=r"\A[\W\d]*",
)
_WRONG = (
    r"(?:wrong|incorrect|impossible(?!\s+(?:for|to))|invalid|false|extraneous|absurd|nonsense|a\s+(?:mistake"
    r"|contradiction)"
    r"|(?:not|n't)\s+(?:right|correct|possible|valid|allowed|true|it|an?\s+(?:answer|solution)))\b"
)
_WITHDRAWN = (
    rf"(?:(?:(?:is|was|seems|looks|must be|would be)\s+|'s\s+)?(?:clearly\s+|just\s+)?{_WRONG}|fails\b"
    r"|(?:does|did)(?:\s+not|n't)\s+(?:work|fit|hold|satisfy)"
    r"|can(?:no|')t\s+be(?:\s+(?:right|correct|true|it))?\s*[.!,;])"
)
_TAKEN_BACK = _any_of(
    rf"\b(?:that|this|it|which)\s+{_WITHDRAWN}|\b(?:that|this|it)(?='s){_WITHDRAWN}",
    rf"\b(?:answer|result|value|claim|guess|conclusion|reasoning|computation|calculation|count)\s+(?:is|was)\s+{_WRONG}|^\W*(?:a\s+)?contradiction\b|\A否",
    r"\b(?:is|was|remains)\s+unknown\b|\bno\s+(?:answer|idea|clue)\b|\bg[ai]ve\s+up\b|\b(?:not\s+|un)sure\b",
    r"\b(?:could|can)(?:\s?not|n't|'t)\s+(?:find|solve|determine|tell)",
    r"\A[\s$.,;:—-]*(?:no\b|wait\b|hold on|hmm|on second thought|oops|scratch that|correction\b|sorry|actually\b)",
    r"\b(?:it|this|that|which)\s+should\s+(?:be|have)\b(?!\s+(?:noted|clear|stressed|mentioned|simplified|written))",
)
_ASIDE = re.compile(
    r"\n\s*\((?=[A-Z])"
)  # a paragraph in brackets, "(If a = b, then ..": it argues about something else
_CONFIRMED = _any_of(r"\b(?:correct|right|confirm\w*|check\w* out|match\w*|works)\b")


def explains(sentence: str) -> bool:
    """Say whether a sentence is headed as an explanation or a check, whatever values stand in it."""
    return _EXPLAINS.match(sentence) is not None and not is_taken_back(sentence)


def leaves_as_it_is(sentence: str) -> bool:
    """Say whether a sentence after the answer only explains it, checks it or takes leave."""
    return _LEAVES.match(sentence) is not None and not is_taken_back(sentence)


def is_taken_back(later: str) -> bool:
    """Say whether what follows a statement takes it back: "That is wrong", "Contradiction"."""
    later = _ASIDE.split(later, maxsplit=1)[0]
    return _TAKEN_BACK.search(later) is not None and not _CONFIRMED.search(_TAKEN_BACK.sub("", later))
