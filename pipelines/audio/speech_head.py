"""`SpeechHead`: a small network that hears phones in the features of ComfyUI's audio encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputError, WrongWeightsError
from ..face import FloatArray, as_float_array
from .encoder_features import GRIDS, EncoderFeatures, FrameGrid, require_same_sound
from .heard import ARPABET, SILENCE, STEPS_HZ, Phone
from .phone_path import Stretch, best_path, phones_of
from .progress import Watch, unwatched
from .speech import RATE_HZ, Speech
from .visemes import VISEME_OF_PHONE

#: Numbers per frame between the head's layers, and how many frames its middle layer sees at once.
HIDDEN, SPAN = 128, 5
#: A sound is encoded in pieces of this length, with this much of its neighbours on both sides.
PIECE_S, CONTEXT_S = 18, 1
#: Frames that go through the head at once: bounds its memory.
_ROWS = 2048
#: Log-probability of a phone where there is nothing to hear.
_IMPOSSIBLE = -50.0
#: (40, 40) 1 for phones that look alike on a mouth.
_ALIKE = np.equal.outer(*2 * (np.array([VISEME_OF_PHONE[phone] for phone in ARPABET]),)).astype(np.float32)

Encode = Callable[[NDArray[np.float32]], EncoderFeatures]


@dataclass(frozen=True)
class HeadCard:
    """What a head is for and where it comes from.

    encoder: kind of its encoder, of `GRIDS`. width: numbers per frame and layer. depth: layers of the encoder's
    output. layers: those it takes, ascending. language: of the speech it was trained on, such as "en". licence,
    consent: of that speech, in words. trained_on_sha256: one hash of all of it. trained_on_s: seconds of it.
    accuracy: share of frames right on speech that was held out, 0 to 1.
    """

    encoder: str
    width: int
    depth: int
    layers: tuple[int, ...]
    language: str = "en"
    licence: str = ""
    consent: str = ""
    trained_on_sha256: str = ""
    trained_on_s: float = 0.0
    accuracy: float = 0.0

    def __post_init__(self) -> None:
        inside = all(0 <= layer < self.depth for layer in self.layers)
        if self.encoder not in GRIDS or self.width < 1 or not self.layers or not inside:
            raise InputError(
                f"A head for layers {self.layers} of {self.depth} of {self.encoder!r} with {self.width} numbers each "
                f"cannot be: the encoders are {', '.join(GRIDS)}."
            )

    @property
    def grid(self) -> FrameGrid:
        """When the frames of its encoder are."""
        return GRIDS[self.encoder]

    def describe(self) -> str:
        """One line for reports."""
        return (
            f"{self.encoder} of {self.depth} layers of {self.width}, taking {', '.join(map(str, self.layers))}; "
            f"trained on {self.trained_on_s / 60:.1f} min ({self.language}, {self.licence or 'licence not stated'}), "
            f"{self.accuracy:.0%} of the frames held out heard right"
        )


class HeadNetwork(nn.Module):
    """Features to the logits of `ARPABET`: standardised, projected, mixed over 5 frames.

    mean, scale: (inputs,) of the features it was trained on, and 1 / deviation.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.project = nn.Linear(inputs, hidden)
        self.mix = nn.Conv1d(hidden, hidden, SPAN, padding=SPAN // 2)
        self.out = nn.Linear(hidden, len(ARPABET))
        self.dropout = nn.Dropout(0.2)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, inputs) to (B, T, 40)."""
        return self.mixed(self.projected(features))

    def projected(self, features: Tensor) -> Tensor:
        """(..., inputs) to (..., hidden): the part that looks at one frame only."""
        return nn.functional.gelu(self.project((features - self.mean) * self.scale))

    def mixed(self, hidden: Tensor) -> Tensor:
        """(B, T, hidden) to (B, T, 40)."""
        around = nn.functional.gelu(self.mix(self.dropout(hidden).transpose(1, 2))).transpose(1, 2)
        logits: Tensor = self.out(self.dropout(around + hidden))
        return logits


@dataclass(frozen=True, eq=False)
class SpeechHead:
    """A head with all it needs. card: what it is for. network: on the CPU, where it takes a hundredth of the sound's
    length. follows: (40, 40) score of each phone after each other one. encode: turns samples at 16 kHz into features;
    None where the features come with the sound.
    """

    card: HeadCard
    network: HeadNetwork
    follows: FloatArray = field(default_factory=lambda: np.zeros((len(ARPABET), len(ARPABET)), np.float32))
    encode: Encode | None = None

    def phones(
        self,
        speech: Speech,
        features: EncoderFeatures | None = None,
        quiet: NDArray[np.bool_] | None = None,
        watch: Watch = unwatched,
    ) -> tuple[Phone, ...]:
        """The phones of a speech, without gaps from 0 to its end; their trust is that of `phones_along`.

        The arguments and what is raised are those of `step_logs`.
        """
        logs = self.step_logs(speech, features, quiet, watch)
        return phones_along(best_path(logs, self.follows), logs, speech.duration_s)

    def step_logs(
        self,
        speech: Speech,
        features: EncoderFeatures | None = None,
        quiet: NDArray[np.bool_] | None = None,
        watch: Watch = unwatched,
    ) -> FloatArray:
        """(steps, 40) log-probability of each phone at each step of 10 ms of a speech.

        features: of the whole sound; None encodes it here piece by piece, whatever its length. quiet: (steps,) where
        there is nothing to hear, which is silence whatever the head says. watch: makes the progress bar. Raises
        InputError when there is neither features nor an encoder or they are of another sound, WrongWeightsError when
        the head is for another encoder.
        """
        if features is not None:
            require_same_sound(features, speech)
            logs = self.log_probabilities(features)[: features.heard_frames]
        elif self.encode is not None:
            logs = np.concatenate(list(self._piecewise(speech, self.encode, watch)))
        else:
            raise InputError(
                "The speech head has nothing to listen to: connect Load Audio Encoder to Load Speech Head, or the "
                "output of Audio Encoder Encode beside the head."
            )
        steps = on_steps(logs, self.card.grid, speech.duration_s)
        if quiet is not None:
            steps[quiet] = np.where(np.arange(len(ARPABET)) == ARPABET.index(SILENCE), 0, _IMPOSSIBLE)
        return steps

    def log_probabilities(self, features: EncoderFeatures) -> FloatArray:
        """(T, 40) log-probability of each phone in each frame.

        Raises WrongWeightsError when the features are another encoder's, InputError when they are not finite.
        """
        self._require_fitting(features)
        with torch.inference_mode():
            hidden = torch.cat([self.network.projected(rows) for rows in self._rows(features)])
            logits = self.network.mixed(hidden[None])[0]
            if not torch.isfinite(logits).all():
                raise InputError(
                    "The audio encoder's features are NaN or infinite: run ComfyUI with --fp32-text-enc, or take "
                    "another file of the encoder."
                )
            return as_float_array(logits.log_softmax(-1).numpy())

    def _rows(self, features: EncoderFeatures) -> Iterator[Tensor]:
        chosen = [features.layers[index] for index in self.card.layers]
        for start in range(0, len(chosen[0]), _ROWS):
            pieces = [layer[start : start + _ROWS].to("cpu", torch.float32) for layer in chosen]
            yield torch.cat(pieces, 1)

    def _require_fitting(self, features: EncoderFeatures) -> None:
        card = self.card
        got = (features.grid.name, features.width, len(features.layers))
        if got != (card.encoder, card.width, card.depth):
            raise WrongWeightsError(
                f"The speech head is for {card.encoder} with {card.depth} layers of {card.width} numbers; the audio "
                f"encoder is {got[0]} with {got[2]} layers of {got[1]}. Load the encoder that the head was trained "
                "with, or train a head for this one: tools/train_speech_head.py."
            )

    def _piecewise(self, speech: Speech, encode: Encode, watch: Watch) -> Iterator[FloatArray]:
        """Log-probabilities piece after piece, on the frames that the whole sound has."""
        grid = self.card.grid
        samples = np.pad(speech.samples, (0, max(grid.window - len(speech.samples), 0)))
        cuts = list(pieces(len(samples), grid))
        bar = watch(len(cuts))
        for start, stop, first, last in cuts:
            features = encode(samples[start:stop])
            end = (last - start) // grid.hop if last < len(samples) else features.heard_frames
            yield self.log_probabilities(features)[(first - start) // grid.hop : end]
            bar.update()


def pieces(samples: int, grid: FrameGrid) -> Iterator[tuple[int, int, int, int]]:
    """How a sound is encoded in pieces: (start, stop) to encode, (first, last) of it to keep; all in samples.

    What is kept tiles the sound; pieces begin on frames of the whole sound, so that times stay what they are.
    """
    kept, context = PIECE_S * RATE_HZ, CONTEXT_S * RATE_HZ
    kept, context = kept - kept % grid.hop, context - context % grid.hop
    cuts = [*range(0, max(samples - context, 1), kept), samples]
    for first, last in pairwise(cuts):
        yield max(first - context, 0), min(last + context, samples), first, last


def on_steps(logs: FloatArray, grid: FrameGrid, duration_s: float) -> FloatArray:
    """Log-probabilities (T, P) of frames, read at the middle of each step of 10 ms: (steps, P).

    Linear between the middles of two frames; before the first and after the last one it stays what it is there.
    """
    steps = max(round(duration_s * STEPS_HZ), 1)
    place = ((np.arange(steps) + 0.5) / STEPS_HZ * RATE_HZ - grid.first) / grid.hop
    place = place.clip(0, len(logs) - 1)
    below = np.minimum(place.astype(np.int64), max(len(logs) - 2, 0))
    above, share = np.minimum(below + 1, len(logs) - 1), (place - below)[:, None]
    return as_float_array((1 - share) * logs[below] + share * logs[above])


def phones_along(path: tuple[Stretch, ...], logs: FloatArray, duration_s: float) -> tuple[Phone, ...]:
    """A path through log-probabilities (steps, 40) as phones from 0 to the end.

    The trust of each is the mean probability that it, or a phone that looks like it, is heard.
    """
    return phones_of(path, np.exp(logs) @ _ALIKE, duration_s)


def mean_trust(phones: Sequence[Phone]) -> float:
    """0 to 1: the trust of phones that are no silence, weighted by their length; of silence where there is no other."""
    voiced = [phone for phone in phones if phone.name != SILENCE] or list(phones)
    lengths = np.array([phone.end_s - phone.start_s for phone in voiced])
    return float(np.average([phone.trust for phone in voiced], weights=lengths)) if voiced else 0.0
