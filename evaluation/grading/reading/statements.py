"""Statements: what makes a text a sentence, the number it states, and whether a later one takes that back."""

from __future__ import annotations

import re

from .scanning import word_set
from .units import without_measures


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
    r"(?:wrong|incorrect|impossible(?!\s+(?:for|to))|invalid|false|extraneous|absurd|nonsense|a\s+(?:mistake|contradiction)"
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
_ASIDE = re.compile(
    r"\n\s*\((?=[A-Z])"
)  # a paragraph in brackets, "(If a = b, then ..": it argues about something else
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
    later = _ASIDE.split(later, maxsplit=1)[0]
    return _TAKEN_BACK.search(later) is not None and not _CONFIRMED.search(_TAKEN_BACK.sub("", later))


_SCALED = r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b)?"
_AMOUNT = rf"-?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:[.,]\d+)?(?:\s*/\s*\d+)?{_SCALED}"
_NUMBER = re.compile(
    rf"(?<![\w.,/^_'\"\\)(\-])(?:\\?\$\s?)?({_AMOUNT}(?:\s?\\?%)?)(?![\w'\"/^(\u0370-\u03ff²³]|[.,]\d)", re.ASCII
)
_CURRENCY = re.compile(rf"(?<![\w.])\$\s?({_AMOUNT})|({_AMOUNT})\s?(?:\$|€|£|¥)(?![\w\d])", re.ASCII)
_AFTER_EQUALS = re.compile(rf"=\s*({_AMOUNT}\s?%?)(?![\w'\"/^(.]*\d)", re.ASCII)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？]\s*|\n+|\s+(?=(?:Therefore|Thus|Hence|So|Donc)\b)")
LATIN_WORD = re.compile(r"(?<![\\a-zA-Z\d])[^\W\d_¹²³⁰-₉]{2,}")
_OTHER_SCRIPT = re.compile("[\u0590-\u08ff\u0900-\u0dff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
NOT_PROSE = re.compile(r"[`_{}]|\\(?![$%])|\"|'\w+'|\w\(|\bnot\b|\bor\b|\bif\b|\bsuch that\b|≡", re.IGNORECASE)
_OPENING_WORDS = re.compile(r"\s*[A-Za-z]+\s+[a-z]{2,}\s")  # a sentence starts: "It costs .."
_LISTED_BEFORE = re.compile(
    r"((?:-?\d[\d.]*,\s+)*-?\d[\d.]*),?\s*(?:and|or|&)\s*$|((?:-?\d[\d.]*,\s+)+-?\d[\d.]*),\s+$"
)
_TELLING = re.compile(
    r"\b(?:answers?|solutions?|therefore|thus|respuesta|réponse|antwort|ответ)\b|答案|####", re.IGNORECASE
)
# "all integers n > 3": a domain and its condition, an answer; "20% of 50 is 10": a statement.
DOMAIN = re.compile(
    r"^\s*(?:for\s+)?all\s+(?:[a-z-]+\s+){0,2}?(?:integers?|numbers?|reals?|values)\b(?:\s+of\b)?", re.IGNORECASE
)
_STATING = re.compile(r"[\d%)]\s+(?:[a-z]+\s+){0,3}(?:is|are|equals)\s+-?\d", re.IGNORECASE)
_LABEL = re.compile(r"\s*[^\W\d_]{3,}\s*\d*\s*:\s*-?\d")
GROUPED_WORDS = re.compile(r"\\[a-zA-Z]+\s*\{[^{}]*\}")
_SHORT_WORDS = word_set("and or sin cos tan log ln exp sqrt pi oo mod gcd lcm max min percent pct")


def number_of(text: str) -> str:
    """The only number of a sentence; "" where the text is none or holds several."""
    numbers = _NUMBER.findall(_spaced(text))
    return numbers[-1] if len(numbers) == 1 and is_prose(text) else ""


def last_number(text: str) -> str:
    """The number that the last sentence with one ends on: after "=", with a currency sign, else its last."""
    for sentence in reversed([piece for piece in SENTENCE_END.split(text) if piece]):
        if NOT_PROSE.search(sentence) or sentence.rstrip().endswith(("?", "？")):
            return ""
        if is_taken_back(sentence):
            return ""
        spaced = _spaced(sentence)
        for pattern in (_AFTER_EQUALS, _CURRENCY, _NUMBER):
            found = list(pattern.finditer(spaced))
            if found:
                before, after = spaced[: found[-1].start()], spaced[found[-1].end() :]
                if not states(before, after) or (pattern is not _AFTER_EQUALS and commands(sentence)):
                    return ""
                listed = _LISTED_BEFORE.search(before)
                number = next(group for group in found[-1].groups() if group).strip()
                return f"{listed[1] or listed[2]}, {number}" if listed is not None and pattern is _NUMBER else number
        if leads_on(sentence):
            return ""
    return ""


def _spaced(text: str) -> str:
    """Put spaces round runs of other scripts, so that numbers stand alone."""
    return re.sub("([\u0590-\u08ff\u0900-\u0dff\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7af\uff00-\uffef]+)", r" \1 ", text)


def plain_words(text: str) -> list[str]:
    """The words in the open, without those of mathematics."""
    return [word for word in LATIN_WORD.findall(GROUPED_WORDS.sub(" ", text)) if word.lower() not in _SHORT_WORDS]


def is_prose(text: str) -> bool:
    """Say whether words outside of formulas and \\text groups make this a sentence, not an answer."""
    if len(_OTHER_SCRIPT.findall(text)) >= 2:
        return without_measures(text) != ""
    if DOMAIN.match(text) is not None:
        return is_prose(DOMAIN.sub("", text))
    words = plain_words(text)
    has_value = re.search(r"\d|\$|\\", text) is not None
    if _LABEL.match(text) is not None or (has_value and (_OPENING_WORDS.match(text) or _STATING.search(text))):
        return True
    return len(words) >= (3 if has_value else 4) or _TELLING.search(text) is not None
