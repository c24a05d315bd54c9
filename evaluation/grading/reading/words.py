"""Answers in words and multiple-choice letters: told apart from mathematics, and compared."""

from __future__ import annotations

import re

_TEXT_COMMAND = re.compile(r"\\(?:text|mathrm|textbf|mathbf|operatorname)\s*\{([^{}]*)\}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_SAME_WORDS = {"dne": "does not exist", "doesn t exist": "does not exist", "no solutions": "no solution"}
_SAME_WORDS |= {"不存在": "does not exist", "无解": "no solution", "無解": "no solution"}
_SAME_WORDS |= dict.fromkeys(
    ("infty", "infinite", "infinity", "infinitely many solutions", "infinite solutions", "无穷", "无穷多", "无数个"),
    "infinitely many",
)
_LEADING = ("a", "an", "the", "all", "every")
# "The winner is Evelyn", "So the function is even": a thing, "is", and the words of the answer.
_STATEMENT = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s+)?(?P<subject>it|this|(?:the|this)\s+\w+)(?:\s+of\s+the\s+\w+)?\s+(?:is"
    r"|are)\s+(?P<said>[^,.;]*)\.?",
    re.IGNORECASE,
)
_TRUE_THINGS = re.compile(
    r"it|this|(?:the|this)\s+(?:statement|claim|proposition|assertion|conjecture|equation|answer)", re.IGNORECASE
)
_YES_OR_NO = frozenset({"yes", "no", "true", "false"})
_CHOICE_GOLD = re.compile(r"\(?\s*(?:\\text\s*\{)?\s*\(?\s*([A-Z])\s*\)?\s*\}?\s*\)?\.?")
_LABELLED_GOLD = re.compile(r"(?:\(([A-Z])\)|([A-Z])[).])\s*[^\s)]")
_STATED = re.compile(r"\(?([A-Z])\)?,?\s+(?:because|since|as|for|not|rather)\b")
_CHOICE_LABEL = re.compile(
    r"(?:\\text(?:bf|rm)?\s*\{)?\s*(?:answer|option|choice)?\s*:?\s*(?:\(\s*([A-Z])\s*\)|\[\s*([A-Z])\s*\]|([A-Z])(?=\s*(?:[.:)}]|$)))",
    re.IGNORECASE,
)

_OTHER_LETTER = re.compile(r"[\s}$*)]*(?:or|and|[,/;])\s*(?:\\text\s*\{)?[$*\s]*(?:\([A-H]\)|[A-H](?![a-zA-Z]))")


def plain_words(text: str) -> str:
    """The words of an answer: text commands opened, case and punctuation gone."""
    text = re.sub(r"-\s*\\?(?=inf)", "negative ", _TEXT_COMMAND.sub(r" \1 ", text))
    words = re.sub(r"[^\w\s]", " ", text.replace("\\", " ")).casefold().split()
    words = words[1:] if len(words) > 1 and words[0] in _LEADING else words
    words = [word for word in words if word not in ("is", "are")] or words  # "n is even" and "n even"
    return _SAME_WORDS.get(" ".join(words), " ".join(words))


def is_text(text: str) -> bool:
    """Say whether an answer is words: at least one word of two letters and no digit or operator outside of it."""
    opened = _TEXT_COMMAND.sub(r" \1 ", text)
    if re.search(r"[\d^_=+*/<>|{}\\()\[\]]", opened):
        return False
    words = _WORD.findall(opened)
    return bool(words) and (
        "\\text" in text or any(len(word) > 2 or word.casefold() in _YES_OR_NO for word in words) or len(words) > 1
    )


def texts_equal(prediction: str, gold: str) -> bool:
    """Compare words without case and punctuation; single letters keep their case."""
    first, second = plain_words(prediction), plain_words(gold)
    if len(first) == 1 or len(second) == 1:
        return _TEXT_COMMAND.sub(r"\1", prediction).strip(" .()") == _TEXT_COMMAND.sub(r"\1", gold).strip(" .()")
    if second in _YES_OR_NO and re.match(r"\s*\w+\s*[,.;:]", prediction) is not None:  # "Yes, it is"
        said = first.split()
        return said[:1] == [second] and not _YES_OR_NO.intersection(said[1:])
    if not first:
        return False
    stated = _STATEMENT.fullmatch(prediction.strip())
    return (
        first == second
        or (
            stated is not None
            and plain_words(stated["said"]) == second
            and (second not in _YES_OR_NO or _TRUE_THINGS.fullmatch(stated["subject"]) is not None)
        )
        or (second == "does not exist" and first.endswith(f" {second}"))
    )


def choice_of_gold(gold: str) -> str | None:
    """The letter when the gold answer is one choice letter, in any dress: A, (A), \\text{(A)}, A) 5."""
    match = _CHOICE_GOLD.fullmatch(gold.strip())
    if match is not None:
        return match[1]
    label = _LABELLED_GOLD.match(gold.strip())
    return (label[1] or label[2]) if label else None


_LABEL = re.compile(
    r"(?:\\text\{\s*)?(?:\(\s*[A-H]\s*\)|[A-H]\)|[A-H][.:])\s*[.:]?\s*\}?\s*(?!(?:and|or)\b)(?=[^\s),;}])"
)


def without_choice_label(answer: str) -> str:
    """ "(C) 12": the value beside a choice letter; any other answer as it is."""
    label = _LABEL.match(answer)
    return answer[label.end() :] if label is not None else answer


def choice_of_prediction(prediction: str) -> str | None:
    """The choice letter that a prediction is or begins with, as a label or before its reason; None where it does "
    "not."""
    text = prediction.strip().strip("*$ ")
    text = text[1:-1] if re.fullmatch(r"\[\[[A-Z]\]\]", text) else text
    if text.endswith(("?", "？")):
        return None
    stated = _STATED.match(text)
    if stated is not None:
        return stated[1]
    label = _CHOICE_LABEL.match(text)
    if label is not None and not _OTHER_LETTER.match(text, label.end()):
        letter = (label[1] or label[2] or label[3]).upper()
        return letter if (label[1] or label[2] or label[3]).isupper() else None
    return None
