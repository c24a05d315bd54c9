"""The grader's tables of spellings: characters, command names and notations, each with the LaTeX it stands for."""

from __future__ import annotations

import re
import unicodedata


def _raised_or_lowered(kind: str) -> dict[int, str]:
    """The characters that Unicode calls superscripts or subscripts, with the letter, digit or sign they stand for."""
    decomposed = ((code, unicodedata.decomposition(chr(code)).split()) for code in range(0x80, 0x2100))
    raised = {code: parts[1:] for code, parts in decomposed if parts[:1] == [f"<{kind}>"]}
    plain = {code: "".join(chr(int(part, 16)) for part in parts) for code, parts in raised.items()}
    return {code: text.replace("−", "-") for code, text in plain.items() if chr(code) not in "ªº™℠"}


SUPERSCRIPTS, SUBSCRIPTS = _raised_or_lowered("super"), _raised_or_lowered("sub")
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
UNICODE = {
    **{chr(0x3B1 + place): f"\\{name} " for place, name in enumerate(_GREEK.split())},
    **{"Γ": "\\Gamma ", "Δ": "\\Delta ", "Θ": "\\Theta ", "Λ": "\\Lambda ", "Ξ": "\\Xi ", "Π": "\\Pi "},
    **{"Σ": "\\Sigma ", "Φ": "\\Phi ", "Ψ": "\\Psi ", "Ω": "\\Omega ", "ϕ": "\\phi ", "ϵ": "\\epsilon "},
    **{"−": "-", "–": "-", "—": "-", "×": "\\times ", "÷": "\\div ", "·": "\\cdot ", "⋅": "\\cdot ", "∗": "*"},
    **{"∞": "\\infty ", "∪": "\\cup ", "∩": "\\cap ", "∖": "\\setminus ", "∅": "\\emptyset ", "∈": "\\in "},
    **{"≤": "\\le ", "≥": "\\ge ", "⩽": "\\le ", "⩾": "\\ge ", "≠": "\\ne ", "≈": "\\approx ", "±": "\\pm "},
    **{
        "°": "^\\circ ",
        "º": "^\\circ ",
        "√": "\\sqrt ",
        "∛": "\\sqrt[3] ",
        "∜": "\\sqrt[4] ",
        "′": "'",
        "’": "'",
        "‘": "'",
    },
    **{"ℝ": "\\mathbb{R}", "ℤ": "\\mathbb{Z}", "ℚ": "\\mathbb{Q}", "ℕ": "\\mathbb{N}", "ℂ": "\\mathbb{C}"},
    **{"⌊": "\\lfloor ", "⌋": "\\rfloor ", "⌈": "\\lceil ", "⌉": "\\rceil ", "∠": "\\angle ", "…": "\\ldots "},
    **{
        "≧": "\\ge ",
        "≦": "\\le ",
        "∕": "/",
        "＝": "=",
        "➗": "\\div ",
        "✕": "\\times ",
        "✖": "\\times ",
        "⋃": "\\cup ",
    },
    **{
        "⋂": "\\cap ",
        "ℵ": "\\aleph ",
        "≅": "\\cong ",
        "≲": "\\le ",
        "≳": "\\ge ",
        "⇒": "\\Rightarrow ",
        "∀": "\\forall ",
    },
    **{"→": "\\to ", "∧": "\\land ", "∨": "\\lor ", "∑": "\\sum ", "∏": "\\prod ", "∫": "\\int ", "“": '"', "”": '"'},
    **{"。": ".", "、": ",", "△": "\\triangle ", "∶": ":", "∓": "\\mp ", "∣": "|", "≡": "\\equiv ", "⟨": "(", "⟩": ")"},
    **{
        "∙": "\\cdot ",
        "•": "\\cdot ",
        "‖": "\\|",
        "‰": "\\%/10",
        "⟹": "\\Rightarrow ",
        "∼": "\\sim ",
        "≒": "\\approx ",
    },
    **{chr(0x2460 + place): f"({place + 1})" for place in range(20)},  # ① is no digit
    **{"‐": "-", "‑": "-", "‒": "-", "⋯": "\\ldots ", "∘": "\\circ ", "⊂": "\\subset ", "⊆": "\\subseteq ", "ı": "i"},
}

SYNONYMS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "sfrac", "xfrac", "nicefrac"), "\\frac"),
    **dict.fromkeys(("dbinom", "tbinom"), "\\binom"),
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
        "euro": "€",
        "yen": "¥",
        "overrightarrow": "\\vec ",
    },
    **{"cupdot": "\\cup ", "bigcup": "\\cup ", "bigcap": "\\cap ", "sp": "^", "sb": "_", "simeq": "\\approx "},
}
SYNONYM = re.compile(r"\\(" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")(?![a-zA-Z])")

_UNIT_COMMANDS = {"meter": "m", "metre": "m", "second": "s", "kilogram": "kg", "gram": "g", "kilo": "k", "centi": "c"}
_UNIT_COMMANDS |= {"milli": "m", "hour": "h", "minute": "min", "degree": "degrees", "newton": "N", "joule": "J"}
_UNIT_COMMANDS |= {"watt": "W", "volt": "V", "kelvin": "K", "per": "/", "squared": "^2", "cubed": "^3", "percent": "%"}
_UNIT_COMMANDS |= {"mega": "M", "micro": "u", "nano": "n", "pascal": "Pa", "hertz": "Hz", "ohm": "ohm", "liter": "L"}
_UNIT_COMMANDS |= {"litre": "L", "mole": "mol", "ampere": "A", "celsius": "celsius", "day": "days", "coulomb": "C"}


def _quantity(match: re.Match[str]) -> str:
    """\\qty{5}{\\meter\\per\\second}: the number and its unit as plain text."""
    unit = re.sub(r"\\([a-zA-Z]+)\s*", lambda name: _UNIT_COMMANDS.get(name[1], name[1]), match[2]).replace(".", " ")
    return (
        f"{match[1]} \\text{{{unit.strip()}}}"
        if "^" not in unit
        else f"{match[1]} \\text{{{unit[: unit.index('^')]}}}{unit[unit.index('^') :]}"
    )


# Replaced first, while layout, dollar signs and font switches still stand.
_COMPARED = {"greater": ">", "more": ">", "less": "<", "smaller": "<"}


def _comparison(match: re.Match[str]) -> str:
    """ "x is greater than or equal to" as its sign; "all real numbers less than" as that of x."""
    sign = _COMPARED[match["word"].lower()]
    if match["equal"]:
        sign = {">": "\\ge", "<": "\\le"}[sign]
    return f"{match['name'] or 'x'} {sign} "


def _function(match: re.Match[str]) -> str:
    """x \\mapsto x + 1 is f(x) = x + 1."""
    return f"{match['name'] or 'f'}({match['letter']})="


def _cases(match: re.Match[str]) -> str:
    """An array behind one opening brace is a function by cases."""
    return f"\\begin{{cases}}{match[1]}\\end{{cases}}"


def _plain_subscript(match: re.Match[str]) -> str:
    """v_{\\text{max}} and v_{\\max} are v_{max}."""
    return f"_{{{(match['words'] or match['name']).replace(' ', '')}}}"


# Chinese words that only announce the value behind them.
_CJK_LEADS = (
    "答案|最大值|最小值|总面积|面积|体积|周长|长度|结果|总数|概率|距离|速度|总共|一共|共有|共|解得|所以|因此|故"
    "|约|大约|等于|即|是|为|得|答"
)
LAYOUT_NOTATIONS = (
    (
        re.compile(
            r"(?:^(?:\\text\s*\{)?\s*(?:the set of )?(?:all|any) (?:real )?numbers\s+"
            r"|(?<![a-zA-Z\\])\$?(?P<name>[a-z])\$?\s+(?:\\text\s*\{\s*)?(?:(?:is|must be)\s+)?)"
            r"(?:strictly\s+)?(?P<word>greater|more|less|smaller)\s+than(?P<equal>\s+or\s+equal\s+to)?\s*\}?\s*(?=[$\d\\-])"
        ),
        _comparison,
    ),
    (re.compile(r"(?<=,)\s*\.\.\.\s*(?=,|$|\\?\})"), r"\\ldots "),
    (
        re.compile(
            r"\\(?:(?:mathbf|boldsymbol|bm)(?=.*\\(?:mathbf|boldsymbol|bm)\s*\{?\s*[jk]|\s*\{?\s*(?:[jk]|\\hat))|vec|hat|overrightarrow)\s*\{?\s*(?:\\hat\s*\{?\s*)?\\?([ijk])(?:math)?\s*\}{0,2}(?![a-zA-Z])"
        ),
        r"\\vec{\1}",
    ),
    (re.compile(r"(?<=%)\s*\\text\{\s*increase\s*\}$"), ""),
    (re.compile(r"\\(?:SI|qty)\s*(?:\[[^\[\]]*\])?\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), _quantity),
    (re.compile(r"\\(?:num|unit|si)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\ang\s*\{([^{};]*)\}"), r"\1^{\\circ}"),
    (
        re.compile(
            r"\\[dt]?frac\s*\{\s*\\(?:text|mathrm)\s*\{\s*~?\s*([a-zA-Z]+)\s*\}\s*\}\s*"
            r"\{\s*\\(?:text|mathrm)\s*\{\s*~?\s*([a-zA-Z]+)\s*\}\s*((?:\^\s*\{?\s*\d\s*\}?)?)\s*\}"
        ),
        r"\\text{\1/\2\3}",
    ),
    (re.compile(r"\\begin\s*\{array\}\s*\{[clr|]\}((?:(?!\\\\|&|\\begin).)*)\\end\s*\{array\}"), r"\1"),
    (re.compile(r"\\text\s*\{\s*mod(?:ulo)?\s*\}"), " mod "),
    (re.compile(r"\(\s*mod\s+([^()]*)\)|(?<![a-zA-Z\\])mod(?=\s+\d)"), r"\\mod \1"),
    (re.compile(r"(?<=[)\]}])\s*(?:\\text\{\s*)?union\s*\}?\s*(?=[(\[\\{])"), r"\\cup "),
    (re.compile(r"\s*(?:或者?|または|또는|或是)\s*(?=\S)"), r" \\text{ or } "),
    (re.compile(r"\s*(?:且|并且|和|与|及|かつ|그리고)\s*(?=[\w\\$(\[-])"), r" \\text{ and } "),
    (re.compile(rf"^(?:{_CJK_LEADS})+[:：]?\s*(?=[-\d\\$])"), ""),
    (re.compile(r"^负\s*(?=\d)"), "-"),
    (re.compile(r"(?<=\d)\s*万(?!\w)"), r" \\times 10^{4} "),
    (re.compile(r"(?<=\d)\s*亿(?!\w)"), r" \\times 10^{8} "),
    (re.compile(r"^(?:全体|所有)?实数$|^実数全体$|^모든 실수$"), r"\\mathbb{R}"),
    (
        re.compile(
            r"^(?:\\(?:Rightarrow|Longrightarrow|implies|to|rightarrow|longrightarrow|therefore)(?![a-zA-Z])|[⇒→⟹∴])\s*"
        ),
        "",
    ),
    (re.compile(r"^(?:(?P<name>[a-z])\s*:\s*)?(?P<letter>[a-z])\s*\\mapsto(?![a-zA-Z])"), _function),
    (re.compile(r"^(?:l|\\ell)\s*:\s*(?=[^:]*=[^:]*$)"), ""),  # the name of a line
    (re.compile(r"\\(?:label|ref|tag)\s*\{[^{}]*\}"), ""),
    (re.compile(r"(?<=\d)\s*\\times\s*$"), ""),
    (re.compile(r"\\surd(?![a-zA-Z])"), r"\\sqrt"),
    (re.compile(r"\\root\s*\{?\s*(\w+)\s*\}?\s*\\of(?![a-zA-Z])"), r"\\sqrt[\1]"),
    (re.compile(r"\\left\s*\\\{\s*\\begin\{array\}\s*\{[^{}]*\}(.*?)\\end\{array\}\s*\\right\s*\.", re.DOTALL), _cases),
    (
        re.compile(
            r"_\s*(?P<open>\{\s*)?\\(?:(?:text|mathrm|textrm|rm|mathit|operatorname)\s*\{?\s*"
            r"(?P<words>[a-zA-Z0-9, ]+?)\s*\}"
            r"|(?P<name>max|min)(?![a-zA-Z]))(?(open)\s*\})"
        ),
        _plain_subscript,
    ),
    (
        re.compile(r"^(?:R|ℝ|\\mathbb\s*\{?R\}?)\s*(?:-|\\|∖|\\setminus)\s*\\?\{([^{}\\]*)\\?\}$"),
        r"\\mathbb{R}\\setminus\\{\1\\}",
    ),
    (re.compile(r"^第\s*(\d+)"), r"\1"),
    (re.compile(r"&lt;"), "<"),
    (re.compile(r"&gt;"), ">"),
    (re.compile(r"&amp;"), "&"),
    (re.compile(r"^([-+]?)\s*(?:US|CA|C|AU|A|NZ|HK|SG|S|R|NT|MX)\s?\\?\$\s*(?=[\d.])(?!.*\$)"), r"\1\\$"),
    (re.compile(r"\{\s*\\(?:rm|bf|it|sf|tt)\s+([^{}]*)\}"), r"\\mathrm{\1}"),
    (re.compile(r"\\(?:rm|bf|it|sf|tt)\s*(?=\{)"), r"\\mathrm"),
    (re.compile(r"\\\\\s*\[\s*-?\d*\.?\d+\s*(?:pt|em|ex|cm|mm)\s*\]"), r"\\\\"),  # \\[4pt]
    (re.compile(r"(?<=\d)\{,\}(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<=\d)\{,\}(?=\d)"), "."),
    (re.compile(r"(?<=\d)['_](?=\d{3}(?![\d}]))"), ","),
    (re.compile(r"\+\s*/\s*-"), r"\\pm "),
    (re.compile(r"\\mathbb\s+([A-Z])"), r"\\mathbb{\1}"),
    (re.compile(r"\\in\s*\{?\s*([RZNQC])\s*\}?(?![a-zA-Z])"), r"\\in \\mathbb{\1}"),
    (re.compile(r"(?<=\d)\s*\^\s*\{?\s*o\s*\}?(?![a-zA-Z])"), r"^\\circ "),
    (re.compile(r"(?<=[)\]}])\s*U\s*(?=[(\[\\])"), r"\\cup "),
)
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_BASES |= {"twelve": 12, "sixteen": 16}
_BASE = rf"\s*\(?\s*(\d+|{'|'.join(_BASES)})\s*\)?\s*"
BASE_NAME = re.compile(
    rf"_\s*(?:\{{\s*\\text\s*\{{{_BASE}\}}\s*\}}|(?:\\text\s*)?\{{{_BASE}\}})"
    rf"|(?<=[0-9A-F)])\s*(?:\\text\{{)?\s*\(?\s*(?:in\s+)?base[\s-]*(\d+|{'|'.join(_BASES)})\s*\)?\s*\}}?$"
)


def base_subscript(name: re.Match[str]) -> str:
    """The base that BASE_NAME found, as a subscript in digits."""
    base = name[1] or name[2] or name[3]
    return f"_{{{_BASES.get(base, base)}}}"


def _arrangements(match: re.Match[str]) -> str:
    """A_5^2, ordered choices of 2 of 5, as the quotient of factorials."""
    of, chosen = int(match[1]), int(match[2])
    return f"\\frac{{{of}!}}{{{of - chosen}!}}" if of >= chosen else match[0]


_ORDINAL = "(?:st|nd|rd|th)"
NOTATIONS = (
    (
        re.compile(
            rf"(?<=\d)\s*(?:\^\{{\\text\{{{_ORDINAL}\}}\}}|\^\{{{_ORDINAL}\}}|\\text\{{{_ORDINAL}\}}|{_ORDINAL}\b)"
        ),
        "",
    ),
    (re.compile(r"(?<=[\d}])\s*(?:\\text\{\s*to\s*\}|\bto\b)\s*(?=[\d\\])"), ":"),
    (re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?$"), r"\\overline{\1\2\3}"),
    (re.compile(r"(?<=[\d.])\\(?:dot|bar)\s*\{(\d+)\}|(?<=\d\.)\((\d+)\)|(?<=\.\d)\((\d+)\)"), r"\\overline{\1\2\3}"),
    (re.compile(r"(\d\.\d*?)(?:(\d)\2{2,}|(\d{2,}?)\3+)\s*(?:\.\.\.|\\ldots)\s*$"), r"\1\\overline{\2\3}"),
    (re.compile(r"(\d\.\d{2,})\s*(?:\.\.\.|\\ldots)\s*$"), r"\1"),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?\s*(?:\\text\{)?\s*C\s*\}?$"), r"\\text{celsius}"),
    (re.compile(r"\^\s*\{?\s*\\circ\s*\}?\s*(?:\\text\{)?\s*F\s*\}?$"), r"\\text{fahrenheit}"),
    (re.compile(r"(?:\{\s*\}\s*)?[_^]\{?(\d+)\}?\s*C\s*_\{?(\d+)\}?"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?<![\w.{}])(\d{1,3})C(\d{1,3})(?![\w.])"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?:\{\s*\}\s*)?[_^]\{?(\d{1,4})\}?\s*P\s*_\{?(\d{1,4})\}?"), _arrangements),
    (re.compile(r"(?<![\w.{}])(\d{1,3})P(\d{1,3})(?![\w.])"), _arrangements),
    (re.compile(r"(?<![a-zA-Z\\])C_\{?(\d+|[a-z])\}?\^\{?(\d+|[a-z])\}?"), r"\\binom{\1}{\2}"),
    (re.compile(r"(?<![a-zA-Z\\])[AP]_\{?(\d{1,4})\}?\^\{?(\d{1,4})\}?(?!\d)"), _arrangements),
    (
        re.compile(r"(?<![\w.])(\d{1,4}|[a-z])\s*(?:\\text\{\s*choose\s*\}|choose)\s*(\d{1,4}|[a-z])(?![\w.])"),
        r"\\binom{\1}{\2}",
    ),
    (re.compile(r"(?<=\d)\s*(?:\\text\{\s*out of\s*\}|out of)\s*(?=\d)"), "/"),
)
SYMPY_MATRIX = re.compile(r"(?<![a-zA-Z])(?:Immutable|Mutable)?(?:Dense)?Matrix\((\[.*\])\)")
