"""One spelling per answer: Unicode, LaTeX layout commands and plain ASCII mathematics brought to the same LaTeX.

Text in, text out; nothing here knows what an answer means. Layer 3 of the grader (see graders.py).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .calls import without_calls
from .conditions import in_signs
from .number_words import part_size, read_number_words
from .scanning import matching_brace, shorten_spaces, unwrap_command, word_set
from .spellings import (
    BASE_NAME,
    LAYOUT_NOTATIONS,
    NOTATIONS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SYMPY_MATRIX,
    SYNONYM,
    SYNONYMS,
    UNICODE,
    base_subscript,
)

LONGEST_ANSWER = 2_000  # characters, ours
DEEPEST_NESTING = 64  # levels of brackets, ours

_VULGAR = re.compile(r"(\d?)\s?([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_RAISED = re.compile("[" + "".join(map(chr, SUPERSCRIPTS)) + "]+")
_LOWERED = re.compile("[" + "".join(map(chr, SUBSCRIPTS)) + "]+")
_RAISED_FRACTION = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹]+)[⁄/]([₀₁₂₃₄₅₆₇₈₉]+)")
_RAISED_DEGREE = re.compile("(?<![\\w)}\\]])([²³⁴⁵⁶⁷⁸⁹ⁿ])√")  # ³√27
_REPEATING = re.compile("((?:\\d[\u0304\u0305\u0307])\\d*)((?:\\d*\\d[\u0304\u0305\u0307])*)$")  # 0.3̅, 0.1̇6̇
_OTHER_DIGIT = re.compile("[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59]")
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")

_PLAIN_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_EATEN = re.compile(
    r"\x0c(?=rac|box)|\x08(?=oxed|inom|egin|eta|ar\b|ig)|\x0b(?=ec|ert|arphi)|\t(?=imes|ext|frac|an\b|heta|au\b|o\b)"
    r"|\r(?=ight|angle|floor|ceil|ho\b|m\{)|\x07(?=lpha|ngle|pprox|rc)"
)
_EATEN_LETTER = {"\x0c": "\\f", "\x08": "\\b", "\x0b": "\\v", "\t": "\\t", "\r": "\\r", "\x07": "\\a"}

_COMMANDS_DROPPED = re.compile(
    r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|mathstrut|strut|hfill"
    r"|allowbreak|nonumber|notag|ensuremath|bm|boldsymbol|mathbf|mathit|mathsf|mathcal|pmb|bf|rm|it|centering"
    r"|tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![a-zA-Z])"
)
_SPACES = re.compile(
    r"(?<!\\)\\(?:[,;: >]|q?quad(?![a-z])|enspace|thinspace|hspace\{[^{}]*\}|hskip|phantom\{[^{}]*\}|\n)|~"
)
# Commands that models glue to the next word ("5\lex"): split there when the whole is no command that we know.
_GLUED = re.compile(r"\\(le|ge|ne|lt|gt|in|cup|cap|pm|cdot|times|quad|pi|infty|sqrt|frac|circ)([a-zA-Z]+)")
_KNOWN_LONGER = word_set(
    "left leq leqslant leqq geq geqslant geqq neq newline ln lt gt int infty inf cupdot pmod pmb cdots cdotp "
    "times pi sqrt frac circ quad in cup cap pm cdot le ge ne pitchfork leftarrow leftrightarrow lessgtr neg "
    "nexists nearrow intop iint iiint lesssim gtrsim gets injlim capdot pit"
)
_TEXT_COMMANDS = (
    "text|textnormal|textrm|textbf|textit|textsf|texttt|textup|mbox|hbox|mathrm|mathrm|operatorname|emph|fbox|boxed"
    "|mathop|underline|mathbf|boldsymbol|bm|mathit|mathsf|mathcal|textcolor|color|tag|bold"
)
_TEXT = re.compile(rf"\\({_TEXT_COMMANDS})\*?\s*\{{")
_UNIT_LETTERS = frozenset(
    ["min", "sec", "m", "s", "g", "h", "l", "L", "N", "J", "W", "V", "K", "A", "T", "C", "F", "Pa", "Hz"]
)
_AFTER_NUMBER = re.compile(r"(?:\d\}?|\\(?:mathrm|text)\s*\{[^{}]*\}(?:\^\{?-?\d\}?)?\s*(?:/|\\cdot)?)\s*$")
_FUNCTIONS = (
    "arcsinh|arccosh|arctanh|arcsin|arccos|arctan|arccot|arcsec|arccsc|sinh|cosh|tanh|coth|sin|cos|tan|cot|sec|csc|log|ln|lg|exp|sqrt|gcd|lcm"
    "|max|min|floor|ceil|abs|asin|acos|atan|cbrt|cis"
)
_PLAIN_NAMES = re.compile(
    rf"(?<![\\a-zA-Z])(?:(?P<function>{_FUNCTIONS})(?=\s*[\\(\d^_{{]|\s+[a-z\\]\b|(?<!\d min)(?<!\dmin)[ \t]*$)"
    r"|(?P<constant>pi|alpha|beta|gamma|delta|theta|lambda|omega|sigma|phi|infty)(?![a-zA-Z])"
    r"|(?P<infinity>[iI]nfinity|oo|inf)(?![a-zA-Z]))"
)
_PLAIN_SUBSCRIPT = re.compile(r"(?<![\\a-zA-Z_\d{])([A-Za-z])(\d{1,2})(?![\d.a-zA-Z(^_{])")  # C1*exp(x)
_PLAIN_CALL = re.compile(r"\\(sqrt|abs|floor|ceil|cbrt)\s*\(")
_PERCENT_WORDS = re.compile(
    r"(?<=[\d}])\s*(?:\\text\{\s*)?(?:percentage|percent|per cent|pct)\.?\s*\}?(?![a-zA-Z])", re.IGNORECASE
)
_SCALE_WORDS = re.compile(
    r"(?<=\d)\s*(?:\\text\{\s*)?(hundred|thousand|million|billion|trillion|dozen)\b\s*(\}?)", re.IGNORECASE
)
_SCALES = {"hundred": "10^{2}", "thousand": "10^{3}", "million": "10^{6}", "billion": "10^{9}", "trillion": "10^{12}"}
_SCALES |= {"dozen": "12"}


class Unreadable(ValueError):
    """The answer cannot be read at all (control characters, too long, too deep); the message says why."""


@lru_cache(maxsize=65_536)
def normalize(answer: str) -> str:
    """Bring one extracted answer to the grader's single spelling; idempotent up to spaces.

    Raises Unreadable for control characters, lone surrogates, more than 2,000 characters or more than 64 levels.
    """
    if _PLAIN_NUMBER.fullmatch(answer):  # most answers of training: nothing to respell
        return answer
    if len(answer) > LONGEST_ANSWER:
        raise Unreadable(f"longer than {LONGEST_ANSWER} characters")
    text = _unicode_to_latex(repair_escapes(answer))
    refuse_control_characters(text)
    _refuse_deep_nesting(text)
    text = shorten_spaces(_strip_layout(without_calls(_spelled_out(shorten_spaces(text)))))
    text = shorten_spaces(_unwrap_text_commands(text))
    text = _plain_to_latex(_trim(text))
    text = _brace_arguments(text)
    return _trim(_IDLE_SPACE.sub("", re.sub(r"\s+", " ", text)))


_SPELLED = re.compile(r"\\(?:text|textbf|mathrm|mbox)\s*\{([^{}]*)\}")
_NUMBER_IN_WORDS = re.compile(r"(?P<digits>\d[\d,]*)\s*\(\s*(?P<words>[a-zA-Z -]+)\s*\)$")
_PARTS_OF = re.compile(r"(?P<count>-?\d{1,6})[\s-]+(?P<part>[a-z]+)")
_MINUS_WORD = re.compile(r"^(?:minus|negative)\s+(?=[\d\\.])", re.IGNORECASE)


def _spelled_out(text: str) -> str:
    """Number words as digits: "eighty", "minus 5", "3 (three)"; other words stay."""
    opened = " ".join(_SPELLED.sub(r" \1 ", text).split()).strip("$*. ")
    number, rest = read_number_words(opened)
    if number is not None:
        return f"{number} {rest}".strip()
    twice = _NUMBER_IN_WORDS.fullmatch(opened)
    if twice is not None and read_number_words(twice["words"])[0] == int(twice["digits"].replace(",", "")):
        return twice["digits"]
    part = _PARTS_OF.fullmatch(opened)
    if part is not None and (size := part_size(part["part"])) is not None:
        return f"{part['count']}/{size}"
    return _MINUS_WORD.sub("-", opened) if _MINUS_WORD.match(opened) else text


def repair_escapes(text: str) -> str:
    """Give back the backslashes that a string literal ate: form feed + "rac" was "\\frac"."""
    return _EATEN.sub(lambda eaten: _EATEN_LETTER[eaten[0]], text)


def _unicode_to_latex(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _RAISED_FRACTION.sub(lambda run: f" {run[1].translate(SUPERSCRIPTS)}/{run[2].translate(SUBSCRIPTS)}", text)
    text = _RAISED_DEGREE.sub(lambda run: f"\\sqrt[{run[1].translate(SUPERSCRIPTS)}] ", text)
    text = _REPEATING.sub(_overlined, text)
    text = _RAISED.sub(lambda run: "^{" + run[0].translate(SUPERSCRIPTS) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + run[0].translate(SUBSCRIPTS) + "}", text)
    text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.digit(digit[0])), text)
    text = "".join(UNICODE.get(character, character) for character in text)
    text = unicodedata.normalize("NFKC", text)
    return "".join(UNICODE.get(character, character) for character in text).replace("⁄", "/")


def _overlined(match: re.Match[str]) -> str:
    """Digits under combining dots or lines repeat."""
    return "\\overline{" + re.sub("[\u0304\u0305\u0307]", "", match[0]) + "}"


def _vulgar_fraction(match: re.Match[str]) -> str:
    numerator, denominator = unicodedata.normalize("NFKC", match[2]).split("⁄")
    return (
        f"{match[1]} \\frac{{{numerator}}}{{{denominator}}}" if match[1] else f"\\frac{{{numerator}}}{{{denominator}}}"
    )


def refuse_control_characters(text: str) -> None:
    """Raise Unreadable when a text holds control, bidirectional or unassigned characters or lone surrogates."""
    for character in text:
        if character not in "\n\t\r" and unicodedata.category(character) in ("Cc", "Cs", "Cf", "Co", "Cn"):
            raise Unreadable("control character")


def _refuse_deep_nesting(text: str) -> None:
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST_NESTING:
            raise Unreadable(f"more than {DEEPEST_NESTING} levels of brackets")


def _strip_layout(text: str) -> str:
    for notation, latex in LAYOUT_NOTATIONS:
        text = notation.sub(latex, text)
    text = _unwrap_alignment(text)
    text = _infix_to_prefix(text)
    text = _european_intervals(text)
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", r"\\", text)  # "\\frac" that was escaped once too often
    elif "\\\\" not in text:
        text = re.sub(r"\\(?=\s)", r"\\\\", text)  # a row's end that lost one backslash
    text = re.sub(r"\\not\s*=", r"\\ne ", text)
    text = re.sub(
        r"\^\s*(?:\{\s*((?:\\prime\s*)+)\}|\\prime)", lambda match: "'" * max(1, (match[1] or "").count("p")), text
    )
    text = re.sub(r"\\left\s*\\\{\s*(?=\\begin)|\\left\s*\.|\\right\s*\.", "", text)
    text = _GLUED.sub(_split_glued, text)
    text = re.sub(r"\{,\}", ",", text)
    text = re.sub(r"(?<=\d),?\\!\s*,?\s*(?=\d{3})", ",", text) if "\\!" in text else text
    text = _SPACES.sub(" ", text.replace("\\!", ""))
    text = _COMMANDS_DROPPED.sub("", text)
    text = SYNONYM.sub(lambda match: SYNONYMS[match[1]], text)
    text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    return in_signs(re.sub(r"(?<!\\)\$", " ", text))


_ALIGNMENT = re.compile(
    r"\\(?:begin|end)\s*\{(?:align|aligned|alignat|equation|gather|gathered|split|multline|eqnarray)\*?\}(?:\{\d+\})?"
)


def _unwrap_alignment(text: str) -> str:
    """Lines of an alignment become one chain of relations, or a list; a lone & joins like "and"."""
    lines = _ALIGNMENT.sub(" ", text)
    if ("&" not in lines and lines == text) or "\\begin" in lines:
        return lines
    if lines != text:
        lines = re.sub(r"\\\\\s*$", "", lines.strip())
        lines = re.sub(r"\\\\\s*&?\s*(?==)", " ", lines)
        return re.sub(r"\\\\", ", ", lines).replace("&", " ")
    return re.sub(r"\s*\\?&\s*(?![=<>])", r" and ", lines).replace("&", "")


_INFIX = re.compile(r"\\(over|choose)(?![a-zA-Z])")


def _infix_to_prefix(text: str) -> str:
    """{a \\over b} becomes \\frac{a}{b}, {n \\choose k} becomes \\binom{n}{k}."""
    while (match := _INFIX.search(text)) is not None:
        depth, start = 0, match.start()
        while start > 0 and depth >= 0:
            start -= 1
            depth += (text[start] == "}") - (text[start] == "{")
        opened = depth < 0
        end = matching_brace(text, start) if opened else len(text)
        if end < 0:
            return text
        above, below = text[start + opened : match.start()], text[match.end() : end]
        name = "frac" if match[1] == "over" else "binom"
        text = f"{text[:start]}\\{name}{{{above.strip()}}}{{{below.strip()}}}{text[end + opened :]}"
    return text


def _european_intervals(text: str) -> str:
    """]a,b[ is the open interval (a,b), where some bracket is turned outward."""
    pieces = re.split(r"(\\cup|\\cap|\bor\b)", text)
    matches = [re.fullmatch(r"\s*([\[\]])([^\[\]]+[,;][^\[\]]+)([\[\]])\s*\$?\s*", piece) for piece in pieces[::2]]
    if not all(matches) or not any(match[1] == "]" or match[3] == "[" for match in matches if match):
        return text
    pieces[::2] = [
        f"{'(' if match[1] == ']' else '['}{match[2]}{')' if match[3] == '[' else ']'}" for match in matches if match
    ]
    return "".join(pieces)


def _split_glued(match: re.Match[str]) -> str:
    word = match[1] + match[2]
    return match[0] if word in _KNOWN_LONGER or word in SYNONYMS else f"\\{match[1]} {match[2]}"


def _unwrap_text_commands(text: str) -> str:
    """Replace \\text{13} by 13 and \\mathrm{sin} by \\sin; keep words as \\text{words}."""
    for match in reversed(list(_TEXT.finditer(text))):  # the last first: what stands before it keeps its place
        end = matching_brace(text, match.end() - 1)
        if end < 0:
            text = text[: match.start()] + text[match.end() :]
            continue
        content = text[match.end() : end]
        unit = _is_unit_letter(match[1], content.strip(), text[: match.start()].rstrip(" {"))
        kept = f"\\\ue000{{{content.strip()}}}" if unit else _text_content(match[1], content)
        text = text[: match.start()] + kept + text[end + 1 :]
    return text.replace("\\\ue000", "\\text")


def _is_unit_letter(command: str, content: str, before: str) -> bool:
    """5\\mathrm{N}: an upright letter after a number or another unit is a unit, except for i, e and d."""
    upright = command in ("text", "textrm", "textnormal", "mbox", "hbox", "mathrm", "operatorname")
    return upright and content in _UNIT_LETTERS and _AFTER_NUMBER.search(before) is not None


def _text_content(command: str, content: str) -> str:
    stripped = content.strip()
    if command in ("color", "textcolor", "tag"):
        return ""
    if re.fullmatch(_FUNCTIONS, stripped):
        return f"\\{stripped} "
    if command in ("mathrm", "operatorname", "mathbf", "boxed", "fbox", "mathop", "underline", "boldsymbol", "bm"):
        return f"\\\ue000{{{content}}}" if re.fullmatch(r"[a-zA-Z]{2,}[. ]*", stripped) else stripped
    if re.fullmatch(r"[a-zA-Z][a-zA-Z .,'-]+(?:[:=]|\\ge|\\le)?", stripped):
        return f"\\\ue000{{{content}}}"
    return f" {content} "


def _plain_to_latex(text: str) -> str:
    text = SYMPY_MATRIX.sub(r"\1", text)
    for notation, spelling in NOTATIONS:
        text = notation.sub(spelling, text)
    text = BASE_NAME.sub(base_subscript, text)
    text = _PERCENT_WORDS.sub(r"\\%", text)
    text = _SCALE_WORDS.sub(lambda match: f" \\times {_SCALES[match[1].lower()]} ", text)
    text = _PLAIN_SUBSCRIPT.sub(r"\1_{\2}", text) if "*" in text or "\\" not in text else text
    text = text.replace("**", "^").replace("<=", "\\le ").replace(">=", "\\ge ").replace("!=", "\\ne ")
    text = (
        text.replace("<>", "\\ne ").replace("==", "=").replace("+-", "\\pm ") if "=" in text or "+-" in text else text
    )
    text = _PLAIN_NAMES.sub(_latex_name, text)
    while (match := _PLAIN_CALL.search(text)) is not None:
        end = matching_brace(text, match.end() - 1)
        if end < 0:
            break
        inner = text[match.end() : end]
        text = text[: match.start()] + _latex_call(match[1], inner) + text[end + 1 :]
    return text


def _latex_name(match: re.Match[str]) -> str:
    if match["infinity"]:
        return "\\infty "
    name = match["function"] or match["constant"]
    return "\\" + {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name) + " "


def _latex_call(name: str, inner: str) -> str:
    forms = {"sqrt": "\\sqrt{%s}", "cbrt": "\\sqrt[3]{%s}", "abs": "|%s|"}
    forms |= {"floor": "\\lfloor %s\\rfloor ", "ceil": "\\lceil %s\\rceil "}
    return forms[name] % inner


# Spaces that part no two words or numbers; the one after a comma tells "32, 349" from "32,349".
_IDLE_SPACE = re.compile(r"(?<![a-zA-Z0-9,\\]) (?!\\[a-zA-Z])| (?![a-zA-Z0-9\\])")
_BARE_ROOT = re.compile(r"\\sqrt\s*(\[[^\[\]]*\])?\s*(?![\s{\[])(\\[a-zA-Z]+|\d+(?:\.\d+)?|[a-zA-Z])")
_ONE_TOKEN = re.compile(r"\s*(\\[a-zA-Z]+|[a-zA-Z0-9])")


def _brace_arguments(text: str) -> str:
    """Write \\frac12, \\frac{1}2, \\sqrt2 and empty-braced \\sqrt{}{3} with braces round their arguments."""
    text = re.sub(r"\\sqrt\s*\{\s*\}\s*\{", r"\\sqrt{", text)
    text = _BARE_ROOT.sub(lambda match: f"\\sqrt{match[1] or ''}{{{match[2]}}}", text)
    pieces: list[str] = []
    place = 0
    for match in re.finditer(r"\\(?:frac|binom)(?![a-zA-Z])", text):
        if match.start() < place:
            continue
        pieces.append(text[place : match.end()])
        place = _brace_two(text, match.end(), pieces)
    return "".join(pieces) + text[place:]


def _brace_two(text: str, place: int, pieces: list[str]) -> int:
    """Append up to two braced arguments that start at `place`; return where they end."""
    for argument in range(2):
        brace = re.compile(r"\s*\{").match(text, place)
        if brace is not None:
            end = matching_brace(text, brace.end() - 1)
            if end < 0:
                return place
            pieces.append("{" + _brace_arguments(text[brace.end() : end]) + "}")
            place = end + 1
        elif (token := _ONE_TOKEN.match(text, place)) is not None:
            if argument == 0 or not token[1].startswith("\\frac"):
                pieces.append("{" + token[1] + "}")
                place = token.end()
        else:
            return place
    return place


def _trim(text: str) -> str:
    """Drop Markdown marks, quotes, final punctuation and braces round the whole."""
    previous = None
    while previous != text:
        previous = text
        text = text.strip().strip('`"').strip()
        text = text[1:-1] if len(text) > 2 and text[0] == text[-1] == "'" and "'" not in text[1:-1] else text
        text = re.sub(r"^\*\*|\*\*$|^\\\\|\\\\$|(?<!\\)\\$|^&", "", text).strip()
        text = re.sub(r"(?<!\.)[.;,]$|^[,;]", "", text).strip()
        text = text[2:-2] if len(text) > 4 and text.startswith("__") and text.endswith("__") else text
        text = unwrap_command(text)
    return text
