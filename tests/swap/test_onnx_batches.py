"""Faces of pictures and of a video go through a network together as far as it allows, and come out as if alone."""

import numpy as np
import onnx
import pytest
import torch

from likeness.pipelines.errors import CancelledError, WrongWeightsError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.swap import SWAPPERS, SwapOptions, swap_faces, swapper_named
from likeness.pipelines.swap.tracked import TrackedSwap
from likeness.pipelines.video.face_frames import FaceFrames
from likeness.pipelines.video.face_tracks import FaceTracks
from likeness.pipelines.video.processing import Frame
from likeness.pipelines.video.stream import process_video
from likeness.tests.swap.onnx_stand_ins import (
    ENTRIES,
    loaded,
    person_with,
    picture,
    place_of,
    put_files,
    registry_in,
    save,
    save_converter,
    sparse_face,
    unknown_person,
)
from likeness.tests.video.drawn import BLUE, RED, Colours, Discs, packets, write_video
from likeness.tests.video.drawn import picture as drawn
from likeness.tests.video.streaming import FAST, Interrupted, Stops


@pytest.fixture(scope="module")
def person():
    return person_with(unknown_person())


def counted(swapper, calls=None):
    """The members of every call of its network, once it is used."""
    calls = [] if calls is None else calls
    run = swapper._network.run
    swapper._network.run = lambda values: calls.append(len(values["target"])) or run(values)
    return calls


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_four_faces_of_a_network_that_takes_three_at_once_come_out_as_one_by_one(entry, person, tmp_path):
    together, alone = loaded(entry, tmp_path / "three", 3), loaded(entry, tmp_path / "one", 1)
    images = picture()
    pairs = [(index, sparse_face(scale), person) for index in (0, 1) for scale in (0.2, 0.3)]
    calls = counted(together), counted(alone)
    results = [swap_faces(swapper, images, pairs, SwapOptions(boost=1)) for swapper in (together, alone)]
    assert calls == ([3, 3], [1, 1, 1, 1])
    assert torch.equal(results[0].masks, results[1].masks)
    assert torch.allclose(results[0].images, results[1].images, atol=1e-6)


NOTHING_BUT_THE_TARGET = [onnx.helper.make_node("Identity", ["target"], ["output"])]


def test_a_source_of_a_fixed_batch_decides_where_the_target_is_free(person, tmp_path):
    entry = swapper_named("hyperswap_1a_256")
    put_files(entry, tmp_path)
    inputs = {"target": ["n", 3, 256, 256], "source": [2, 512]}
    save(place_of(entry.name, tmp_path), inputs, NOTHING_BUT_THE_TARGET, {})
    swapper = entry.load(registry_in(tmp_path))
    calls = counted(swapper)
    swap_faces(swapper, picture(), [(0, sparse_face(), person)] * 3, SwapOptions(boost=1))
    assert calls == [2, 2] and swapper.batch == 2


def test_a_network_whose_inputs_take_different_numbers_at_once_is_refused(tmp_path):
    entry = swapper_named("hyperswap_1a_256")
    put_files(entry, tmp_path)
    inputs = {"target": [3, 3, 256, 256], "source": [2, 512]}
    save(place_of(entry.name, tmp_path), inputs, NOTHING_BUT_THE_TARGET, {})
    with pytest.raises(WrongWeightsError, match=r"target \(3, 3, 256, 256\).*source \(2, 512\)"):
        entry.load(registry_in(tmp_path))


def test_a_converter_that_takes_four_at_once_gives_what_one_for_one_gives(person, tmp_path):
    entry = swapper_named("ghost_1_256")
    put_files(entry, tmp_path)
    expected = entry.source(registry_in(tmp_path))(person)
    save_converter(place_of("crossface_ghost", tmp_path), batch=4)
    assert np.array_equal(entry.source(registry_in(tmp_path))(person), expected)


def test_swappers_ask_for_as_many_frames_of_a_video_as_they_gain_from(tmp_path):
    entry = swapper_named("hyperswap_1a_256")
    asked = {batch: loaded(entry, tmp_path / str(batch), batch).batch for batch in (1, 3, 64, "batch")}
    assert asked == {1: 1, 3: 3, 64: 4, "batch": 4}
    assert SWAPPERS[0].load(registry_in(tmp_path)).batch == 1, "the mesh swapper works face by face"


def clip(count, empty=()):
    """Two people side by side, who move; nobody is there in some frames."""
    return [drawn([] if k in empty else [(40 + k, 40, 12, RED), (110, 55 - k, 11, BLUE)]) for k in range(count)]


def in_video(swapper, person):
    """A processor as Swap Faces in Video makes it: one identity onto everybody."""
    work = TrackedSwap(swapper, (person,), (), Colours(), SwapOptions(boost=1))
    return FaceFrames(FaceTracks(Discs(), Colours(), "none", work.choose), work)


def fed(processor, frames):
    """All pictures that come back, and how many frames were inside at most."""
    done, inside = [], 0
    for index, frame in enumerate(frames):
        done += processor.push(Frame(frame, index, 0.04 * index))
        inside = max(inside, index + 1 - len(done))
    return [*done, *processor.finish()], inside


def test_the_faces_of_four_frames_go_through_a_network_of_free_batch_together(person, tmp_path):
    entry = swapper_named("inswapper_128")
    free, alone = loaded(entry, tmp_path / "free", "batch"), loaded(entry, tmp_path / "one", 1)
    calls = counted(free), counted(alone)
    without = {10, 11, 12}
    frames = clip(13, without)
    (together, inside), (one_by_one, inside_alone) = (fed(in_video(s, person), frames) for s in (free, alone))
    assert calls == ([8, 8, 4], [1] * 20), "two people in four frames at once"
    assert (inside, inside_alone) == (3, 0), "frames in flight"
    assert len(together) == len(one_by_one) == 13
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(together, one_by_one, strict=True))
    assert {k for k in range(13) if together[k] is frames[k]} == without
    changed = [float((a - b).abs().max()) for a, b in zip(together, frames, strict=True)]
    assert {k for k in range(13) if changed[k] < 0.02} == without


def test_progress_counts_every_frame_and_an_interrupt_within_four_frames_goes_on_with_the_same_bytes(person, tmp_path):
    source = write_video(tmp_path / "in.mp4", clip(10))
    swapper = loaded(swapper_named("inswapper_128"), tmp_path, "batch")
    steps = []

    def run(name, progress):
        return process_video(source, tmp_path / name, in_video(swapper, person), progress, "job", None, FAST, 4).path

    whole = run("whole.mp4", TorchRuntime(on_progress=lambda done, total: steps.append((done, total))).progress)
    assert sorted(set(steps)) == [(done, 10) for done in range(11)]
    with pytest.raises(Interrupted):
        run("out.mp4", Stops(6))
    assert not (tmp_path / "out.mp4").exists() and (tmp_path / "out.mp4.parts" / "00000.mp4").exists()
    assert packets(run("out.mp4", TorchRuntime().progress), "video") == packets(whole, "video")


@pytest.mark.parametrize("after", [1, 3])
def test_a_cancel_is_noticed_before_the_next_call_of_the_network(after, person, tmp_path):
    calls = []
    runtime = TorchRuntime(model_folders={"": tmp_path}, is_cancelled=lambda: len(calls) >= after)
    swapper = loaded(swapper_named("inswapper_128"), tmp_path, "batch", runtime)
    counted(swapper, calls)
    pairs = [(0, sparse_face(), person)] * 2  # 64 sub-images each
    with pytest.raises(CancelledError):
        swap_faces(swapper, picture(), pairs, SwapOptions(boost=8))
    assert calls == [16] * after
