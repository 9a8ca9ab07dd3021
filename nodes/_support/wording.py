"""Reads a sentence as what it states: words and numbers in order, the same token for two ways of writing the same.

`€4`, `4 EUR` and `four euros` are `4 euro`; `May 9th` and `9 May` are one date; `can't` is `can not`; `costs` is `cost`.
What is not known to be the same stays different: `4 dollars`, `1.10` beside `1.1`, `delivered` beside `delivers`.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

_PIECE = re.compile(r"\d+(?:[.,:/]\d+)*[^\W_]*|[^\W_]+(?:['\u2019][^\W\d_]+)*|[^\w\s]")
_DIGITS = re.compile(r"(\d+(?:[.,:/]\d+)*)(.*)")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ISO_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_SILENT = frozenset(".,;:!?'\"()[]*`\u2026\u00b7\u00ab\u00bb\u201c\u201d\u2018\u2019\u201e")
"""Signs that change no statement. Every other sign is a token: a `<`, a `-` before a number, a `#`."""
_DASHES = frozenset("-\u2010\u2011\u2012\u2013\u2014")

_CURRENCIES = {
    "euro": "€ eur euro euros",
    "dollar": "$ usd dollar dollars",
    "pound sterling": "£ gbp",
    "yen": "¥ jpy yen",
    "franc": "chf franc francs",
    "cent": "cent cents",
    "pound": "pound pounds",
    "crown": "crown crowns",
}
_OTHER_UNITS = {
    "percent": "% percent",
    "kilogram": "kg kilo kilos kilogram kilograms",
    "gram": "g gram grams",
    "kilometre": "km kilometre kilometres kilometer kilometers",
    "metre": "metre metres meter meters",
    "centimetre": "cm centimetre centimetres centimeter centimeters",
    "millimetre": "mm millimetre millimetres millimeter millimeters",
    "litre": "litre litres liter liters",
    "minute": "min mins minute minutes",
    "second": "sec secs second seconds",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years",
}
# `h` behind a number is an hour, elsewhere a letter.
_PER_NUMBER = frozenset(("g", "h", "min", "mins", "sec", "secs", "hr", "hrs"))
"""Letters that are a unit only behind a number."""
_SPELLED: dict[str, str] = {}
"""Units by their spellings."""
for _unit, _spellings in (_CURRENCIES | _OTHER_UNITS).items():
    _SPELLED |= dict.fromkeys(_spellings.split(), _unit)
UNITS = frozenset(_CURRENCIES) | frozenset(_OTHER_UNITS)
"""What counts; `a day` is a number with its unit, `a neighbour` is not."""
_BEFORE_NUMBER = frozenset(("€", "$", "£", "¥", "eur", "usd", "gbp", "jpy", "chf"))

_TO_NINETEEN = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TO_NINETY = "twenty thirty forty fifty sixty seventy eighty ninety"
_YEAR = "january february march april may june july august september october november december"
_ONES = _TO_NINETEEN.split()
_TENS = _TO_NINETY.split()
_MONTHS = _YEAR.split()
_MONTH = {"sept": 9}
"""Months by their names, whole and short."""
for _position, _name in enumerate(_MONTHS, 1):
    _MONTH[_name] = _position
    _MONTH[_name[:3]] = _position

# Also what `stem` must leave alone: `is`, `has` and `this` are not plurals.
_SAME = {
    **dict.fromkeys(("is", "are", "am", "be"), "be"),
    **dict.fromkeys(("do", "does"), "do"),
    **dict.fromkeys(("has", "have"), "have"),
    "cannot": "can not",
    "can't": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "&": "and",
    "its": "its",
    "us": "us",
    "this": "this",
    "his": "his",
    "was": "was",
    "always": "always",
    "unless": "unless",
    "less": "less",
}
_ENDINGS = {
    "n't": "not",
    "'re": "be",
    "'m": "be",
    "'ll": "will",
    "'ve": "have",
    "'d": "would",
    "'s": "be",
}


_PLURALS = {"aves": "af", "ies": "y", "sses": "ss", "xes": "x", "ches": "ch", "s": ""}
"""Endings, with what stands there in the singular; the first that fits counts."""


def tokens(text: str) -> list[str]:
    """What a text states, in order. Linear in its length."""
    composed = unicodedata.normalize("NFC", text)
    # Marks that nobody sees (soft hyphens, directions) state nothing.
    visible = "".join(
        character for character in composed if unicodedata.category(character) != "Cf"
    )
    clean = visible.casefold().replace("\u2019", "'")
    with_dates = _ISO_DATE.sub(_iso, clean)
    numbered = _spelled_numbers(_pieces(with_dates))
    # Dates first: the number in "9 May" is not an amount.
    return _amounts(_dates(numbered))


def is_number(token: str) -> bool:
    """Whether a token is a number or a date."""
    return token[:1].isdigit()


def _iso(date: re.Match[str]) -> str:
    year = date[1]
    month = int(date[2])
    if not 1 <= month <= 12:
        return date[0]
    return f"{_date(int(date[3]), month)} {year}"


def _date(day: int, month: int) -> str:
    name = _MONTHS[month - 1]
    return f"{day} {name}"


def _pieces(text: str) -> list[str]:
    found: list[str] = []
    end = -1
    for piece in _PIECE.finditer(text):
        word = piece[0]
        digits = _DIGITS.fullmatch(word)
        if digits is not None:
            found += _number(digits[1], digits[2])
        elif word in _DASHES:
            touches = piece.start() == end
            found += _dash(text, piece.start(), piece.end(), touches)
        elif word in _PER_NUMBER and found and is_number(found[-1]):
            found.append(_SPELLED.get(word, word))
        elif word not in _SILENT:
            found += _word(word)
        end = piece.end()
    return found


def _number(digits: str, rest: str) -> list[str]:
    """`9th`, `4kg` and `9` come apart; `7a` is a name, and stays whole."""
    value = digits.replace(",", "") if _THOUSANDS.fullmatch(digits) else digits
    if not rest:
        return [value]
    if rest in ("st", "nd", "rd", "th"):
        return [value, "th"]
    if rest in ("am", "pm"):
        return [value, rest]
    if rest in _SPELLED:
        return [value, _SPELLED[rest]]
    return [value + rest]


def _dash(text: str, start: int, end: int, touches: bool) -> list[str]:
    """`9-18` is `9 to 18`, `-4` is below zero, any other dash is silent."""
    if not text[end : end + 1].isdigit():
        return []
    if touches and text[start - 1].isdigit():
        return ["to"]
    return [] if touches else ["-"]


def _word(word: str) -> list[str]:
    if word in _SAME:
        return _SAME[word].split()
    if word in _BEFORE_NUMBER:
        return [word]  # `_amounts` looks for its number first
    if word in _SPELLED and word not in _PER_NUMBER:
        return [_SPELLED[word]]
    for ending, meaning in _ENDINGS.items():
        before = word.removesuffix(ending)
        if before in ("", word) or "'" in before:
            continue
        first = _SAME[before].split() if before in _SAME else [stem(before)]
        return [*first, meaning]
    return [stem(part) for part in word.split("'") if part]


def stem(word: str) -> str:
    """A word without the `s` of a plural or of the third person; nothing else is cut, `arrived` is not `arrives`."""
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or word in _SAME:
        return word
    for ending, instead in _PLURALS.items():
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word


def _spelled_numbers(found: list[str]) -> list[str]:
    """`two` is 2, `twenty-five` is 25, `a dozen` is 12."""
    numbers: list[str] = []
    after_tens = False
    for word in found:
        if after_tens and word in _ONES[1:10]:
            both = int(numbers[-1]) + _ONES.index(word)
            numbers[-1] = str(both)
            after_tens = False
            continue
        after_tens = word in _TENS
        if after_tens:
            tens = 2 + _TENS.index(word)  # the first is twenty
            numbers.append(f"{tens}0")
        elif word in _ONES:
            numbers.append(str(_ONES.index(word)))
        elif word == "dozen" and numbers[-1:] == ["a"]:
            numbers[-1] = "12"
        elif word == "an":
            numbers.append("a")
        else:
            numbers.append(word)
    return numbers


def _dates(found: list[str]) -> list[str]:
    """`9 May`, `9th of May`, `May 9` and `May the 9th` are one token; a year behind it stays a number of its own."""
    merged: list[str] = []
    at = 0
    while at < len(found):
        date, size = _day_first(found, at) or _month_first(found, at) or ("", 1)
        merged.append(date or found[at])
        at += size
    return merged


def _day_first(found: list[str], at: int) -> tuple[str, int] | None:
    if not _is_day(found[at]):
        return None
    place = at + 1
    for between in ("th", "of"):
        if _token(found, place) == between:
            place += 1
    month = _MONTH.get(_token(found, place))
    if month is None:
        return None
    date = _date(int(found[at]), month)
    return date, place + 1 - at


def _month_first(found: list[str], at: int) -> tuple[str, int] | None:
    month = _MONTH.get(found[at])
    if month is None:
        return None
    place = at + 1
    if _token(found, place) == "the":
        place += 1
    day = _token(found, place)
    if not _is_day(day):
        return None
    place += 1
    if _token(found, place) == "th":
        place += 1
    date = _date(int(day), month)
    return date, place - at


def _token(found: list[str], place: int) -> str:
    """The token at a place; empty behind the last."""
    return found[place] if place < len(found) else ""


def _is_day(word: str) -> bool:
    if not word.isdecimal() or len(word) > 2:
        return False
    return 1 <= int(word) <= 31


def _amounts(found: list[str]) -> list[str]:
    """A currency stands behind its number, whose end zeros do not count: `€4` and `4.00 euros` are the same."""
    amounts = list(found)
    for at, word in enumerate(amounts):
        if word not in _BEFORE_NUMBER:
            continue
        amounts[at] = _SPELLED[word]
        has_number = at > 0 and is_number(amounts[at - 1])
        following = _token(amounts, at + 1)
        # `€ 4` becomes `4 euro`; in `4 € 5` the first is its number.
        if is_number(following) and not has_number:
            amounts[at : at + 2] = [following, amounts[at]]
    for at, (number, unit) in enumerate(pairwise(amounts)):
        if unit in _CURRENCIES and is_number(number):
            amounts[at] = _sum_of_money(number)
    return amounts


def _sum_of_money(number: str) -> str:
    if re.fullmatch(r"\d+,\d\d?", number):
        number = number.replace(",", ".")
    if not re.fullmatch(r"\d+\.\d\d?", number):
        return number
    return number.rstrip("0").rstrip(".")
