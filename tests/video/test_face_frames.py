"""A video whose faces are changed: who becomes whom by likeness, frames without a face, resume, the real swap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.benchmarks.clips import Placed, clip_of, photos
from likeness.pipelines.errors import EncoderMismatchError, InputError
from likeness.pipelines.face import FloatArray, TrackedFrame
from likeness.pipelines.identity.analysis import FaceAnalysis, load_embedded_analysis
from likeness.pipelines.identity.build import build_identity
from likeness.pipelines.identity.finder import FaceFinder
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.identity.select import embed_faces
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap import SWAPPERS, SwapOptions
from likeness.pipelines.swap.tracked import TrackedSwap
from likeness.pipelines.video.face_frames import EachTracked, FaceFrames
from likeness.pipelines.video.face_tracks import FaceTracks, describe_people
from likeness.pipelines.video.processing import Frame
from likeness.pipelines.video.steady import Smoothing
from likeness.pipelines.video.stream import process_video
from likeness.tests.video.drawn import BLUE, GREEN, RED, Colours, Discs, packets, picture, write_video
from likeness.tests.video.streaming import FAST, Interrupted, Stops


class Paint:
    """Paints a square onto everybody who is one of the people, given by their colours, and counts in the first rows."""

    def __init__(self, *people: tuple[float, float, float], batch: int = 1) -> None:
        self.people, self.batch, self.count = np.array(people), batch, 0
        self.sizes: list[int] = []
        self.painted: list[list[tuple[int, int]]] = []

    def choose(self, vectors: FloatArray, taken: frozenset[int]) -> Sequence[int]:
        away = np.linalg.norm(vectors[:, None] - self.people[None], axis=2)
        return [int(row.argmin()) if row.min() < 0.3 and row.argmin() not in taken else -1 for row in away]

    def change(self, frames: Sequence[TrackedFrame]) -> Sequence[Tensor]:
        self.sizes.append(len(frames))
        return [self.paint(frame) for frame in frames]

    def paint(self, frame: TrackedFrame) -> Tensor:
        changed = frame.picture.clone()
        self.painted.append([(face.track, who) for face, who in frame.people])
        for face, who in frame.people:
            x, y = (int(value) for value in face.center)
            changed[y - 4 : y + 5, x - 4 : x + 5] = 0.3 * (who + 1)
        changed[:2] = self.count / 100
        self.count += 1
        return changed

    def state(self) -> dict[str, np.ndarray]:
        return {"count": np.array([self.count])}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.count = int(state["count"][0])


def clip(count: int = 40) -> list[Tensor]:
    """Red and blue cross, nobody is there for a while, then blue and green."""
    places = [
        [(20 + 3.5 * k, 40, 10, BLUE), (140 - 3.5 * k, 62, 10, RED)] if k < 24
        else [] if k < 30
        else [(40, 40, 10, GREEN), (110, 50, 10, BLUE)]
        for k in range(count)
    ]  # fmt: skip
    return [picture(place) for place in places]


def discs(work: Paint) -> FaceFrames:
    return FaceFrames(FaceTracks(Discs(), Colours(), choose=work.choose), work)


def feed(processor: FaceFrames, frames: Sequence[Tensor]) -> list[Tensor]:
    pushed = [Frame(picture, k, 0.04 * k) for k, picture in enumerate(frames)]
    return [done for frame in pushed for done in processor.push(frame)] + list(processor.finish())


def test_people_are_known_by_likeness_and_frames_without_them_pass_as_they_are() -> None:
    frames, stage = clip(), Paint(RED, BLUE)
    processor = discs(stage)
    done = feed(processor, frames)
    assert len(done) == 40
    assert [a is b for a, b in zip(done[24:30], frames[24:30], strict=True)] == [True] * 6
    whos = {track: who for painted in stage.painted for track, who in painted}
    assert whos == {0: 0, 1: 1}  # the detector gives red first
    assert len(stage.painted) == 34
    assert processor.tracks.who() == {0: 0, 1: 1, 2: -1}
    report = describe_people(processor.tracks, ["Ada", "Bea"])
    assert report.splitlines()[0] == "3 person(s) tracked; 6 frame(s) without a face passed unchanged."
    assert "track 1, 34 frame(s): Bea" in report and "track 2, 10 frame(s): unchanged" in report


@pytest.mark.parametrize("batch", [1, 4])
def test_an_interrupted_video_of_faces_goes_on_with_the_same_people_and_the_same_bytes(
    tmp_path: Path, batch: int
) -> None:
    source = write_video(tmp_path / "in.mp4", clip())

    def run(name: str, at: int | None) -> Path:
        progress = TorchRuntime().progress if at is None else Stops(at)
        processor = discs(Paint(RED, BLUE, batch=batch))
        return process_video(source, tmp_path / name, processor, progress, "job", None, FAST, 9).path

    whole = run("whole.mp4", None)
    for at in (14, 30):  # in the crossing, and where nobody is
        with pytest.raises(Interrupted):
            run("out.mp4", at)
    assert packets(run("out.mp4", None), "video") == packets(whole, "video")


def test_a_work_gets_as_many_frames_at_once_as_it_likes_and_frames_without_people_keep_their_place() -> None:
    frames = clip()
    one, many = Paint(RED, BLUE), Paint(RED, BLUE, batch=7)
    alone, together = feed(discs(one), frames), feed(discs(many), frames)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert set(one.sizes) == {1} and many.sizes[0] == 7 and sum(many.sizes) == 34


def test_a_function_of_tracked_frames_is_a_work_and_sees_times_and_cuts() -> None:
    seen: list[TrackedFrame] = []

    def look(frames: Sequence[TrackedFrame]) -> list[Tensor]:
        seen.extend(frames)
        return [frame.picture for frame in frames]

    frames = [picture([(60, 40, 12, RED)])] * 10 + [picture([(90, 50, 12, RED)], shade=0.5).flip(0)] * 10
    frames[10:] = [(1 - frame) * 0.2 + frame * 0.8 for frame in frames[10:]]
    done = feed(FaceFrames(FaceTracks(Discs(), Colours()), EachTracked(look, batch=3)), frames)
    assert all(a is b for a, b in zip(done, frames, strict=True))
    assert [frame.index for frame in seen] == list(range(20))
    assert [frame.time_s for frame in seen] == [0.04 * k for k in range(20)]
    assert [frame.index for frame in seen if frame.cut] == [10]
    assert {who for frame in seen for who in frame.who} == {0}


@pytest.fixture(scope="module")
def analysis() -> FaceAnalysis:
    return load_embedded_analysis(Registry(TorchRuntime()))


@pytest.fixture(scope="module")
def people(analysis: FaceAnalysis) -> dict[str, Identity]:
    return {name: build_identity(analysis, [photo], name, "")[0] for name, photo in photos().items()}


def swap(analysis: FaceAnalysis, new: Sequence[Identity], old: Sequence[Identity]) -> TrackedSwap:
    swapper = SWAPPERS[0].load(Registry(TorchRuntime()))
    return TrackedSwap(swapper, tuple(new), tuple(old), analysis.recogniser, SwapOptions())


def swapping(analysis: FaceAnalysis, work: TrackedSwap, smoothing: Smoothing = "zero_lag") -> FaceFrames:
    return FaceFrames(FaceTracks(FaceFinder(analysis), analysis.recogniser, smoothing, work.choose), work)


def test_only_the_person_that_was_named_is_swapped_and_steadily_so(
    analysis: FaceAnalysis, people: dict[str, Identity]
) -> None:
    places = [(Placed("hopper", 170, 180, 130), Placed("astronaut", 470, 180, 130))] * 9
    frames = list(clip_of(places, [4] * 9, noise=0.01).frames)
    stage = swap(analysis, [people["astronaut"]], [people["hopper"]])
    done = torch.stack(feed(swapping(analysis, stage), frames))
    given = torch.stack(frames)
    assert torch.equal(done[:, :, 320:], given[:, :, 320:])
    faces = analysis.detect(done[4:5])
    raw = embed_faces(faces, done[4:5], analysis.recogniser)
    left = int(np.argmin([face.center[0] for _, face in faces]))
    distances = {
        name: analysis.recogniser.distance(raw[left], person.raw(analysis.recogniser.name))
        for name, person in people.items()
    }
    assert distances["astronaut"] < 0.5 < distances["hopper"]
    # flicker: what changes from frame to frame in the swapped face is no more than the camera's noise does
    change, noise = (x[:, 90:270, 80:260].diff(dim=0).abs().mean() for x in (done, given))
    assert change < 1.1 * noise
    changed = (done != given).any(-1)
    edge = changed[1:] ^ changed[:-1]
    assert (edge.sum((1, 2)) < 0.03 * changed[1:].sum((1, 2))).all()


def test_a_face_half_outside_the_picture_is_swapped_without_a_word(
    analysis: FaceAnalysis, people: dict[str, Identity]
) -> None:
    places = [(Placed("hopper", 640 - 20 * k, 180, 150),) for k in range(4)]
    frames = list(clip_of(places, [4] * 4).frames)
    stage = swap(analysis, [people["astronaut"]], [])
    done = feed(swapping(analysis, stage, "none"), frames)
    assert [frame.shape for frame in done] == [frame.shape for frame in frames]
    assert torch.isfinite(torch.stack(done)).all()


def test_identities_and_people_must_be_as_many_and_encoded_alike(
    analysis: FaceAnalysis, people: dict[str, Identity]
) -> None:
    ada, bea = people["astronaut"], people["hopper"]
    with pytest.raises(InputError, match="2 identities and 0 people"):
        swap(analysis, [ada, bea], [])
    with pytest.raises(InputError, match="1 identities and 2 people"):
        swap(analysis, [ada], [ada, bea])
    with pytest.raises(InputError, match="no identity"):
        swap(analysis, [], [])
    foreign = EncodedReferences("other", "CC0", ada.vectors[0].raw)
    other = Identity(ada.name, ada.crops, ada.landmarks, ada.weights, (foreign,), "", ada.sources_sha256)
    with pytest.raises(EncoderMismatchError, match="'other'|other"):
        swap(analysis, [bea], [other])


def test_two_tracks_are_never_the_same_person_and_nobody_unlikely_is_anyone(
    analysis: FaceAnalysis, people: dict[str, Identity]
) -> None:
    stage = swap(analysis, [people["hopper"], people["astronaut"]], [people["astronaut"], people["hopper"]])
    ada, bea = (people[name].raw(analysis.recogniser.name) for name in ("astronaut", "hopper"))
    assert list(stage.choose(np.stack([bea, ada]), frozenset())) == [1, 0]
    assert list(stage.choose(np.stack([ada, ada * 0.98]), frozenset())) in ([0, -1], [-1, 0])
    assert list(stage.choose(ada[None], frozenset({0}))) == [-1]


def test_of_twelve_faces_two_become_the_two_identities_and_ten_stay(
    analysis: FaceAnalysis, people: dict[str, Identity]
) -> None:
    shown = [("astronaut", 90), ("hopper", 90)] + [("astronaut", 44), ("hopper", 46)] * 5
    columns = [(70 + 100 * (k % 6), 80 + 180 * (k // 6)) for k in range(12)]
    placed = tuple(Placed(who, x, y, size) for (who, size), (x, y) in zip(shown, columns, strict=True))
    frames = list(clip_of([placed] * 2, [4] * 2, noise=0.0).frames)
    names = ("astronaut", "hopper")
    work = swap(analysis, [people["hopper"], people["astronaut"]], [people[name] for name in names])
    processor = swapping(analysis, work, "none")
    done = feed(processor, frames)
    who = processor.tracks.who()
    assert len(who) == 12 and sorted(who.values()) == [-1] * 10 + [0, 1]
    changed = (done[1] != frames[1]).any(-1).numpy()
    spots = [bool(changed[y - 20 : y + 20, x - 15 : x + 15].any()) for x, y in columns]
    assert sum(spots) == 2
    report = describe_people(processor.tracks, ["Grace", "Eileen"])
    assert report.count("unchanged") == 11 and report.count(": Grace") == report.count(": Eileen") == 1
