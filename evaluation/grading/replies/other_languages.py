"""Final statements in other languages: a known word for "is" or "has" before the value, known words after it."""

from __future__ import annotations

import re

from entrobench.evaluation.grading.reading.vocabulary import counts

from .sentences import FORMULA
from .values import values_of

LONGEST_SENTENCE, LONGEST_END = 600, 60  # characters, ours
_CJK = "[\u3040-\u30ff\u4e00-\u9fff]"
_IS_CHINESE = re.compile(_CJK)
# Right before a value, Chinese and Japanese; what asks, denies, supposes or bounds may stand nowhere in the clause.
_BEFORE_CHINESE = re.compile(
    rf"(?:^|.*(?:是|为|為|等于|等於|相距|相差|[=＝:：】∴]|有|共|得|到|了|还剩|剩下?|需要?|要|卖|买|用|走|花|多|少|选|選|解|于是|所以|因此|故|每小时|每天|每分钟|每人|(?:正?解|答え"
    rf"|値|数)は|"
    rf"答|答案|[选選]项|将在|而是|出|{FORMULA}|[，、]))(?:\s|约|大约|恰好|正好|一共|总共|共|\()*$",
    re.DOTALL,
)
_UNSURE_CHINESE = re.compile(
    "不(?!同)|非|没|沒|未|无|無|勿|別|别|若|假|如果|可能|也许|或许|恐怕|猜|估计|大概|据说|听说|有人|除(?!以)|至[少多]|超|否|大于|小于|多于|少于|低于|高于|接近|[吗嗎谁誰几幾哪]|什么"
    "|多少|排除|ない|なら|もし"
)
_CONTRAST_CHINESE = re.compile("不是[^，,。]{1,20}?[，,]?\\s*而是")
_AFTER_CHINESE = re.compile(
    rf"\s*(?:(?P<counted>{_CJK}{{1,12}}?)(?:内)?(?:被\w{{1,4}}|です|である|になります)?)?[。.!！\s)]*", re.DOTALL
)
_NO_THING = re.compile("[以多余倍半外或不吗次方分之左右近约除加减乘比的]")
_POLITE = re.compile("(?:是?(?:正确|对)的?|です|である|になります|となります|통|입니다|이다|개|명)?[。．.!！\\s]*")

_VERB = (
    r"(?:est|sont|vaut|valent|égale|a|ont|avons|aura|auront|coûte|coûtent|reste|restent|obtient|obtenons|paie|donne"
    r"|il y a|est de|sont de"
    r"|es|son|tiene|tienen|hay|da|quedan?|cuesta|gana|paga|es igual a|è|sono|vale|ha|hanno|costa|é|são|tem|têm|custa"
    r"|há"
    r"|ist|sind|hat|haben|beträgt|kostet|ergibt|gibt es|lautet|es gibt)"
)
_ARTICLE = r"(?:la|le|les|l['’]|el|los|las|il|lo|i|gli|o|os|as|a|die|der|das)"
_NAME = (
    r"(?:réponse(?: finale)?|respuesta(?: final)?|resposta(?: final)?|risposta(?: finale)?|antwort|endergebnis"
    r"|ergebnis|résultat|resultado|risultato"
    r"|probabilité|probabilidad|wahrscheinlichkeit|gesamtzahl|somme|suma|soma|somma|summe|valeur|valor|valore"
    r"|wert|nombre|número|numero"
    r"|anzahl|aire|área|area|fläche|solución|lösung|prix|precio|preis|prezzo)"
)
_SO = (
    r"(?:(?:donc|ainsi|alors|par conséquent|en conclusion|finalement|por lo tanto|por tanto|entonces|así"
    r"|luego|portanto|logo|então|quindi|dunque|perciò|also|daher"
    r"|somit|folglich|итак|значит|следовательно|поэтому)\b[,:]?\s*)*"
)
_ADVERB = (
    r"(?:\s*(?:déjà|encore|donc|alors|maintenant|exactement|de|au total|en tout"
    r"|también|ahora|todavía|exactamente|noch|also|genau|insgesamt|ora|ancora|agora|ainda|die antwort|:)(?![\w-]))*"
)
_LEADS = (
    rf"{_SO}{_ARTICLE}?\s*{_NAME}\b(?:\s+(?:de|du|des|d['’]|del|do|da|di|que|pour|für|von"
    rf"|der)\b[^:;]*?)?\s*(?:{_VERB}|:|=)",
    rf"{_SO}(?:{_VERB}\s+)?{_ARTICLE}\s*{_NAME}(?:\s*:|)",
    rf"{_SO}(?:il|elle|on|nous|ils|elles|él|ella|ellos|lui|lei|ele|ela|er|sie|es|(?-i:[A-ZÉ])[a-zà-ÿ-]+)\s+{_VERB}(?!\w)",
    rf"(?:{_NAME}|soucis|réponse|respuesta)\s*:\s*(?:(?-i:[A-ZÉ])[a-zà-ÿ-]+\s+{_VERB})?",
    rf"{_SO}(?:ответ|всего|получаем|получается|останется|осталось)\b\s*[:—=-]?",
    rf"{_SO}(?:ответ|сумма|число|количество|площадь|вероятность|значение)\b[^,;:]*?\s*(?:равн[ыоа]?|равен|составляет"
    rf"|—|:|=)",
    r"[\u0590-\u06ff\s\d*+،,:=\-]+(?:هو|هي|يساوي|=|:)",
    r"[\u0900-\u0dff\s,।|:*\[\]=]+(?:अब|कुल|में|है|=|:)",
    r"[\uac00-\ud7af\s,]*(?:답|정답|답은|정답은|합은|값은|는|은)",
)
_BEFORE = tuple(re.compile(rf"[\s¿¡\"'«(]*{lead}{_ADVERB}[\s:\"'«(]{{0,2}}", re.IGNORECASE) for lead in _LEADS)
_CONTRAST = re.compile(r",?\s+(?:et\s+)?(?:non|no|nicht|pas)\s+(?:\(?[A-H]\)?|\d+)[\s.]*\Z")
_MULTIPLE = (  # dozens, thousands, halves, squares, times
    r"(?:douz\w*|docen\w*|dozz\w*|dutzend\w*|dizaines?|centaines?|mill\w*|mil|tausend\w*|moiti\w*|tiers|quarts?|halb\w*"
    r"|\w*drittel|viertel|carr\w*|hoch|cuadrad\w*|quadrat\w*|fois|mal|veces|volte|vezes|prozent|por|pour)"
)
_THING = rf"(?!{_MULTIPLE}\b)[^\W\d_]+(?:['’][^\W\d_]+)?"
_AFTER = re.compile(
    rf"\s*(?:(?:{_THING}|[$€£])?(?:\s+(?:de|d['’]|à|del|di|da|von|in|en|por|par|für"
    rf"|pro)\s*{_THING}(?:\s+(?:d['’])?\s*(?:ici\s+)?[\w'’]+){{0,3}}){{0,4}})?[\s.!]*",
    re.IGNORECASE,
)
_AFTER_INDIC = re.compile("[\\s\u0900-\u0dff]{0,24}(?:है|हैं|होगा|होंगे)?[\\s।.]*")
_UNSURE = re.compile(
    r"\b(?:ne|n['’]|pas|no|non|não|nicht|kein|не|si|wenn|se|если|peut-être|quizás|tal vez|talvez|forse|vielleicht|ou"
    r"|oder|oppure|falsch|faux|fausse|falsa|falso|errada|moins|plus|menos|más|mehr|weniger|более|менее)\b|नहीं|ليس"
    r"|아니",
    re.IGNORECASE,
)


def stated_elsewhere(sentence: str) -> str:
    """The value that a sentence of another language than English surely states, "" where it states none."""
    sentence = _CONTRAST.sub("", sentence[-LONGEST_SENTENCE:])
    if re.search(r"[?？]\s*\Z", sentence):
        return ""
    for start, end in values_of(sentence)[:-4:-1]:
        before, after = sentence[:start], sentence[end:]
        if len(after) > LONGEST_END:
            continue
        if _IS_CHINESE.search(sentence):
            found = _in_chinese(before, after)
            if found is not None:
                return f"{sentence[start:end]}{found}"
            continue
        stated = any(lead.fullmatch(before) for lead in _BEFORE) and not _UNSURE.search(sentence)
        if stated and any(words.fullmatch(after) for words in (_AFTER, _AFTER_INDIC, _POLITE)):
            return sentence[start:end]
    return ""


def _in_chinese(before: str, after: str) -> str | None:
    """What is counted after a value whose clause states it, None where the clause does not."""
    clause = _CONTRAST_CHINESE.sub("是", before)
    last = re.split("[，,;；、]", clause)[-1]
    if _UNSURE_CHINESE.search(last) or re.match("如果|若|假设|假如|除非", clause) or not _BEFORE_CHINESE.match(clause):
        return None
    if _POLITE.fullmatch(after):
        return ""
    match = _AFTER_CHINESE.fullmatch(after)
    if match is None:
        return None
    counted = match["counted"] or ""
    if not counted or counts([counted]):
        return counted
    known = next((end for end in range(len(counted), 0, -1) if counts([counted[:end]])), 0)
    return counted[:known] if known and not _NO_THING.search(counted[known:]) else None
