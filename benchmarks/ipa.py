"""Sounds of other languages as the mouth shows them: the nearest English phone of each IPA symbol."""

from __future__ import annotations

import unicodedata

from ..pipelines.audio.heard import SILENCE

_NEAREST = {
    symbol: phone
    for phone, symbols in {
        "P": "p", "B": "b", "M": "m", "F": "f", "V": "vβʋ", "TH": "θ", "DH": "ð", "T": "t", "D": "dɾ", "N": "nɲ",
        "S": "s", "Z": "z", "SH": "ʃçʂɕ", "ZH": "ʒʐʑ", "K": "kxcʔ", "G": "ɡgɣ", "NG": "ŋ", "HH": "h", "Y": "jɥʝ",
        "L": "lɫʎɬ", "R": "ɹrʁʀ", "W": "w", "IY": "i", "IH": "ɪɨɘᵻɯ", "EY": "e", "EH": "ɛ", "AE": "æ", "AA": "aɑɒ",
        "AH": "ɐʌəɤ", "ER": "ɜɚɝ", "AO": "ɔœ", "OW": "o", "UH": "ʊʏɵ", "UW": "uyø",
    }.items()
    for symbol in symbols
}  # fmt: skip
_DIPHTHONGS = {
    "tʃ": "CH", "tɕ": "CH", "dʒ": "JH", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "ɔø": "OY", "ɔʏ": "OY", "eɪ": "EY",
    "oʊ": "OW", "əʊ": "OW",
}  # fmt: skip


def arpabet_of(name: str) -> tuple[str, ...]:
    """The phones of a sound named in IPA with any marks, silence where it has no symbol that is known."""
    plain = "".join(symbol for symbol in unicodedata.normalize("NFD", name) if symbol in _NEAREST)
    if plain in _DIPHTHONGS:
        return (_DIPHTHONGS[plain],)
    return tuple(_NEAREST[symbol] for symbol in plain) or (SILENCE,)
