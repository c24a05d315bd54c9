"""Statements: whether a sentence of a reply states the value that it holds, and whether a later one takes it back."""

from __future__ import annotations

import re


def _any_of(*patterns: str, before: str = "", after: str = "") -> re.Pattern[str]:
    return re.compile(f"{before}(?:{'|'.join(patterns)}){after}", re.IGNORECASE | re.DOTALL | re.MULTILINE)


# Right before a value: what bounds, alters or denies it, or speaks of a value known before.
BOUNDED = _any_of(
    r"\b(?:than|except|excluding|least|most|between|not|or|from|isn't|never|neither|nor|nicht|pas|no es|non è|не)\b",
    r"(?:\bnot|\bcannot|n't|\bnever)(?:\s+[a-z]+){1,3}|\bbetween\b[^.;:=]{1,40}\band|(?<![=-])[<>≤≥≠]",
    r"\b(?:below|above|under|over|exceeds?|divides|follows|precedes|the|these|those|both)\b",
    r"\b(?:his|her|their|its|our|my|the\s+number)\b",
    r"\bbounded\s+by|\bas\s+\w+\s+as",
    r"\b(?:could|might|may)\s+be|\b(?:maybe|perhaps|possibly)",
    r"\bnone\b[^.;:=]{0,40}|\b(?:any\w*|every\w*|all|nothing)\s+but",
    r"\b(?:step|case|part|problem|question|equation|figure|section|exercise|example|method)",
    r"\b(?:multiples?|factors?|divisors?|powers?|half|third|square|root|opposite|reciprocal)\s+of",
    r"\b(?:divi\w+|multipl\w+)\b[^.;:=]{0,30}\bby|\b(?:close|near|nearer|next|prior|compared)\s+to",
    r"(?<!\badd )(?<!\badds )(?<!\badded )\bup\s+to|\b(?:ends?|ended|start(?:s|ed)?|begins?|began)\s+(?:in|with)",
    r"\b(?:twice|plus|minus|times|modulo|base|from\s+\S+\s+to)|\b(?:twice|half|double|triple)(?:\s+\w+){1,5}",
    "不是|并非|並非|不等于|不等於|不为|不為|不可能|不会是",
    "至少|至多|不超过|不少于|大于|小于|超过|少于|多于|除了?|ではなく|아니라",
    after=r"[^A-Za-z\d]*\Z",
)
# Anywhere before it in its sentence.
_OTHERWISE = _any_of(
    r"\b(?:lower|upper)\s+bound\b|\b(?:of|than)\s+(?:the\s+|our\s+)?(?:final\s+|correct\s+)?answer\b",
    r"\b(?:false|untrue|not\s+true|incorrect|wrong|doubtful|unlikely|impossible)\s+that\b",
    r"\banswer\s+(?:has|have|had|does|divides|exceeds|differs|lies|starts|ends|contains|is\s+not)\b",
    r"\A\W*I\s+(?!get|got|conclude|find|found|obtain|choose|calculate|compute|would|have|see|think|believe|say)[a-z]+",
    r"\A\W*(?:for|when|at|in|with|where|by|on|once|during)\s+(?!(?:total|all|sum|fact|short|last|conclusion)\b)"
    r"(?:\$?\s*[a-zA-Z]\w*\s*=\s*|\w+\s+)?\$?\s*\Z",
)
# A clause that supposes or is given states nothing; what follows its comma may.
_SUPPOSING = _any_of(
    "assum(?:e|ing)|suppos(?:e|ing)|let|imagine|pretend|if|unless|whether|given",
    r"we\s+(?:are|were)\s+(?:told|given|asked)|(?:the\s+)?(?:problem|question|exercise)\s+(?:says|states|asks|gives)",
    before=r"\A\W*(?:(?:so|now|first|then|but)\b,?\s+)?",
    after=r"\b[^,，]*\Z",
)
_SUPPOSED = _any_of(
    "assum(?:e|ing)|suppos(?:e|ing)|let|imagine|pretend|whether|if|unless|doubt|false|not|of|than",
    r"bound\s+(?:for|on|of)",
    before=r"\b",
    after=r"(?:\s+that)?\s+(?:the\s+|our\s+)?(?:final\s+|correct\s+)?\Z",
)
_COMMANDING = _any_of(
    "multiply|divide|add|subtract|take|use|try|choose|pick|round|see|substitute|plug|put|set|consider|recall|note",
    r"ignore|disregard|forget|avoid|never|do\s+not|don't|find|compute|calculate|determine|evaluate|solve|simplify",
    before=r"\A\W*(?:(?:now|then|next|finally|first),?\s+)?",
    after=r"\b(?!.*\b(?:gets?|obtain|gives?|is|are|makes|leaves|have)\b)",
)
# Right after a value: what denies or alters it.
_DENIED = _any_of(
    r"(?:is|was)\s+(?!(?:the|our|my|your|a|correct|right|left|remaining|needed|required|obtained)\b)",
    r"isn't\b|are\s+(?:not|wrong|too)\b|wasn't\b|or\s+(?:more|less|fewer)\b",
    "[\u4e00-\u9fff]?\\s*(?:的(?!排法|方法|方案|情况|可能|不同)|以[上下外内]|除外|次方|分之|倍?多)",
    "ではない|ではありません|じゃない|不对|不正确|不是|是错|是不对|错误|이 아니|가 아니",
    before=r"[\s*]*",
)
_ALTERED = _any_of(
    r"(?:except|excluding|unless|other\s+than|minus|plus|squared|cubed|factorial|digits|but|however|although|though)\b",
    r"at\s+(?:most|least)\b|(?:more|less|fewer|greater|larger|smaller|higher|lower)\s+than\b|(?:percent|%)\s+of\b",
    r"times\s+(?:[-\d\\$(]|(?:as|the|an?|more|larger|greater)\b)",
    before=r"\$?\s*,?\s*",
)
# Anywhere after it, up to the end of the sentence or its reason.
_REFUTED = _any_of(
    r"false|contradict\w*|violat\w*|fails?|extraneous|invalid|reject\w*|discard\w*|ruled\s+out|no\s+longer",
    r"(?:does|do|did|is|are|can)(?:\s*not|n't)",
    before=r"\b",
    after=r"\b",
)
_WHY = re.compile(r"\b(?:since|because|as|where|when)\b|(?<=[.!?])\s|\n")
# Later sentences.
_WRONG = (
    r"(?:wrong|incorrect|impossible|invalid|false|extraneous|absurd|nonsense|a\s+(?:mistake|contradiction)"
    r"|(?:not|n't)\s+(?:right|correct|possible|valid|allowed|true|it|an?\s+(?:answer|solution)))\b"
)
_WITHDRAWN = (
    rf"(?:(?:(?:is|was|seems|looks|must be|would be)\s+|'s\s+)?(?:clearly\s+|just\s+)?{_WRONG}|fails\b"
    r"|(?:does|did)(?:\s+not|n't)\s+(?:work|fit|hold|satisfy)"
    r"|can(?:no|')t\s+be(?:\s+(?:right|correct|true|it))?\s*[.!,;])"
)
_TAKEN_BACK = _any_of(
    rf"\b(?:that|this|it|which)\s+{_WITHDRAWN}|\b(?:that|this|it)(?='s){_WITHDRAWN}",
    rf"\b(?:answer|result|value)\s+(?:is|was)\s+{_WRONG}|^\W*(?:a\s+)?contradiction\b|\A否",
    r"\b(?:is|was|remains)\s+unknown\b|\bno\s+(?:answer|idea|clue)\b|\bg[ai]ve\s+up\b|\b(?:not\s+|un)sure\b",
    r"\b(?:could|can)(?:\s?not|n't|'t)\s+(?:find|solve|determine|tell)",
)
_CONFIRMED = _any_of(r"\b(?:correct|right|confirm\w*|check\w* out|match\w*|works)\b")
_LEADING_ON = _any_of(
    r"(?:now\s+|please\s+|next,?\s+)?(?:find|compute|calculate|determine|evaluate|solve|simplify)\b",
    r"(?:hmm+|wait|but|however|actually|oops)\b|(?:neither|none)\b.*\bworks?\b",
    r"(?:so|thus|therefore|hence)\b(?!.*\b(?:that|this|it)\b)",
    before=r"\A\W*",
)


def is_meant(before: str) -> bool:
    """Say whether the part of a sentence before a value neither supposes it nor speaks of something else."""
    return not (_SUPPOSING.match(before) or _OTHERWISE.search(before))


def states(before: str, after: str) -> bool:
    """Say whether the value between these two parts of a text is stated as it stands by its sentence."""
    if BOUNDED.search(before) or not is_meant(before):
        return False
    return not (_DENIED.match(after) or _ALTERED.match(after) or _REFUTED.search(_WHY.split(after, maxsplit=1)[0]))


_SUPPOSED_IN_CHINESE = re.compile("(?:如果|若|假设|假如|不知道)[^，。]*\\Z")


def is_supposed(before: str) -> bool:
    """Say whether the words before "the answer is" only suppose or ask it, or speak of something else."""
    return bool(_SUPPOSED.search(before) or _SUPPOSED_IN_CHINESE.search(before))


def commands(sentence: str) -> bool:
    """Say whether a sentence tells what to do, and no result: "Multiply by 12"."""
    return _COMMANDING.match(sentence) is not None


def leads_on(sentence: str) -> bool:
    """Say whether a sentence asks for something still, or concludes without the value before it."""
    return _LEADING_ON.match(sentence) is not None


def is_taken_back(later: str) -> bool:
    """Say whether what follows a statement takes it back: "That is wrong", "Contradiction"."""
    return _TAKEN_BACK.search(later) is not None and not _CONFIRMED.search(_TAKEN_BACK.sub("", later))
