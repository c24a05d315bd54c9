"""Units, currencies and counted things that trail a value: found, named by one name, compared.

Policy: a unit is ignored when one side lacks it; two different known units are different answers.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .vocabulary import announces, counts

_NAMES = {
    "m": "m meter meters metre metres 米 公尺",
    "cm": "cm centimeter centimeters centimetre centimetres 厘米 公分",
    "mm": "mm millimeter millimeters millimetre millimetres 毫米",
    "km": "km kilometer kilometers kilometre kilometres kms 千米 公里",
    "dm": "dm decimeter decimeters 分米",
    "nm": "nm nanometer nanometers",
    "in": "in inch inches",
    "ft": "ft foot feet",
    "yd": "yd yard yards",
    "mi": "mi mile miles",
    "g": "g gram grams gm 克",
    "kg": "kg kilogram kilograms kgs kilo kilos 千克 公斤",
    "mg": "mg milligram milligrams",
    "t": "ton tons tonne tonnes",
    "lb": "lb lbs",
    "pound": "pound pounds quid",
    "oz": "oz ounce ounces",
    "s": "s sec secs second seconds 秒 秒钟",
    "min": "min mins minute minutes 分钟 分鐘",
    "h": "h hr hrs hour hours 小时 小時 时间",
    "day": "day days 天",
    "week": "week weeks",
    "month": "month months",
    "year": "year years yr yrs 年",
    "l": "l liter liters litre litres 升",
    "ml": "ml milliliter milliliters millilitre millilitres 毫升",
    "gal": "gal gallon gallons",
    "dollar": "dollar dollars usd 美元",
    "cent": "cent cents ¢",
    "euro": "euro euros eur 欧元",
    "yuan": "yuan rmb cny 元 人民币 块钱",
    "rupee": "rupee rupees rs",
    "degree": "degree degrees deg",
    "radian": "radian radians rad",
    "mi/h": "mph",
    "km/h": "kmh kph",
    "hz": "hz hertz",
    "n": "newton newtons",
    "j": "joule joules",
    "w": "watt watts",
    "v": "volt volts",
    "k": "kelvin",
    "celsius": "celsius centigrade",
    "fahrenheit": "fahrenheit",
    "ohm": "ohm ohms",
    "mol": "mol mole moles",
    "a": "ampere amperes amp amps",
    "pa": "pascal pascals",
    "unit": "unit units",
    "cup": "cup cups",
    "pint": "pint pints",
    "quart": "quart quarts",
    "teaspoon": "teaspoon teaspoons tsp",
    "tablespoon": "tablespoon tablespoons tbsp",
    "acre": "acre acres",
    "hectare": "hectare hectares 公顷",
    "decade": "decade decades",
    "century": "century centuries",
    "knot": "knot knots",
}
_CANONICAL = {name: unit for unit, names in _NAMES.items() for name in names.split()}
_NEUTRAL = frozenset({"unit", "degree", "radian"})  # say nothing that the bare number does not say
_TWO_MEANINGS = {"pound": ("lb", "pound sterling")}  # of weight, of money
_ANGULAR = {"degree": "radian", "radian": "degree"}
_POWERS = {"平方": "2", "立方": "3", "square": "2", "sq": "2", "squared": "2", "cubic": "3", "cubed": "3", "cu": "3"}
_EXPONENT = r"(?:\s*\^\s*\{?\s*-?\d\s*\}?)?"
_TEXT_TAIL = re.compile(rf"(?P<value>.*?[^\s(,])\s*\\text\{{(?P<words>[^{{}}]*)\}}(?P<power>{_EXPONENT})$", re.DOTALL)
_WORD_TAIL = re.compile(
    rf"(?P<value>.*?(?:[\d}})%]|\\pi(?![a-zA-Z])))(?:st|nd|rd|th)?\s*(?P<words>[^\W\d_](?:[^\W\d_]|[.\s/])*?)(?P<power>{_EXPONENT})$",
    re.DOTALL,
)
_LEADING = re.compile(
    r"^(?:\\text\{\s*)?(?:just\s+)?(?:about|approximately|around|roughly|exactly|\\approx|\\sim|=)\s*\}?\s*(?=[\\\d.$-])",
    re.IGNORECASE,
)
_CURRENCIES = {"\\$": "dollar", "US\\$": "dollar", "€": "euro", "£": "pound sterling", "¥": "yuan", "₹": "rupee"}
_CURRENCIES |= {"Rs.": "rupee", "Rs": "rupee", "RM": "ringgit", "¢": "cent", "₩": "won", "₽": "ruble", "₫": "dong"}
_CURRENCIES |= {"USD": "dollar", "EUR": "euro", "GBP": "pound sterling", "CNY": "yuan", "INR": "rupee", "JPY": "yen"}
_CURRENCIES |= {code: code for code in ("CAD", "AUD", "CHF", "HKD", "NZD", "SGD", "MXN", "BRL", "KRW", "RUB", "SEK")}
_CURRENCIES |= {"₦": "naira", "₱": "peso", "₺": "lira", "₪": "shekel", "฿": "baht", "₴": "hryvnia"}
_SIGNS = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_CURRENCY = re.compile(rf"^([-+]?)\s*(?P<sign>{_SIGNS})\s*(?=[\d.\\-])")
_TEXT_CURRENCY = re.compile(rf"\\text\s*\{{\s*({_SIGNS})\s*\}}")
_CURRENCY_AFTER = re.compile(rf"(?P<before>.*?)\s*(?P<sign>{_SIGNS})$")
# Written as a formula: kg\cdot m/s^2, \text{km}/\text{h}, erg s^{-1}, \mu m. One letter alone may be a variable.
_SYMBOL = (
    r"(?:(?:[kMGTcdnph]|m(?=[msgNJWVAKPHL])|\\mu\s*)?(?:mol|rad|Pa|Hz|eV|erg|[msgNJWVKATFL])|\\Omega|min|in|ft|lb|mi|yd|hr|sec"
    r"|day|year|yr|h|AU|pc|atm|cal)(?![a-zA-Z])"
)
_FACTOR = rf"{_SYMBOL}\s*(?:\^\s*\{{?\s*-?\d\s*\}}?)?"
_FORMULA_TAIL = re.compile(
    rf"(?P<value>.*?(?:[\d}})]|\\pi\b))(?P<space>\s*)(?P<tail>{_FACTOR}(?:\s*(?:/|\\cdot\b|\*)?\s*{_FACTOR})*)\s*$",
    re.DOTALL,
)
_SUMMED = re.compile(r"\\(?:sum|prod|lim|int)\s*(?:[_^]\s*(?:\{[^{}]*\}|\w)\s*)+$")  # what follows is no unit
_OPENED = re.compile(r"\\text\{([^{}]*)\}")
_IN_BRACKETS = re.compile(r"(?P<value>.*[\d}])\s*\((?P<words>[a-zA-Z][a-zA-Z ]{2,}|[\u4e00-\u9fff]{1,4})\)$")
_MEASURES = re.compile(r"[\d.,:/\s]*\d[\d.,:/\s]*([\u3040-\u30ff\u4e00-\u9fff]{1,6})")
_LEADING_WORDS = re.compile(r"\\text\{([^{}]*)\}\s*(?=[\d\\.(\[-])(?!\\text)")
_GLUED_LETTERS = frozenset("sghl")  # 2h is rather a product than two hours
LONGEST_UNIT = 5  # words, ours


def unit_name(word: str) -> str:
    """A known unit's one name, "" for any other word."""
    return _CANONICAL.get(word, "")


@lru_cache(maxsize=16_384)
def split_unit(text: str) -> tuple[str, str]:
    """Return (value, unit): the text without leading "about" or currency and trailing unit words.

    The unit is "" when there is none, a known unit's one name ("cm^2"), or "?" and what is counted ("?red balls").
    """
    value = _LEADING.sub("", without_leading_words(text))
    value, currency = _without_currency(_TEXT_CURRENCY.sub(r"\1 ", value))
    bracketed = _IN_BRACKETS.match(value)
    if bracketed is not None and (name := _unit_name(bracketed["words"], "", inside_text=False)) is not None:
        return bracketed["value"], name
    formula = _formula_unit(value)
    if formula is not None:
        return formula
    tail = _TEXT_TAIL.match(value) or _WORD_TAIL.match(value)
    if tail is None:
        return value, currency
    glued = value[tail.start("words") - 1] not in " {" and tail.re is _WORD_TAIL and tail["words"] in _GLUED_LETTERS
    unit = _unit_name(tail["words"], tail["power"], inside_text=tail.re is _TEXT_TAIL)
    if unit is None or glued or _SUMMED.search(tail["value"]):
        return value, currency
    return tail["value"].strip(), unit


def _formula_unit(text: str) -> tuple[str, str] | None:
    """Read a trailing unit written as a formula, which takes more than one plain letter; None where there is none."""
    if "/" not in text and "^" not in text and "\\mu" not in text and "\\Omega" not in text:
        return None
    tail = _FORMULA_TAIL.match(_OPENED.sub(r" \1 ", text))
    if tail is None or not re.search(r"/|-|\\mu|\\Omega", tail["tail"]):
        return None
    names = re.findall(rf"({_SYMBOL})\s*(?:\^\s*\{{?\s*-?(\d))?", tail["tail"])
    plain = all(len(name) == 1 for name, _ in names)
    if plain and ("\\text" not in text and not tail["space"]):
        return None
    units = [
        _CANONICAL.get(name.lower(), name) + (f"^{power}" if power not in ("", "1") else "") for name, power in names
    ]
    return tail["value"].strip(), "/".join(units)


def is_known(unit: str) -> bool:
    """Say whether what split_unit found is a unit, and neither nothing nor what is only counted."""
    return unit != "" and unit[0] != "?"


def without_measures(text: str) -> str:
    """What is left of a text without its numbers and the units or counted things of other scripts that follow them."""
    return _MEASURES.sub(lambda part: "" if _is_measure(part[1]) else part[0], text).strip(" 。.")


def _is_measure(words: str) -> bool:
    return words in _CANONICAL or words in ("月", "日", "分", "时", "点") or counts([words])


def without_leading_words(text: str) -> str:
    """\\text{The area is } 12: the value after words that only announce it."""
    words = _LEADING_WORDS.match(text)
    return text[words.end() :] if words is not None and announces(words[1]) else text


def units_differ(first: str, second: str) -> bool:
    """Say whether both sides name known units that are not the same, or count things of different names."""
    if _ANGULAR.get(first) == second and second:
        return True
    if first[:1] == second[:1] == "?":
        counted = [set(unit[1:].split()) for unit in (first, second)]
        return all(counted) and not (counted[0] <= counted[1] or counted[1] <= counted[0])
    known = [unit for unit in (first, second) if is_known(unit) and unit not in _NEUTRAL]
    if len(known) < 2 or known[0] == known[1]:
        return False
    return known[1] not in _TWO_MEANINGS.get(known[0], ()) and known[0] not in _TWO_MEANINGS.get(known[1], ())


def _without_currency(text: str) -> tuple[str, str]:
    before = _CURRENCY.match(text)
    if before is not None:
        return before[1] + text[before.end() :], _CURRENCIES[before["sign"]]
    after = _CURRENCY_AFTER.fullmatch(text)
    return (after["before"], _CURRENCIES[after["sign"]]) if after is not None else (text, "")


def _unit_name(words: str, power: str, inside_text: bool) -> str | None:
    """Return the unit's one name, "?" and the words for what is only counted, None where the words are no unit."""
    names = [
        word
        for word in re.split(r"[\s.,/()]+|\b(?:per|of|the)\b|\ban?\b(?=\s)|(?<=平方)|(?<=立方)", words.lower())
        if word
    ]
    if not names:
        return ""
    if inside_text and re.fullmatch(rf"{_SYMBOL}|C", words.strip()) and not power:
        return _CANONICAL.get(words.strip().lower(), words.strip())
    if len(names) > LONGEST_UNIT:
        return None
    digits = re.sub(r"\D", "", power) or next((_POWERS[name] for name in names if name in _POWERS), "")
    bare = [name for name in names if name not in _POWERS]
    known = [_CANONICAL[name] for name in bare if name in _CANONICAL]
    if len(known) == len(bare) and known:
        return "/".join(known) + (f"^{digits}" if digits and digits != "1" else "")
    if inside_text or all(len(name) > 2 or not name.isascii() for name in bare if name not in _CANONICAL):
        counted = [name for name in names if name not in _CANONICAL]
        return "?" + " ".join(name for name in counted if name.isascii()) if counts(counted) else None
    return None
