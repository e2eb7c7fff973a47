"""What was heard, in words for the artist."""

from __future__ import annotations

from .heard import SILENCE, UNDERSTOOD, Heard

#: Phones that a report spells out.
_SPELLED = 40
#: Places that a report names.
_PLACES = 4


def describe_heard(heard: Heard) -> str:
    """Which backend listened and why, how long the sound is, its phones in short, and what was not understood."""
    lines = list(heard.said)
    sounds = [phone for phone in heard.phones if phone.name != SILENCE]
    if not heard.phones:
        moving = float((heard.opening > 0.1).mean())
        lines.append(
            f"{heard.duration_s:.2f} s; by its loudness the mouth is open in {100 * moving:.0f} % of the time."
        )
    elif not sounds:
        lines.append(f"{heard.duration_s:.2f} s without a sound of speech: the mouth stays at rest.")
    else:
        spoken = sum(phone.end_s - phone.start_s for phone in sounds)
        more = " ..." if len(sounds) > _SPELLED else ""
        spelled = " ".join(phone.name for phone in sounds[:_SPELLED])
        lines.append(
            f"{heard.duration_s:.2f} s, {spoken:.2f} s of it spoken: {len(sounds)} sounds. Heard: {spelled}{more}"
        )
        lines += _doubts(heard)
    return "\n".join(lines)


def _doubts(heard: Heard) -> list[str]:
    """Where phones were not understood, as stretches of time."""
    stretches: list[tuple[float, float]] = []
    for phone in heard.phones:
        if phone.name == SILENCE or phone.trust >= UNDERSTOOD:
            continue
        if stretches and phone.start_s - stretches[-1][1] < 0.05:
            stretches[-1] = (stretches[-1][0], phone.end_s)
        else:
            stretches.append((phone.start_s, phone.end_s))
    if not stretches:
        return []
    total = sum(end - start for start, end in stretches)
    places = ", ".join(f"{start:.2f} to {end:.2f} s" for start, end in stretches[:_PLACES])
    more = f" and {len(stretches) - _PLACES} more" if len(stretches) > _PLACES else ""
    return [f"Hardly understood: {total:.2f} s ({places}{more}); the mouth follows loudness there."]
