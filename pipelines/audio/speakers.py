"""Who speaks when: a track in one of the usual forms, and one sound per speaker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError

#: A sound of a speaker begins and ends in so many seconds, so that it does not click.
FADE_S = 0.01
_LONGEST_LINE = 80

_TIME = r"(?:(?:(\d{1,5}):)?(\d{1,3}):)?(\d+(?:[.,]\d+)?)"
_CUE = re.compile(rf"^{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_PLAIN = re.compile(rf"^{_TIME}\s*(?:-|–|\s|,|;|to)\s*{_TIME}\s*[\s,;:]\s*(\S.*)$")
_VOICE = re.compile(r"^<v(?:\.[^\s>]*)?\s+([^>]+)>")
_NAMED = re.compile(r"^\s*(?:\[([^\]]{1,60})\]|\(([^)]{1,60})\)|([^:<>]{1,60}):(?:\s|$))")


@dataclass(frozen=True)
class Turn:
    """A speaker speaks. start_s, end_s: from when to when."""

    speaker: str
    start_s: float
    end_s: float


def turns_from_text(text: str) -> tuple[Turn, ...]:
    """Turns in the order of the text.

    text: lines of `0.0-2.5 Anna` (also `0:00-0:02.5 Anna`, or three columns as of Audacity's label tracks); lines of
    RTTM (`SPEAKER file 1 0.0 2.5 <NA> <NA> Anna <NA> <NA>`, onset and duration); or SRT or WebVTT whose cues begin with
    a speaker (`Anna: ...`, `[Anna] ...`, `<v Anna>...`). Empty lines and lines that begin with # do not count. Turns
    may overlap. Raises InputError, with the number of the line, for a line that is none of it or ends before it begins,
    and when there is no turn at all.
    """
    lines = [line.strip().removeprefix("\ufeff") for line in text.splitlines()]
    captions = any("-->" in line for line in lines)
    turns = tuple(_captions(lines) if captions else _lines(lines))
    if not turns:
        raise InputError(
            "The speaker track is empty. Write lines such as '0.0-2.5 Anna', or paste RTTM, SRT or WebVTT."
        )
    return turns


def _lines(lines: Sequence[str]) -> Iterator[Turn]:
    for number, line in enumerate(lines, 1):
        if not line or line.startswith(("#", ";;")):
            continue
        words = line.split()
        if words[0].isupper() and words[0] in ("SPEAKER", "LEXEME", "NON-SPEECH", "NON-LEX", "SPKR-INFO", "NOSCORE"):
            if words[0] == "SPEAKER":
                yield _rttm(number, words)
            continue
        found = _PLAIN.match(line)
        if found is None:
            raise _wrong(number, line, "it is not like '0.0-2.5 Anna'")
        yield _turn(number, line, found[7].strip(), _seconds(found, 0), _seconds(found, 3))


def _rttm(number: int, words: Sequence[str]) -> Turn:
    line = " ".join(words)
    try:
        start, length = float(words[3]), float(words[4])
        speaker = words[7]
    except (IndexError, ValueError):
        raise _wrong(number, line, "RTTM has onset and duration in columns 4 and 5, the speaker in column 8") from None
    return _turn(number, line, speaker, start, start + length)


def _captions(lines: Sequence[str]) -> Iterator[Turn]:
    for number, line in enumerate(lines, 1):
        if "-->" not in line:
            continue
        found = _CUE.match(line)
        if found is None:
            raise _wrong(number, line, "it is not like '00:00:00.000 --> 00:00:02.500'")
        said = lines[number] if number < len(lines) else ""
        named = _VOICE.match(said) or _NAMED.match(said)
        if named is None:
            raise _wrong(number + 1, said, "a cue has to begin with its speaker, such as 'Anna: ...' or '<v Anna>...'")
        speaker = next(name for name in named.groups() if name)
        yield _turn(number, line, speaker.strip(), _seconds(found, 0), _seconds(found, 3))


def _seconds(found: re.Match[str], first: int) -> float:
    hours, minutes, seconds = found[first + 1], found[first + 2], found[first + 3]
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))


def _turn(number: int, line: str, speaker: str, start_s: float, end_s: float) -> Turn:
    if not 0 <= start_s < end_s < float("inf"):
        raise _wrong(number, line, f"it begins at {start_s:g} s and ends at {end_s:g} s")
    return Turn(speaker, start_s, end_s)


def _wrong(number: int, line: str, why: str) -> InputError:
    return InputError(f"Line {number} of the speaker track cannot be used, {why}: {line[:_LONGEST_LINE]!r}.")


def speakers_of(turns: Sequence[Turn]) -> tuple[str, ...]:
    """The speakers in the order in which they begin."""
    return tuple(dict.fromkeys(turn.speaker for turn in sorted(turns, key=lambda turn: turn.start_s)))


def sound_of(waveform: Tensor, rate_hz: int, turns: Sequence[Turn], speaker: str) -> Tensor:
    """(C, N): what one speaker says, silence elsewhere.

    waveform: (C, N) float. rate_hz: samples per second. Concretely the sound times the largest gain of the speaker's
    turns, each 1 from its start to its end and fading to 0 along half a cosine within `FADE_S` outside. A speaker
    without turns is silent. Raises InputError for a turn that begins after the sound has ended.
    """
    count = waveform.shape[1]
    gain = torch.zeros(count, dtype=torch.float32)
    fade = max(round(FADE_S * rate_hz), 1)
    slope = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(fade, dtype=torch.float32) + 0.5) / fade)
    for turn in (turn for turn in turns if turn.speaker == speaker):
        # whatever lies far behind the end says no more than a second behind it
        start, end = (round(min(time_s, count / rate_hz + 1) * rate_hz) for time_s in (turn.start_s, turn.end_s))
        if start >= count:
            raise InputError(
                f"{turn.speaker} speaks from {turn.start_s:g} s to {turn.end_s:g} s, but the sound ends at "
                f"{count / rate_hz:.2f} s: the speaker track belongs to another sound."
            )
        shape = torch.cat([slope, torch.ones(end - start), slope.flip(0)])
        low, high = max(start - fade, 0), min(end + fade, count)
        part = shape[low - start + fade : high - start + fade]
        gain[low:high] = torch.maximum(gain[low:high], part)
    return waveform * gain
