"""The English words that a final statement is made of, as patterns: what is not here states nothing.

Only what stands before and after the value is listed; names of things are open where grammar leaves no room for
another meaning ("she has 12 NOUNs left"), words that count or alter ("dozen", "more than") are no nouns.
"""

from __future__ import annotations

import re

from entrobench.evaluation.grading.reading.vocabulary import QUANTITIES

from .sentences import FORMULA


def _words(text: str) -> str:
    return f"(?:{'|'.join(text.split())})"


WORD = r"[a-z][a-z'’-]+"
THING = rf"(?:{FORMULA}|[a-z](?:_?\w)?(?![\w'’]))"  # a formula or a letter that names a value
CONNECTIVE = (
    r"(?:(?:and so|so|thus|hence|therefore|then|finally|now|and|also|overall|in (?:total|all|the end|conclusion"
    r"|short|summary)"
    r"|to conclude|consequently|as a result|accordingly|altogether|ultimately|clearly|meaning|yes|well"
    r"|of course|lastly|indeed|(?:this|that|it|which) (?:means|implies|shows|follows)|that is|i\.e\.|correction"
    r"|step \d+|\(?\d+[.)]|∴|⇒|=>|→|but|actually)\b\s*(?:that\s+)?[,:.]?\s*"
    r"|[∴⇒→]\s*)"
)
_ADJECTIVE = _words(
    "final correct right best total exact required desired requested overall new original maximum minimum max min "
    "maximal "
    "minimal smallest largest greatest least highest lowest shortest longest only possible distinct different "
    "numerical "
    "numeric combined remaining net gross average mean median expected common positive negative real integer sought "
    "actual "
    "true simplified resulting corresponding unique ordered monthly weekly daily annual yearly hourly two three four "
    "five "
    "last first second third missing unknown other absolute approximate full whole grand entire given interest "
    "surface "
    "fourth fifth sixth seventh eighth ninth tenth twelfth nth \\d+(?:st|nd|rd|th) unit pass success growth "
    "ticket favorable sample identity "
    "general complete regular selling sale cost following shaded unshaded inner outer"
)
HEAD = _words(
    "answers? solutions? results? totals? values? numbers? "
    + " ".join(sorted(QUANTITIES - {"problem", "question", "case", "option", "choice"}))
    + " discriminant hypotenuse constants? "
    "leg height altitude side sides ages? grades? scores? points? ways? chance odds "
    "percentages? distances? prices? costs? amounts? balance payment bill fare tax interest discount loss change "
    "savings "
    "budget capacity size width matrices solution-set roots? zeros? intercepts? coefficients? exponent base-length "
    "formula form fractions? decimals? differences? products? intervals? domains? range period amplitude frequency "
    "quantities quantity outcome count counts conclusion winner"
)
DETERMINER = r"(?:the|our|my|your|his|her|their|its|this|that|both|all|each|every|these|those|[\w\ue000-\uf8ff]+['’]s?)"
# What may follow a head noun; no clause about "the answer", none that may not be so.
_UNSURE = r"\b(?:answers?|if|unless|might|may|should|wrong|false|incorrect|not equal|solution|result|guess|estimate)\b"
_AFTER_HEAD = (
    rf"(?:\s+{FORMULA})?(?:\s+(?:of|for|that|in|to|between|from|on|at|when|where|who|with|needed|required|asked|left"
    rf"|remaining|per"
    rf"|by|such|satisfying)\b(?:(?!{_UNSURE}|[,;:]).)*?)?"
)
COPULA = (
    r"(?:is|are|was|were|be|equals?|will be|would be|should be|must be|has to be|becomes?"
    r"|(?:comes?|came)(?: out)? to(?: be)?"
    r"|works out (?:to|as)"
    r"|amounts? to|adds? up to|added up to|sums? to|totals?|totaled|turns? out to be|evaluates? to|simplif(?:ies"
    r"|y) to|reduces? to|gives"
    r"|is given by|rose to|fell to|rises to|drops to|increased to|decreased to|grows to|(?:rises?|rose|falls?|fell"
    r"|increased|increases"
    r"|decreased|decreases|grew|dropped|drops) by)(?!\w)"
)
_STATES = rf"(?:\s+{COPULA}|\s*[=:])"
HEDGE_FREE = (
    r"(?:\s*(?:exactly|about|approximately|approx\.?|roughly|around|simply|just|therefore|thus|then|hence|indeed|now"
    r"|equal to|given by"
    r"|actually|precisely|also|at|the (?:number|value|point|interval|set|ordered pair|pair|fraction|matrix|function"
    r"|vector|line|expression)"
    r"|clearly|always|a total of|still|only|option|choice|letter|to be|:)(?![\w-]))*"
)
PRONOUN = r"(?:it|this|that|he|she|they|there|we|i|you|which|what)"
_DERIVING = (
    r"(?:(?:we|i|you|one)(?:'d|'ll)?(?:\s+(?:can|then|therefore|thus|finally|also|now|will|would|must|shall|have"
    r"|both))*\s+"
    r"(?:get|got|gets|obtain|obtained|find|found|have|had|see|conclude|say|derive|derived|deduce|arrive at"
    r"|are left with|end up with|"
    r"compute|computed|calculate|calculated|choose|pick|select|go with|think|believe|determine|determined|count|need)"
    r"|it follows|(?:this|that|which|it)\s+(?:gives|leaves|yields|makes|means|implies|shows|simplifies to|comes to"
    r"|adds up to|is|equals)(?:\s+us)?"
    r"|giving(?:\s+us)?|yielding|leaving(?:\s+\w+)?|obtaining|making|resulting in|namely|for a total of|solving"
    r"|here is (?:a|the)(?:\s+[a-z]+){1,3}:)"
)
_NOUN_PHRASE = rf"(?:{DETERMINER}|an?\s+(?=total|profit|grand))\s+(?:{_ADJECTIVE}\s+){{0,3}}{HEAD}(?:\s+{HEAD})?"
_SUBJECT = (
    rf"(?:{_NOUN_PHRASE}{_AFTER_HEAD}|(?:{_ADJECTIVE}\s+){{0,2}}{HEAD}{_AFTER_HEAD}|{PRONOUN}"
    rf"|{THING}(?:\s+in\s+{WORD}(?:\s+{WORD})?)?)"
)
_SUM_OF = (
    r"an?\s+(?:total\s+|grand\s+|net\s+|final\s+)?"
    r"(?:total|profit|loss|sum|speed|rate|cost|price|length|area|volume|value|distance|answer|discount) of"
)
_MAY = r"(?:(?:will|would|can|must|now|also|still|only|already|then|therefore|thus|together|both|altogether)\s+)*"
# Of verbs with a number alone: "each child gets 12".
_GETS = (
    rf"{_MAY}(?:gets?|receives?|received|pays?|paid|earns?|earned|needs?|takes?|took|costs?|weighs?|weighed|scored"
    rf"|scores?|owes?|spends?|spent|makes?)"
)
_ACTIVE = (
    rf"{_MAY}(?:has|have|had|sold|sells?|makes?|made|earns?|earned|pays?|paid|spends?|spent|gets?|got|receives?"
    rf"|received|needs?|needed"
    r"|(?:takes?|took|costs?)(?:\s+(?:(?-i:[A-Z])[a-z]+|him|her|them|us))?"
    r"|weighs?|weighed|measures?|contains?|holds?|covers?|covered|travels?|traveled|travelled"
    r"|walks?|walked|runs?|ran"
    r"|buys?|bought|eats?|ate|uses?|used|saves?|saved|gives?|gave|keeps?|kept|owns?|drinks?|drank|reads?|scored"
    r"|scores?|owes?|drives?|drove"
    r"|picks?|picked|collects?|collected|produces?|produced|lasts?|charges?|burns?|burned|loses?|lost|wins?|won"
    r"|raised|raises?|plants?"
    r"|planted|bakes?|baked|writes?|wrote|works?|worked|is left with|are left with|ends? up with|leaves?|jumps?"
    r"|swims?|climbs?|finished?"
    r"|started|starts|harvested|gathered|delivered|cooked|mixed|painted|visited|answered|solved|invited|ordered"
    r"|borrowed|donated|shared|packed"
    r"|carried|filled|drew|cut|caught|watched|played|typed|printed|built|cleaned|washed|moved|sent|brought|put"
    r"|poured|recycled|knitted|sleeps?"
    r"|slept|practiced|studied|invested|deposited|withdrew|hiked|biked|cycled|swam|flew|rode|sailed|climbed|rented"
    r"|laid|lays|peeled|grew|serves?|completes?|completed)"
    r"(?:\s+(?:to\s+(?:buy|pay|sell|make|earn|save|work|read|walk|drive|travel|spend|bake|use|collect)(?:\s+for)?"
    r"|growing\s+\w+"
    r"|left|back|over|away|up|down))?"
)
_NOBODY = (
    r"(?!(?:nobody|none|nothing|neither|no|few|hardly|never|not|if|unless|suppose|someone|somebody|anyone|whoever)\b)"
)
_ACTOR = (
    rf"(?:he|she|they|it|we|i|you|there|{_NOBODY}(?:the|each|every|his|her|their|our|my|a|this|both|each of (?:the"
    rf"|his|her|their)(?:\s+\d+)?)\s+(?!(?:wrong|answer|correct|result|solution)\b){WORD}(?:\s+{WORD}){{0,2}}?"
    rf"|{_NOBODY}(?-i:[A-Z])[a-z]+(?:\s+and\s+(?-i:[A-Z])[a-z]+)?"
    rf"|\d+\s+(?!(?:of|more|less|fewer|times|percent|dozen|hundred|thousand|million|plus|minus)\b){WORD})"
)

ANSWER = (
    rf"(?:(?:the|my|our|a|your)\s+)?(?:{_ADJECTIVE}\s+){{0,3}}(?:answers?|option|choice|solution|result|ans\.?)"
    r"(?:\s+(?:to|for)\s+(?:the|this)\s+(?:problem|question|exercise|inequality|equation|system))?"
)
_THERE_IS = r"there\s+(?:is|are|were|was|will be|remain|must have been|must be)"
_DOING = (
    r"(?:adding|simplifying|solving|substituting|combining|using|multiplying|dividing|subtracting|plugging|evaluating"
    r"|rearranging|factoring|expanding|counting|summing|taking|computing|calculating|applying|comparing|expressing"
    r"|squaring|equating|integrating|differentiating|cancelling|canceling|collecting|converting|doing|working"
    r"|putting|setting|noting|reducing|completing)"
)
# The whole of a clause before its value, and what the value then needs: an equation, a thing counted, a letter, no
# thing ("name"); after "gets" it may be "more".
_LEADS = (
    ("answer", rf"{ANSWER}\s*(?:\([^()]*\)\s*)?(?:{COPULA}\s*|[=:.】\]]\s*)*"),
    ("", rf"(?:{_DERIVING}\s+(?:that\s+)?)?{_SUBJECT}{_STATES}"),
    ("", rf"{_DOING}\b[^,;]*?\s(?:gives|yields|leaves|makes|results in)(?:\s+us)?"),
    ("", rf"(?:{_DERIVING}\s+(?:that\s+)?)?(?:it|that|this|there)['’]s"),
    ("", r"-?[\d.][\d.,$%/\s+*x×·÷()-]*(?:of\s+\$?[\d.,]+\s+)?(?:is|are|equals|gives)"),
    ("choice", r"because"),
    ("equation", rf"(?:{_DERIVING}\s+(?:that\s+)?)?{_NOUN_PHRASE}"),
    ("", rf"(?:{_DERIVING}\s+(?:that\s+)?)?(?:{_THERE_IS}|{_SUM_OF})"),
    ("", rf"{_DERIVING}(?:\s+that)?(?:\s+{_SUM_OF})?"),
    ("gets", rf"(?:he|she|they|it|we|you|(?:each|every)\s+{WORD}|{_NOBODY}(?-i:[A-Z])[a-z]+)\s+{_GETS}"),
    ("", rf"{_ACTOR}\s+{_ACTIVE}\s+{_SUM_OF}"),
    ("thing", rf"{_ACTOR}\s+{_ACTIVE}"),
    ("thing", rf"{_NOBODY}(?-i:[A-Z])[a-z]+\s+is(?:\s+now)?"),
    ("", rf"(?:{HEAD}|solution|ans\.?)(?:\s+{HEAD})?\s*[.:=]"),
    ("name", r"(?:the\s+)?(?:numbers?|point|pair|values?|letter|option|choice)"),
    ("", r"(?:both|either|just|about|exactly)?"),
)
LEADS = tuple((needs, re.compile(rf"{pattern}{HEDGE_FREE}\s*(?:[≈~]\s*)?", re.IGNORECASE)) for needs, pattern in _LEADS)
# What may open a clause that only prepares the statement after its comma.
PREPARES = re.compile(
    rf"(?:{CONNECTIVE})*(?:since|because|as (?:the|we|it|there|each|he|she|they|this|both|all|[a-z]\b|{FORMULA})|by"
    rf"|from|after|using|with these|with this|in \d{{4}}|in (?:april|may|june|fact|total|this case|the end)"
    r"|out of|on simplifying|upon|when (?:multiplying|adding|we add|simplified)|after|here|rather than [a-h]"
    r"|it'?s not [a-h]\b|not [a-h]\b"
    rf"|among|{_DOING}\b).*",
    re.IGNORECASE | re.DOTALL,
)
CONSEQUENCE = re.compile(
    r"(?:,|;|\s|\))\s*(?:and\s+)?(?=(?:so|thus|therefore|hence|then|which|giving|yielding|leaving|making"
    r"|for a total of|meaning|namely"
    r"|resulting in)\b)|\s+and\s+(?=(?:its|the (?:value|total|answer|sum|result))\b)|[,;]\s+(?=(?:it'?s"
    r"|the (?:final )?answer)\b)",
    re.IGNORECASE,
)
CONDITIONAL = re.compile(
    r"\W*(?:(?:so|but|and|then|now)\s+)?(?:if|unless|had|were|suppose|supposing|assume|assuming|imagine|pretend"
    r"|let'?s? (?:assume|say)|whether|without|ignoring"
    r"|neglecting|forgetting|otherwise|provided|should|perhaps|maybe|nobody|no one)\b",
    re.IGNORECASE,
)

# After the value.
ADVERB = (
    r"(?:left|remaining|altogether|overall|in total|in all|each|apiece|now|today|daily|weekly|exactly|together|only"
    r"|respectively|here"
    r"|as (?:required|desired|needed|claimed|well)|in the end|approximately|old|long|wide|high|tall|deep|total"
    r"|per cent"
    r"|a (?:day|week|month|year|piece|time)|so far|ago|in (?:stock|class|school|cash|change|size|length|area|volume"
    r"|value|profit|savings))"
)
_NO_OBJECT = (
    r"(?!(?:base|power|powers|modulus|most|least|best|worst|first|beginning|start|minimum|maximum|degree|limit"
    r"|question|hundred|thousand|million"
    r"|binary|hex\w*|octal|case|cases|sign|opposite|reciprocal|inverse|wrong|all|any|either|some|what|which|if|odd"
    r"|even|half|one|two|three|certain|answer|result|target|goal|next|previous)\b)"
)
_OBJECT = (
    rf"(?:(?:the|his|her|their|our|my|its|your|this|that|an?|each|every|these"
    rf"|those)\s+{_NO_OBJECT}{WORD}(?:['’]s)?(?:\s+{_NO_OBJECT}{WORD}){{0,2}}|them|himself|herself"
    r"|themselves|itself|us|him|her|everything|everyone|breakfast|lunch|dinner|charity|sale|school|work|water|milk"
    r"|time|total|all"
    r"|(?-i:[A-Z])[a-z]+(?:\s+and\s+(?-i:[A-Z])[a-z]+)*)"
)
PHRASE = (
    rf"(?:(?:in|on|at|for|by|to|from|during|after|over)\s+{_OBJECT}|of\s+(?:{_OBJECT}|{_NO_OBJECT}{WORD})|(?:per"
    rf"|each|every)\s+{_NO_OBJECT}{WORD}|{ADVERB})"
)
REASON = re.compile(
    r"[\s,;.]*\(?(?:because|since|as (?:the|it|we|there|they|he|she)\b|attained|achieved|reached|occurring"
    r"|when divided by|i\.e\.|which is (?:a |an |the |our )?"
    r"(?:prime|even|odd|integer|positive|answer|final|desired|required|correct|wanted))(?![^.]*\b(?:wrong|false"
    r"|or)\b).*",
    re.IGNORECASE | re.DOTALL,
)
_PLACE = rf"(?:{FORMULA}|[a-z]\s*=\s*-?[\d./]+)"
WHERE_EXTREME = re.compile(rf"[\s,]*(?:when|at|for)\s+{_PLACE}(?:\s+and\s+{_PLACE})?", re.IGNORECASE)
EXTREME = re.compile(r"\b(?:max\w*|min\w*|greatest|largest|smallest|least|highest|lowest)\b", re.IGNORECASE)
CONTRAST = re.compile(
    rf",?\s+(?:and\s+)?(?:not|rather than|instead of)\s+(?:{FORMULA}|-?[\d.,]+|\(?[A-H]\)?)", re.IGNORECASE
)
ASIDE = re.compile(
    r"\s*\((?:approx\w*|exactly|see [^()]*|since [^()]*|because [^()]*|as (?:required|desired|needed)|rounded [^()]*"
    r"|in (?:square )?[a-z]+s|each|total|(?:[a-z]*ty-)?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven"
    r"|twelve"
    r"|[a-z]+teen|[a-z]+ty))\)",
    re.IGNORECASE,
)
AFTERTHOUGHT = re.compile(rf",?\s+or\s+(?:about|approximately|roughly)\s+(?:{FORMULA}|[\d.]+%?)", re.IGNORECASE)
PREDICATE = re.compile(
    rf"\s*(?:(?:is|are|must be)\s+(?:(?:therefore|thus|then|indeed)\s+)?(?:(?:the|our"
    rf"|my)\s+)?(?:{_ADJECTIVE}\s+){{0,2}}(?:answers?|solutions?|choice|option|result|root|correct|right|one|valid)"
    r"|as (?:the|our) (?:final )?answer|(?:people\s+)?(?:came|attended|remain|remained|are left)|works?)",
    re.IGNORECASE,
)
MATCHING = re.compile(
    r",?\s+(?:matching|which (?:is|matches|corresponds to)|corresponding to|so)\s+(?:the answer is\s+)?"
    r"(?:choice|option|answer)\s+\(?(?P<letter>[A-H])\)?",
    re.IGNORECASE,
)
SATISFYING = re.compile(
    rf"\s+to\s+[a-z]+\s+(?:to\s+)?{_OBJECT}|\s+(?:that|who|which|satisfying|such that)\s+[^.]*", re.IGNORECASE
)
