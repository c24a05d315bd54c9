"""The words that may stand beside a value without changing it; any other word makes an answer a text.

Lists of what is known, so that a word which nobody thought of ("anything but", "squared") takes nothing away.
"""

from __future__ import annotations

import re

from .scanning import word_set

# Before a value: "The total area of the triangle is", "Answer:", "Maximum value =".
_FUNCTION_WORDS = word_set(
    "the a an is are be was were will would equals equal to of for in on at its their this that and we get so "
    "thus hence therefore then there you have has must obtain value values answer answers final result results "
    "solution solutions exactly about approximately around roughly approx total overall exact correct required "
    "desired only numeric numerical simplified simplest form both ordered just where"
)
QUANTITIES = word_set(
    "number amount area volume perimeter circumference length width height depth distance radius diameter angle "
    "measure sum difference product quotient ratio average mean median mode range probability expectation "
    "expected variance maximum minimum max min largest smallest greatest least highest lowest speed velocity "
    "acceleration time mass weight force energy power cost price profit revenue income salary age temperature "
    "rate percentage percent fraction degree count score side sides base hypotenuse slope intercept coordinate "
    "coordinates point points vertex vertices center centre root roots remainder units tens digit digits term "
    "terms coefficient constant function equation expression polynomial derivative integral limit series sequence "
    "set interval domain image inverse matrix vector determinant rank trace eigenvalue eigenvalues dimension norm "
    "modulus argument real imaginary part magnitude ways possible triangle square rectangle circle sphere cube "
    "cone cylinder polygon trapezoid parallelogram region surface line segment pair pairs triple case problem "
    "question option choice least common multiple divisor factor integer integers numbers students people apples "
    "books days hours minutes seconds years dollars cents meters centimeters kilometers feet inches miles grams "
    "kilograms liters"
)
_NOT_BEFORE = word_set(
    "least common multiple multiples divisor factor only integers numbers"
)  # alone they bound or alter
_ALTERING = word_set(
    "square squared root cube cubed inverse derivative integral percent fraction product difference sum power"
)
# After a value: counted things. A plural is one unless it names a part, a power or an operation.
_PARTS_AND_OPERATIONS = word_set(
    "halves thirds quarters fourths fifths sixths sevenths eighths ninths tenths elevenths twelfths sixteenths "
    "twentieths hundredths thousandths millionths tens hundreds thousands millions billions trillions dozens "
    "scores plus minus squares cubes powers roots multiples fractions percents percentages is was has does less "
    "more minuses negatives inverses reciprocals opposites doubles triples halfs ones twos threes fours fives "
    "sixes sevens eights nines zeros zeroes always perhaps versus unless towards afterwards upwards downwards "
    "fails works appears violates contradicts exceeds lies remains equals follows precedes divides leaves goes comes "
    "makes gives seems looks becomes needs wants happens occurs holds means stays satisfies breaks misses differs"
)
_IRREGULAR = word_set(
    "people persons children men women feet teeth mice geese fish sheep deer oxen dice cattle pence loaves"
)
_DESCRIBING = word_set(
    "different distinct possible identical such whole total red blue green white black yellow big small large "
    "little old long wide high tall deep new more equal integer real complex positive negative even odd prime "
    "additional extra full square cubic linear daily weekly monthly yearly each of the them these those per "
    "person day week month year hour minute second and remaining left altogether cake pizza total points "
    "approximately exactly ordered unordered adult young male female free"
)
_ALONE = word_set(
    "more equal positive negative even odd prime real complex integer left and of the each per three increase decrease"
)
# Counted things in the singular: "1 way", "1/2 cup".
_SINGULAR = word_set(
    "way solution student apple person book ball card coin box boy girl child man woman dog cat car ticket marble "
    "cookie candy piece slice cup item element arrangement combination permutation value number triangle square root"
)
# Counted things and units of Chinese, Japanese and some European languages, as they follow a number.
_CJK = re.compile(
    "(?:[个個人元天岁歲页頁颗顆种種次本只隻米克吨头頭条條张張件块塊辆輛名位支枝朵棵台台套双雙对對组組班分秒时時日月年周週角千升吨度题題步层層段根粒"
    "座间間箱包袋瓶杯碗盒堆排行列点點円才歳匹枚冊回]|小时|小時|分钟|分鐘|秒钟|平方|立方|厘米|毫米|分米|千米|公里|千克|公斤|毫升|公顷|亩|"
    "学生|同学|人民币|美元|欧元|不同的?|的?(?:排法|方法|方案|情况|可能)|苹果)+"
)


def announces(words: str) -> bool:
    """Say whether words before a value only name it: "The area of the square is", "Maximum:", "approximately"."""
    ended = words.rstrip().endswith((":", "="))
    names = re.findall(r"[^\W\d_]+", words.casefold())
    if not names or len(names) > 12:
        return not names
    if not all(name in _FUNCTION_WORDS or name in QUANTITIES for name in names):
        return False
    return ended or names[-1] in _FUNCTION_WORDS - {"of", "for", "in", "and", "only", "at", "to"} or _is_a_name(names)


def _is_a_name(names: list[str]) -> bool:
    """One or two nouns that stand for the value: "maximum 5", "ratio 3:4", "the point (1,2)"."""
    bare = [name for name in names if name not in ("the", "a", "an")]
    return 0 < len(bare) <= 2 and not any(
        name in _ALTERING or name in _NOT_BEFORE or name in _FUNCTION_WORDS for name in bare
    )


def counts(names: list[str]) -> bool:
    """Say whether words after a number only say what is counted: "identical layers", "years old", "人"."""
    if all(_CJK.fullmatch(name) for name in names):
        return True
    if any(name in _PARTS_AND_OPERATIONS for name in names):
        return False
    if len(names) == 1 and names[0] in _ALONE:
        return False
    known = _DESCRIBING | _IRREGULAR | (_SINGULAR if names[-1] in _SINGULAR - {"square"} else frozenset())
    return all(name in known or _is_plural(name) for name in names)


def _is_plural(name: str) -> bool:
    return len(name) > 3 and name.isascii() and name.endswith("s") and not name.endswith(("ss", "us", "is"))
