"""A text as words that are said: numbers, dates, money and signs spelled out, punctuation gone (English)."""

from __future__ import annotations

import re
import unicodedata

ONES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """.split()
TENS = ("", "", *"twenty thirty forty fifty sixty seventy eighty ninety".split())
THOUSANDS = ("", "thousand", "million", "billion", "trillion")
ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
SIGNS = {"&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals", "°": "degrees", "#": "number"}
MONEY = {"$": ("dollar", "cents"), "£": ("pound", "pence"), "€": ("euro", "cents")}
SHORT = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "vs": "versus", "etc": "etcetera"}
#: Larger numbers are read digit by digit.
MOST = 10**15
#: Longer rows of digits are no amounts; Python makes no number of more than some thousand.
_MOST_DIGITS = 1000

_TOKEN = re.compile(
    r"(?P<money>[$£€])?(?P<number>\d+(?:,\d{3})+|\d+)(?P<part>\.\d+)?(?P<end>st|nd|rd|th|s)?(?![^\W\d_])"
    r"|(?P<sign>[&%@+=°#])|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*\.?)|(?P<digits>\d)",
    re.IGNORECASE,
)


def words_of(text: str) -> list[str]:
    """The words of a text in the order they are said.

    text: any. Concretely lower-case words with apostrophes, accents taken off Latin letters, other alphabets as they
    are; capitals that stand for letters (BBC) stay capitals; hyphens and other punctuation divide words.
    """
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_ACCENTS))
    found = list[str]()
    for token in _TOKEN.finditer(plain.replace("’", "'")):
        if token["word"]:
            found.append(_word(token["word"]))
        elif token["sign"]:
            found.append(SIGNS[token["sign"]])
        elif token["digits"]:
            found.append(ONES[int(token["digits"])])
        else:
            found += _amount(token["money"], token["number"].replace(",", ""), token["part"], token["end"])
    return found


_ACCENTS = {code: None for code in range(0x300, 0x370)}


def _word(word: str) -> str:
    bare = word.rstrip(".")
    if word.endswith(".") and bare.lower() in SHORT:
        return SHORT[bare.lower()]
    return bare if bare.isupper() and 1 < len(bare) <= 5 else bare.lower()


def _amount(money: str | None, number: str, part: str | None, end: str | None) -> list[str]:
    if len(number) > _MOST_DIGITS:
        return _digits(number)
    if money:
        unit, cents = MONEY[money]
        words = [*number_words(int(number)), unit if int(number) == 1 and not part else f"{unit}s"]
        return [*words, *(["and", *number_words(int(part[1:3].ljust(2, "0"))), cents] if part else [])]
    if part:
        return [*number_words(int(number)), "point", *(ONES[int(digit)] for digit in part[1:])]
    if end and end.lower() != "s":
        return ordinal_words(int(number))
    words = year_words(number) if len(number) == 4 else []
    words = words or (number_words(int(number)) if number[0] != "0" or number == "0" else _digits(number))
    if end:
        words[-1] = f"{words[-1][:-1]}ies" if words[-1].endswith("y") else f"{words[-1]}s"
    return words


def _digits(number: str) -> list[str]:
    return [ONES[int(digit)] for digit in number]


def number_words(number: int) -> list[str]:
    """A whole number from 0 in words: 342 -> three hundred forty two."""
    if number >= MOST:
        return _digits(str(number))
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10], *([ONES[number % 10]] if number % 10 else [])]
    if number < 1000:
        return [ONES[number // 100], "hundred", *(number_words(number % 100) if number % 100 else [])]
    power = max(index for index in range(len(THOUSANDS)) if number >= 1000**index)
    rest = number % 1000**power
    return [*number_words(number // 1000**power), THOUSANDS[power], *(number_words(rest) if rest else [])]


def ordinal_words(number: int) -> list[str]:
    """A rank in words: 21 -> twenty first."""
    *before, last = number_words(number)
    if last in ORDINALS:
        return [*before, ORDINALS[last]]
    return [*before, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"]


def year_words(number: str) -> list[str]:
    """Four digits as a year: 1984 -> nineteen eighty four; nothing for what is said as a number (2005, 3000)."""
    century, year = int(number[:2]), int(number[2:])
    if not 11 <= century <= 20 or (century == 20 and year < 10):
        return []
    tail = ["hundred"] if year == 0 else ["oh", ONES[year]] if year < 10 else number_words(year)
    return [*number_words(century), *tail]
