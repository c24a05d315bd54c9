"""One spelling per answer: Unicode, LaTeX layout commands and plain ASCII mathematics brought to the same LaTeX.

Text in, text out; nothing here knows what an answer means. Layer 3 of the grader (see graders.py).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .scanning import matching_brace, unwrap_command, word_set

LONGEST_ANSWER = 2_000  # characters, ours
DEEPEST_NESTING = 64  # levels of brackets, ours

_SUPERSCRIPTS = {ord(raised): plain for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ", "0123456789+-()n", strict=True)}
_SUBSCRIPTS = {ord(lowered): plain for lowered, plain in zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+-()", strict=True)}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
_UNICODE = {
    **{chr(0x3B1 + place): f"\\{name} " for place, name in enumerate(_GREEK.split())},
    **{"Γ": "\\Gamma ", "Δ": "\\Delta ", "Θ": "\\Theta ", "Λ": "\\Lambda ", "Ξ": "\\Xi ", "Π": "\\Pi "},
    **{"Σ": "\\Sigma ", "Φ": "\\Phi ", "Ψ": "\\Psi ", "Ω": "\\Omega ", "ϕ": "\\phi ", "ϵ": "\\epsilon "},
    **{"−": "-", "–": "-", "—": "-", "×": "\\times ", "÷": "\\div ", "·": "\\cdot ", "⋅": "\\cdot ", "∗": "*"},
    **{"∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap ", "∖": "\\setminus ", "∅": "\\emptyset ", "∈": "\\in "},
    **{"≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "≈": "\\approx ", "±": "\\pm "},
    **{"°": "^\\circ ", "º": "^\\circ ", "√": "\\sqrt ", "∛": "\\sqrt[3] ", "′": "'", "’": "'", "‘": "'"},
    **{"ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "ℚ": "\\mathbb{Q}", "ℕ": "\\mathbb{N}", "ℂ": "\\mathbb{C}"},
    **{"⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "∠": "\\angle ", "…": "\\ldots "},
    **{"→": "\\to ", "∧": "\\land ", "∨": "\\lor ", "∑": "\\sum ", "∏": "\\prod ", "∫": "\\int ", "“": '"', "”": '"'},
    **{"。": ".", "、": ",", "△": "\\triangle "},
}
_VULGAR = re.compile(r"(\d?)\s?([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")

_PLAIN_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)
_EATEN = re.compile(
    r"\x0c(?=rac|box)|\x08(?=oxed|inom|egin|eta|ar\b|ig)|\x0b(?=ec|ert|arphi)|\t(?=imes|ext|frac|an\b|heta|au\b|o\b)"
    r"|\r(?=ight|angle|floor|ceil|ho\b|m\{)|\x07(?=lpha|ngle|pprox|rc)"
)
_EATEN_LETTER = {"\x0c": "\\f", "\x08": "\\b", "\x0b": "\\v", "\t": "\\t", "\r": "\\r", "\x07": "\\a"}

_COMMANDS_DROPPED = re.compile(
    r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|nolimits|mathstrut|strut|hfill"
    r"|allowbreak|nonumber|notag|ensuremath|bm|boldsymbol|mathbf|mathit|mathsf|mathcal|pmb|bf|rm|it|centering)(?![a-zA-Z])"
)
_SPACES = re.compile(
    r"(?<!\\)\\(?:[,;: >]|q?quad(?![a-z])|enspace|thinspace|hspace\{[^{}]*\}|hskip|phantom\{[^{}]*\}|\n)|~"
)
_SYNONYMS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "sfrac", "xfrac", "nicefrac"), "\\frac"),
    **dict.fromkeys(("dbinom", "tbinom", "choose"), "\\binom"),
    **dict.fromkeys(("leq", "leqslant", "leqq"), "\\le "),
    **dict.fromkeys(("geq", "geqslant", "geqq"), "\\ge "),
    **dict.fromkeys(("neq",), "\\ne "),
    **dict.fromkeys(("backslash", "smallsetminus", "setdiff"), "\\setminus "),
    **dict.fromkeys(("varnothing", "O"), "\\emptyset "),
    **dict.fromkeys(("vert", "lvert", "rvert", "mid", "Vert", "lVert", "rVert"), "|"),
    **dict.fromkeys(("centerdot", "bullet", "ast"), "\\cdot "),
    **dict.fromkeys(("rightarrow", "longrightarrow", "mapsto"), "\\to "),
    **dict.fromkeys(("dots", "cdots", "dotsc", "dotsb"), "\\ldots "),
    **dict.fromkeys(("comma",), ","),
    **dict.fromkeys(("bmod", "pmod"), "\\mod "),
    **dict.fromkeys(("wedge",), "\\land "),
    **dict.fromkeys(("vee",), "\\lor "),
    **dict.fromkeys(("degree", "degrees", "textdegree"), "^\\circ "),
    **{"lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")"},
    **{"langle": "(", "rangle": ")"},
    **{"lt": "<", "gt": ">", "pounds": "£", "textdollar": "\\$", "colon": ":", "arcctg": "\\arccot ", "tg": "\\tan "},
    **{
        "ctg": "\\cot ",
        "varepsilon": "\\epsilon ",
        "varphi": "\\phi ",
        "vartheta": "\\theta ",
        "iff": "\\Leftrightarrow ",
    },
    **{"cupdot": "\\cup ", "bigcup": "\\cup ", "bigcap": "\\cap ", "sp": "^", "sb": "_", "simeq": "\\approx "},
}
_SYNONYM = re.compile(r"\\(" + "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True)) + r")(?![a-zA-Z])")
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
_FUNCTIONS = (
    "arcsin|arccos|arctan|arccot|arcsec|arccsc|sinh|cosh|tanh|coth|sin|cos|tan|cot|sec|csc|log|ln|lg|exp|sqrt|gcd|lcm"
    "|max|min|floor|ceil|abs|asin|acos|atan|cbrt"
)
_PLAIN_NAMES = re.compile(
    rf"(?<![\\a-zA-Z])(?:(?P<function>{_FUNCTIONS})(?=\s*[\\(\d^_{{]|\s+[a-z\\]\b|[ \t]*$)"
    r"|(?P<constant>pi|alpha|beta|gamma|delta|theta|lambda|omega|sigma|phi|infty)(?![a-zA-Z])"
    r"|(?P<infinity>infinity|oo|inf)(?![a-zA-Z]))"
)
_PLAIN_CALL = re.compile(r"\\(sqrt|abs|floor|ceil|cbrt)\s*\(")
_PERCENT_WORDS = re.compile(
    r"(?<=[\d}])\s*(?:\\text\{\s*)?(?:percentage|percent|pct)\.?\s*\}?(?![a-zA-Z])", re.IGNORECASE
)
_SCALE_WORDS = re.compile(
    r"(?<=\d)\s*(?:\\text\{\s*)?(hundred|thousand|million|billion|trillion)\b\s*(\}?)", re.IGNORECASE
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}  # powers of ten
_ORDINAL = "(?:st|nd|rd|th)"
_NOTATIONS = (
    (
        re.compile(
            rf"(?<=\d)\s*(?:\^\{{\\text\{{{_ORDINAL}\}}\}}|\^\{{{_ORDINAL}\}}|\\text\{{{_ORDINAL}\}}|{_ORDINAL}\b)"
        ),
        "",
    ),
    (re.compile(r"(?<=[\d}])\s*(?:\\text\{\s*to\s*\}|\bto\b)\s*(?=[\d\\])"), ":"),
    (re.compile(r"(?<=[\d.])\\(?:dot|bar)\s*\{(\d+)\}|(?<=\d\.)\((\d+)\)|(?<=\.\d)\((\d+)\)"), r"\\overline{\1\2\3}"),
    (re.compile(r"(\d\.\d{2,})\s*(?:\.\.\.|\\ldots)\s*$"), r"\1"),
    (re.compile(r"(?<![a-zA-Z\\])C_\{?(\d+)\}?\^\{?(\d+)\}?"), r"\\binom{\1}{\2}"),
)
_SYMPY_CALLS = (
    (re.compile(r"(?<![a-zA-Z])Interval\.Lopen\(([^(),]*),([^(),]*)\)"), r"(\1,\2]"),
    (re.compile(r"(?<![a-zA-Z])Interval\.Ropen\(([^(),]*),([^(),]*)\)"), r"[\1,\2)"),
    (re.compile(r"(?<![a-zA-Z])Interval\.open\(([^(),]*),([^(),]*)\)"), r"(\1,\2)"),
    (re.compile(r"(?<![a-zA-Z])Interval\(([^(),]*),([^(),]*)\)"), r"[\1,\2]"),
    (re.compile(r"(?<![a-zA-Z])(?:Point|Point2D|Point3D|Tuple)\(([^()]*)\)"), r"(\1)"),
    (re.compile(r"(?<![a-zA-Z])(?:Immutable|Mutable)?(?:Dense)?Matrix\((\[.*\])\)"), r"\1"),
    (re.compile(r"(?<![a-zA-Z])FiniteSet\(([^()]*)\)"), r"\\{\1\\}"),
    (re.compile(r"(?<![a-zA-Z])Eq\(([^,]*),([^,]*)\)$"), r"\1=\2"),
    (re.compile(r"(?<![a-zA-Z])Rational\((-?\d+),\s*(\d+)\)"), r"\\frac{\1}{\2}"),
)


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
    text = _strip_layout(text)
    text = _unwrap_text_commands(text)
    text = _plain_to_latex(_trim(text))
    text = _brace_arguments(text)
    return _trim(_IDLE_SPACE.sub("", re.sub(r"\s+", " ", text)))


def repair_escapes(text: str) -> str:
    """Give back the backslashes that a string literal ate: form feed + "rac" was "\\frac"."""
    return _EATEN.sub(lambda eaten: _EATEN_LETTER[eaten[0]], text)


def _unicode_to_latex(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿ]+", lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉₊₋₍₎]+", lambda run: "_{" + run[0].translate(_SUBSCRIPTS) + "}", text)
    text = "".join(_UNICODE.get(character, character) for character in text)
    text = unicodedata.normalize("NFKC", text)
    return "".join(_UNICODE.get(character, character) for character in text).replace("⁄", "/")


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
    text = _SYNONYM.sub(lambda match: _SYNONYMS[match[1]], text)
    text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    return re.sub(r"(?<!\\)\$", " ", text)


def _split_glued(match: re.Match[str]) -> str:
    word = match[1] + match[2]
    return match[0] if word in _KNOWN_LONGER or word in _SYNONYMS else f"\\{match[1]} {match[2]}"


def _unwrap_text_commands(text: str) -> str:
    """Replace \\text{13} by 13 and \\mathrm{sin} by \\sin; keep words as \\text{words}."""
    while (match := _last_match(_TEXT, text)) is not None:
        end = matching_brace(text, match.end() - 1)
        if end < 0:
            text = text[: match.start()] + text[match.end() :]
            continue
        content = text[match.end() : end]
        text = text[: match.start()] + _text_content(match[1], content) + text[end + 1 :]
    return text.replace("\\\ue000", "\\text")


def _text_content(command: str, content: str) -> str:
    stripped = content.strip()
    if command in ("color", "textcolor", "tag"):
        return ""
    if re.fullmatch(_FUNCTIONS, stripped):
        return f"\\{stripped} "
    if command in ("mathrm", "operatorname", "mathbf", "boxed", "fbox", "mathop", "underline", "boldsymbol", "bm"):
        return f"\\\ue000{{{content}}}" if re.fullmatch(r"[a-zA-Z]{2,}[. ]*", stripped) else stripped
    if re.fullmatch(r"[a-zA-Z][a-zA-Z .,'-]+", stripped):
        return f"\\\ue000{{{content}}}"
    return f" {content} "


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    match = None
    for found in pattern.finditer(text):
        match = found
    return match


def _plain_to_latex(text: str) -> str:
    for call, latex in _SYMPY_CALLS:
        text = call.sub(latex, text)
    for notation, latex in _NOTATIONS:
        text = notation.sub(latex, text)
    text = _PERCENT_WORDS.sub(r"\\%", text)
    text = _SCALE_WORDS.sub(lambda match: f" \\times 10^{{{_SCALES[match[1].lower()]}}} ", text)
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
        text = re.sub(r"^\*\*|\*\*$|^\\\\|\\\\$|(?<!\\)\\$|^&", "", text).strip()
        text = re.sub(r"(?<!\.)[.?;,]$|^[,;]", "", text).strip()
        text = unwrap_command(text)
    return text
