"""Answers with right rewritings and wrong neighbours, drawn at random: which is which is known by construction.

    python tests/support/neighbours.py 20000

prints per kind how many wrong neighbours the grader takes for right, and how many right rewritings it does not know.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random


@dataclass(frozen=True)
class Case:
    """A gold answer, one way to write the same, one neighbour that differs in one place."""

    kind: str
    gold: str
    right: str
    wrong: str


Terms = dict[tuple[int, int], int]  # exponents of x and y -> coefficient
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ALTERING = [
    "{} \\text{{ squared}}",
    "{} \\text{{ thirds}}",
    "\\text{{half of }} {}",
    "\\text{{twice }} {}",
    "\\text{{minus }} {}",
    "{} \\text{{ minus one}}",
    "\\text{{anything but }} {}",
    "\\text{{all multiples of }} {}",
    "{} \\text{{ or more}}",
    "\\text{{at least }} {}",
    "{} \\text{{ dozen}}",
    "{} \\text{{ hundred}}",
    "\\text{{the square root of }} {}",
    "{} \\text{{ is too small}}",
    "\\text{{more than }} {}",
    "\\text{{the opposite of }} {}",
    "{} \\text{{ times }} x",
    "\\text{{not }} {}",
    "{} \\text{{ factorial}}",
    "\\text{{divisors of }} {}",
    "{} \\text{{ hundredths}}",
    "\\text{{powers of }} {}",
    "\\text{{less than }} {}",
    "\\text{{the first }} {} \\text{{ primes}}",
    "{} \\text{{ plus }} n",
]
UNITS = ["\\text{ cm}", " meters", "\\text{ apples}", "^\\circ", " units", "\\text{ different ways}", "\\%"]
LEADS = ["\\text{The answer is } ", "= ", "\\text{Total: }", "\\text{Area} = ", "x = "]
DOMAINS = ["k \\in \\mathbb{Z}", "k \\in \\mathbb{N}"]


def draw_case(random: Random) -> Case:
    """Draw one case of a random kind."""
    kind = random.choice(list(KINDS))
    gold, right, wrong = KINDS[kind](random)
    return Case(kind, gold, right, wrong)


def whole(random: Random, most: int = 40) -> int:
    """A whole number other than zero."""
    return random.choice([-1, 1]) * random.randint(1, most)


def changed(random: Random, number: int) -> int:
    """Another number nearby, of another size or of the other sign."""
    return random.choice([number + 1, number - 1, -number if number else 1, 10 * number + 3])


def polynomial(random: Random) -> Terms:
    size = random.choice([9, 60, 10**6, 2**100])
    places = random.sample([(i, j) for i in range(4) for j in range(3)], random.randint(2, 4))
    return {place: whole(random, size) for place in places}


def changed_terms(random: Random, terms: Terms) -> Terms:
    """One coefficient, sign or exponent changed."""
    place = random.choice(list(terms))
    other = {key: value for key, value in terms.items() if key != place}
    moved = (place[0] + 1, place[1])
    if random.random() < 0.3 and moved not in other:
        return {**other, moved: terms[place]}
    return {**other, place: changed(random, terms[place]) or terms[place] + 5}


def written(terms: Terms, names: tuple[str, str] = ("x", "y"), style: str = "latex") -> str:
    """A polynomial as text: latex, plain (**, *) or unicode (superscripts)."""
    pieces = []
    for exponents, coefficient in terms.items():
        powers = [_power(name, exponent, style) for name, exponent in zip(names, exponents, strict=True) if exponent]
        times = "*" if style == "plain" else ""
        size = "" if abs(coefficient) == 1 and powers else str(abs(coefficient))
        pieces.append(("-" if coefficient < 0 else "+") + times.join([*([size] if size else []), *powers]))
    text = "".join(pieces).removeprefix("+")
    return text.replace("-", "−") if style == "unicode" else text


def _power(name: str, exponent: int, style: str) -> str:
    if exponent == 1:
        return name
    raised = {"latex": f"^{{{exponent}}}", "plain": f"**{exponent}", "unicode": str(exponent).translate(SUPERSCRIPTS)}
    return name + raised[style]


def _polynomials(random: Random) -> tuple[str, str, str]:
    terms = polynomial(random)
    shuffled = dict(random.sample(list(terms.items()), len(terms)))
    wrong = written(changed_terms(random, terms))
    return written(terms), written(shuffled, style=random.choice(["latex", "plain", "unicode"])), wrong


def _factored(random: Random) -> tuple[str, str, str]:
    a, b, c = (whole(random, random.choice([9, 10**12])) for _ in range(3))
    expanded = written({(2, 0): c, (1, 0): c * (a + b), (0, 0): c * a * b})
    other = written({(2, 0): c, (1, 0): c * (a + b), (0, 0): c * a * b + random.choice([-1, 1])})
    right = f"{c}({written({(1, 0): 1, (0, 0): a})})({written({(1, 0): 1, (0, 0): b})})"
    return expanded.replace("+0x", "").replace("-0x", ""), right, other


def _rational(random: Random) -> tuple[str, str, str]:
    a, b, c, d = (whole(random, 9) for _ in range(4))
    while b == d:
        d = whole(random, 9)
    below = f"(x{b:+d})(x{d:+d})"
    gold = f"\\frac{{{a}}}{{x{b:+d}}}+\\frac{{{c}}}{{x{d:+d}}}"
    top = written({(1, 0): a + c, (0, 0): a * d + c * b}) if a + c else str(a * d + c * b)
    wrong = written({(1, 0): a + c + 1, (0, 0): a * d + c * b}) if a + c + 1 else str(a * d + c * b)
    return gold, f"\\frac{{{top}}}{{{below}}}", f"\\frac{{{wrong}}}{{{below}}}"


def _numbers(random: Random) -> tuple[str, str, str]:
    value = Fraction(whole(random, 5000), random.choice([1, 1, 2, 4, 5, 8, 7]))
    sign = "-" if value < 0 else ""
    right = random.choice(
        [
            f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}",
            f"{value.numerator}/{value.denominator}",
            f"\\text{{The answer is }} {value}",
            f"\\boxed{{{value}}}",
            f" {value} \\text{{ units}}",
        ]
    )
    return str(value), right, str(value + random.choice([Fraction(1), Fraction(-1), Fraction(1, 3), -2 * value]))


def _alternating(random: Random) -> tuple[str, str, str]:
    a, b = whole(random, 9), random.randint(2, 9)
    gold = f"{b}^{{n}}{a:+d}(-1)^{{n}}"
    wrong = [
        f"{b}^{{n}}{a:+d}",
        f"{b}^{{n}}{-a:+d}(-1)^{{n}}",
        f"{b**3 - b**2 - 2 * a}n",
        f"{b + 1}^{{n}}{a:+d}(-1)^{{n}}",
    ]
    return gold, f"{a}(-1)^{{n+2}}+{b}\\cdot {b}^{{n-1}}", random.choice(wrong)


def _sums(random: Random) -> tuple[str, str, str]:
    low, name = random.randint(0, 3), random.choice("abux")
    gold = f"\\sum_{{i={low}}}^{{n}} {name}_i"
    wrong = [f"\\sum_{{i={low + 1}}}^{{n}} {name}_i", f"n {name}_i", f"\\sum_{{i={low}}}^{{n+1}} {name}_i"]
    return gold, f"\\sum_{{k={low}}}^n {name}_{{k}}", random.choice([*wrong, f"\\sum_{{i={low}}}^{{n}} z_i"])


def _lists(random: Random) -> tuple[str, str, str]:
    items = random.sample(range(-30, 30), random.randint(2, 4))
    shuffled = random.sample(items, len(items))
    wrong = list(items)
    wrong[0] = changed(random, wrong[0])
    texts = [", ".join(map(str, row)) for row in (items, shuffled, wrong if set(wrong) != set(items) else items[1:])]
    return texts[0], random.choice(["\\{" + texts[1] + "\\}", texts[1].replace(", ", " and ")]), texts[2]


def _tuples(random: Random) -> tuple[str, str, str]:
    items = random.sample(range(-30, 30), random.randint(2, 3))
    wrong = items[1:] + items[:1] if random.random() < 0.5 else [changed(random, items[0]), *items[1:]]
    right = random.choice(["\\left({}\\right)", "( {} )", "P({})", "\\langle {} \\rangle"])
    return f"({','.join(map(str, items))})", right.format(", ".join(map(str, items))), f"({','.join(map(str, wrong))})"


def _named(random: Random) -> tuple[str, str, str]:
    a, b = random.sample(range(-30, 30), 2)
    first, second = random.choice([("x", "y"), ("a", "b"), ("m", "n"), ("p", "q")])
    right = random.choice([f"{second}={b}, {first}={a}", f"{first}={a} \\text{{ and }} {second}={b}", f"({a},{b})"])
    return (
        f"({first},{second})=({a},{b})",
        right,
        random.choice([f"{second}={a}, {first}={b}", f"{first}={b},{second}={a}"]),
    )


def _intervals(random: Random) -> tuple[str, str, str]:
    low, high = sorted(random.sample(range(-30, 30), 2))
    right = random.choice(
        [f"{low} < x \\le {high}", f"x \\in ({low}, {high}]", f"\\{{x \\mid {low} < x \\le {high}\\}}"]
    )
    wrong = [f"[{low},{high}]", f"({low},{high})", f"({low},{high + 1}]", f"x \\le {high}", f"[{low},{high})"]
    return f"({low},{high}]", right, random.choice(wrong)


def _equations(random: Random) -> tuple[str, str, str]:
    a, b, c = whole(random, 9), whole(random, 9), whole(random, 2**70)
    times = random.choice([2, 3, -1])
    wrong = random.choice([f"{a}x{b:+d}y={c + 1}", f"{a}x{-b:+d}y={c}", f"{a + 10}x{b:+d}y={c}", f"{a}x{b:+d}z={c}"])
    return f"{a}x{b:+d}y={c}", f"{times * a}x{times * b:+d}y{-times * c:+d}=0", wrong


def _words(random: Random) -> tuple[str, str, str]:
    number = random.randint(4, 99)
    right = f"{random.choice(LEADS)}{number}" if random.random() < 0.5 else f"{number}{random.choice(UNITS)}"
    return str(number), right, random.choice(ALTERING).format(number)


def _conditions(random: Random) -> tuple[str, str, str]:
    a, b = random.randint(2, 9), random.randint(1, 9)
    core = f"{a}k+{b}"
    kind = random.randrange(4)
    if kind == 0:
        domain, other = random.sample(DOMAINS, 2)
        return f"{core}, {domain}", f"{core} \\quad ({domain})", f"{core}, {other}"
    if kind == 1:
        gold = f"x^{a} \\text{{ for }} x > {b}"
        sign = random.choice(["<", "=", "\\ge"])
        return gold, f"x^{{{a}}}, x>{b}", f"x^{a} \\text{{ for }} x {sign} {b}"
    if kind == 2:
        residue = random.randrange(1, a) if a > 2 else 1
        gold = f"n \\equiv {residue} \\pmod {{{a + 1}}}"
        wrong = [f"n \\equiv {residue} \\pmod {{{a + 2}}}", f"n \\equiv {residue + 1} \\pmod {{{a + 1}}}"]
        return gold, f"n ≡ {residue} (mod {a + 1})", random.choice(wrong)
    words = random.sample(["even", "odd", "a prime", "a perfect square", "a multiple of 3"], 2)
    gold = f"2n \\text{{ where }} n \\text{{ is {words[0]}}}"
    return gold, f"2n, \\text{{ where }} n \\text{{ is {words[0]}}}", f"2n \\text{{ where }} n \\text{{ is {words[1]}}}"


def _matrices(random: Random) -> tuple[str, str, str]:
    a, b, c, d = random.sample(range(-30, 30), 4)
    wrong = random.choice([(a, c, b, d), (a, b, c, changed(random, d)), (b, a, c, d)])
    rows = [f"{{}}{p}&{q}\\\\{r}&{s}{{}}" for p, q, r, s in ((a, b, c, d), wrong)]
    p, b_ = "\\begin{pmatrix}", "\\begin{bmatrix}"
    ends = (p, "\\end{pmatrix}"), (b_, "\\end{bmatrix}")
    return rows[0].format(*ends[0]), rows[0].format(*ends[1]), rows[1].format(*ends[0])


def _roots(random: Random) -> tuple[str, str, str]:
    a, b = random.choice([2, 3, 5, 6, 7]), random.randint(2, 9)
    c = whole(random, 9)
    wrong = [
        f"{c}-{b}\\sqrt{{{a}}}",
        f"{c}+{b + 1}\\sqrt{{{a}}}",
        f"{c}+{b}\\sqrt{{{a + 4}}}",
        f"{-c}+{b}\\sqrt{{{a}}}",
    ]
    return (
        f"{c}+{b}\\sqrt{{{a}}}",
        f"√{a * b * b} + {c}" if c > 0 else f"\\sqrt{{{a * b * b}}}{c:+d}",
        random.choice(wrong),
    )


def _functions(random: Random) -> tuple[str, str, str]:
    a, b = random.randint(2, 9), whole(random, 9)
    gold = f"f(x)={a}\\sin(2x){b:+d}"
    right = random.choice([f"{2 * a}\\sin x\\cos x{b:+d}", f"f(t) = {a}\\sin 2t {b:+d}", f"y={b}+{a}\\sin(2x)"])
    wrong = [f"f(x)={a}\\cos(2x){b:+d}", f"f(x)={a}\\sin(2x){-b:+d}", f"f(x)={a}\\sin(x){b:+d}", f"{a}\\sin(2t){b:+d}"]
    return gold, right, random.choice(wrong)


def _bounds_in_words(random: Random) -> tuple[str, str, str]:
    number = random.randint(-30, 30)
    right = [f"x is at least {number}", f"[{number},\\infty)", f"all real numbers x \\ge {number}", f"{number} \\le x"]
    wrong = [f"x is at most {number}", f"x is greater than {number}", f"at least {number + 1}", f"{number}"]
    wrong += [f"between {number} and {number + 9}", f"({number},\\infty)", f"all integers n \\ge {number}"]
    return f"x \\ge {number}", random.choice(right), random.choice(wrong)


def _ranges(random: Random) -> tuple[str, str, str]:
    low, step, length = random.randint(-5, 5), random.choice([1, 2, 3, 5]), random.randint(4, 12)
    terms = [low + step * place for place in range(length)]
    wrong = [
        f"{terms[0]},{terms[1]},\\ldots,{terms[-1] + step}",
        f"{terms[0] + step},{terms[1] + step},\\ldots,{terms[-1]}",
    ]
    wrong += [f"{terms[-1]}", f"[{terms[0]},{terms[-1]}]", f"{terms[0]},{terms[1]},\\ldots"]
    shown = f"{terms[0]}, {terms[1]}, {terms[2]}, ..., {terms[-1]}"
    return ",".join(map(str, terms)), random.choice([shown, f"\\{{{shown}\\}}"]), random.choice(wrong)


def _number_words(random: Random) -> tuple[str, str, str]:
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    ones = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    ten, one = random.randrange(8), random.randrange(9)
    number, words = 10 * (ten + 2) + one + 1, f"{tens[ten]}-{ones[one]}"
    wrong = [f"{tens[ten]}", f"{tens[ten - 1]}-{ones[one]}", f"minus {words}", f"{words} thirds", f"not {words}"]
    return str(number), random.choice([words, f"{words} students", f"\\text{{{words}}}"]), random.choice(wrong)


def _units(random: Random) -> tuple[str, str, str]:
    number, names = random.randint(2, 99), ["cm", "km", "kg", "hours", "minutes", "dollars", "liters"]
    unit, other = random.sample(names, 2)
    right = random.choice(
        [f"{number}\\text{{ {unit}}}", f"{number} {unit}", f"{number}\\,\\mathrm{{{unit}}}", str(number)]
    )
    wrong = random.choice([f"{number} {other}", f"{number + 1} {unit}", f"{number}\\%", f"{number} dozen {unit}"])
    return f"{number} \\text{{ {unit}}}", right, wrong


KINDS: dict[str, Callable[[Random], tuple[str, str, str]]] = {
    **{"polynomials": _polynomials, "factored": _factored, "rational functions": _rational, "numbers": _numbers},
    **{"alternating signs": _alternating, "sums with an index": _sums, "lists and sets": _lists, "tuples": _tuples},
    **{"values by name": _named, "intervals": _intervals, "equations": _equations, "words": _words},
    **{"bounds in words": _bounds_in_words, "ranges": _ranges, "number words": _number_words, "units": _units},
    **{"conditions": _conditions, "matrices": _matrices, "roots": _roots, "functions": _functions},
}


def main() -> None:
    """Grade many cases and print the misses by kind."""
    from entrobench.evaluation.grading.grader import grade, warm_up

    warm_up()
    random, total = Random(0), Counter[str]()
    wrong, right = Counter[str](), Counter[str]()
    for _ in range(int(sys.argv[1])):
        case = draw_case(random)
        total[case.kind] += 1
        for text, expected, misses in ((case.right, True, right), (case.wrong, False, wrong)):
            verdict = grade(text, case.gold)
            if verdict.correct != expected or verdict.outcome in ("error", "timeout"):
                misses[case.kind] += verdict.correct != expected
                print(f"{verdict.outcome}: {case.kind}: {text!r} for {case.gold!r} ({verdict.reason})", file=sys.stderr)
    for kind, number in sorted(total.items()):
        print(f"{kind:<20} {number:>6} cases {wrong[kind]:>4} wrong yes {right[kind]:>4} wrong no")
    print(f"{'all':<20} {total.total():>6} cases {wrong.total():>4} wrong yes {right.total():>4} wrong no")


if __name__ == "__main__":
    main()
