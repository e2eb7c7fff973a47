"""The node that gives every speaker of a sound a sound of their own."""

from __future__ import annotations

from comfy_api.latest import io

from ..pipelines.audio.speakers import Turn, sound_of, speakers_of, turns_from_text
from ..pipelines.errors import InputError
from .reports import SHOWS_REPORT, report_output, shown
from .sounds import Audio, audio_input, number_input, waveform_of
from .speech import CATEGORY

_OUTPUTS = ("first", "second", "third", "fourth")


class SplitSpeakers(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LikenessSplitSpeakers",
            display_name="Split Speakers",
            category=CATEGORY,
            description="Gives each speaker of a conversation a sound of their own, as long as the whole, silent while "
            "others speak: one Speech To Motion each, and they talk and listen.",
            search_aliases=["diarization", "two speakers", "dialogue", "rttm", "conversation"],
            **SHOWS_REPORT,
            inputs=[
                audio_input("The conversation."),
                io.String.Input(
                    "track",
                    default="",
                    multiline=True,
                    placeholder="0.0-2.9 Anna\n2.9-6.2 Ben",
                    tooltip="Who speaks when, in s: lines as in the example, RTTM, or SRT and WebVTT whose cues begin "
                    "with a name. Turns may overlap: both get that sound.",
                ),
                io.String.Input(
                    "order",
                    default="",
                    placeholder="as they begin",
                    tooltip="Names between commas: who goes to the first output, who to the second. Empty: in the "
                    "order in which they begin to speak.",
                ),
                number_input(),
            ],
            outputs=[
                *(
                    io.Audio.Output(name, display_name=name, tooltip="Silent when there are fewer speakers.")
                    for name in _OUTPUTS
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(cls, audio: Audio, track: str, order: str, number: int) -> io.NodeOutput:
        waveform, rate_hz, several = waveform_of(audio, number)
        turns = turns_from_text(track)
        names = _ordered(turns, order)
        parts = [sound_of(waveform, rate_hz, turns, name) for name in names]
        parts += [waveform * 0] * (len(_OUTPUTS) - len(parts))
        lines = [several, *(_said(turns, name, output) for name, output in zip(names, _OUTPUTS, strict=False))]
        report = "\n".join(line for line in lines if line)
        sounds = [{"waveform": part[None], "sample_rate": rate_hz} for part in parts]
        return io.NodeOutput(*sounds, report, ui=shown(report))


def _ordered(turns: tuple[Turn, ...], order: str) -> list[str]:
    known = speakers_of(turns)
    names = [name.strip() for name in order.split(",") if name.strip()] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"The track knows no {', '.join(unknown)}; it has {', '.join(known)}.")
    if len(names) > len(_OUTPUTS):
        raise InputError(
            f"There are {len(names)} speakers ({', '.join(names)}) and {len(_OUTPUTS)} outputs: name those you want in "
            "`order`, and use a second node for the others."
        )
    return names


def _said(turns: tuple[Turn, ...], name: str, output: str) -> str:
    own = [turn for turn in turns if turn.speaker == name]
    seconds = sum(turn.end_s - turn.start_s for turn in own)
    return f"{output}: {name}, {len(own)} turn(s), {seconds:.2f} s."
