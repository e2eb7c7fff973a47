"""How words are said: from the dictionary that comes with the acoustic model, else by the rules of spelling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .heard import ARPABET
from .letter_sounds import sounds_of

#: Numbers of `ARPABET`, in order.
Sounds = tuple[int, ...]
NUMBER = {name: index for index, name in enumerate(ARPABET)}
#: Ways to say a word that are tried.
MOST_WAYS = 4


@dataclass(frozen=True)
class Word:
    """A word of a text. ways: how it may be said, the most usual first; at least one."""

    text: str
    ways: tuple[Sounds, ...]


def pronounced(words: Iterable[str], dictionary: Path) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    """The words that can be said, in order, and those that cannot (other alphabets than Latin).

    words: as `words_of` gives them. dictionary: lines of a word, its variants as word(2), and its phones.
    """
    listed = list(words)
    known = _ways({word.lower() for word in listed}, dictionary)
    said, unsayable = list[Word](), list[str]()
    for word in listed:
        ways = known.get(word.lower(), ())[:MOST_WAYS]
        if not ways or (word.isupper() and len(word) > 1 and word not in ("I", "A")):
            by_rule = tuple(NUMBER[name] for name in sounds_of(word))
            ways = (*ways, by_rule) if by_rule else ways
        if ways:
            said.append(Word(word, ways))
        else:
            unsayable.append(word)
    return tuple(said), tuple(unsayable)


def _ways(wanted: set[str], dictionary: Path) -> dict[str, tuple[Sounds, ...]]:
    """Word -> its ways in the dictionary, those that are there."""
    text = b"\n" + dictionary.read_bytes() if wanted else b""
    found = dict[str, tuple[Sounds, ...]]()
    for word in wanted:
        entry = b"\n" + word.encode()
        begin, ways = text.find(entry + b" "), list[Sounds]()
        # the variants word(2), word(3) stand in the lines behind it
        while begin >= 0:
            end = text.find(b"\n", begin + 1)
            ways.append(tuple(NUMBER[name] for name in text[begin:end].decode("ascii").split()[1:]))
            begin = end if text.startswith(entry + b"(", end) else -1
        if ways:
            found[word] = tuple(ways)
    return found
