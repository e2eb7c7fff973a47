"""Videos that are broken, work that is interrupted, disks that are full."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.errors import CancelledError, VideoError
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.video.reader import Window
from likeness.pipelines.video.stream import process_video
from likeness.tests.video.drawn import packets, shown, write_video
from likeness.tests.video.streaming import FAST, Hold, Interrupted, Stops, moving, run


def test_interrupted_work_goes_on_after_its_last_finished_chunk_with_the_same_result(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(40), options={"g": "7"})
    whole = run(source, tmp_path / "whole.mp4", Hold())
    target = tmp_path / "out.mp4"
    with pytest.raises(Interrupted):
        process_video(source, target, Hold(), Stops(27), "job", encoding=FAST, chunk_frames=10)
    parts = tmp_path / "out.mp4.parts"
    assert not target.exists()
    assert sorted(path.name for path in parts.iterdir()) == [
        "00000.mp4", "00001.mp4", "00001.safetensors", "journal.jsonl",
    ]  # fmt: skip
    with open(parts / "journal.jsonl", "a") as journal:
        journal.write('{"chunk": 2, "tic')  # the machine stopped while it wrote
    again = Hold()
    result = run(source, target, again)
    assert again.done == 40 and "The first 20 frame(s) were finished before" in result.report
    assert packets(result.path, "video") == packets(whole.path, "video")
    assert packets(result.path, "audio") == packets(whole.path, "audio")
    assert not parts.exists()


@pytest.mark.parametrize("harm", ["other job", "no memory", "segment gone", "nonsense"])
def test_unfinished_work_that_does_not_fit_is_begun_anew(tmp_path: Path, harm: str) -> None:
    source, target = write_video(tmp_path / "in.mp4", moving(30)), tmp_path / "out.mp4"
    with pytest.raises(Interrupted):
        process_video(source, target, Hold(), Stops(15), "job", encoding=FAST, chunk_frames=10)
    parts = tmp_path / "out.mp4.parts"
    if harm == "other job":
        lines = (parts / "journal.jsonl").read_text().splitlines()
        (parts / "journal.jsonl").write_text("\n".join([json.dumps({"job": "x"}), *lines[1:]]) + "\n")
    elif harm == "nonsense":
        (parts / "journal.jsonl").write_text("[1, 2\n{}\n")
    else:
        (parts / ("00000.safetensors" if harm == "no memory" else "00000.mp4")).unlink()
    result = run(source, target, Hold())
    assert result.frames == 30 and "before an interrupt" not in result.report


def test_cancel_is_noticed_at_the_next_frame(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(30))
    processed: list[int] = []

    def count(frame: Tensor) -> Tensor:
        processed.append(1)
        return frame

    with pytest.raises(CancelledError):
        run(source, tmp_path / "out.mp4", count, runtime=TorchRuntime(is_cancelled=lambda: len(processed) >= 7))
    assert len(processed) == 7
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("room", [3_000, 40_000])
def test_a_full_disk_leaves_nothing_under_the_final_name_and_the_work_goes_on_later(tmp_path: Path, room: int) -> None:
    noise = torch.Generator().manual_seed(0)
    frames = [torch.rand(96, 160, 3, generator=noise) for _ in range(12)]
    source = write_video(tmp_path / "in.mp4", frames)
    target = tmp_path / "out.mp4"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))  # the system refuses to write more into any file
    try:
        with pytest.raises(VideoError, match="could not be written.*MB are free"):
            run(source, target, chunk_frames=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".mp4"] == ["in.mp4"]
    result = run(source, target, chunk_frames=2)
    assert result.frames == 12 and len(shown(result.path)) == 12
    assert ("before an interrupt" in result.report) == (room > 10_000)


@pytest.mark.parametrize("part", [0.0, 0.4])
def test_a_file_that_is_empty_or_lacks_its_index_is_refused_with_its_name(tmp_path: Path, part: float) -> None:
    whole = write_video(tmp_path / "whole.mp4", moving(20)).read_bytes()
    source = tmp_path / "cut.mp4"
    source.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(VideoError, match=r"cut\.mp4 cannot be opened as a video"):
        run(source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_video_that_is_cut_off_is_processed_as_far_as_it_goes_and_the_report_says_so(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", moving(60), options={"g": "5"})
    front = tmp_path / "front.mp4"
    import av

    with av.open(str(whole)) as given, av.open(str(front), "w", options={"movflags": "faststart"}) as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    content = front.read_bytes()
    source = tmp_path / "cut.mp4"
    source.write_bytes(content[: int(len(content) * 0.6)])
    result = run(source, tmp_path / "out.mp4")
    assert 5 < result.frames < 54 and len(shown(result.path)) == result.frames
    assert "it is cut off" in result.report


@pytest.mark.parametrize("window", [Window(5.0, 0.0), Window(9.0, 1.0)])
def test_a_window_after_the_end_is_refused(tmp_path: Path, window: Window) -> None:
    source = write_video(tmp_path / "in.mp4", moving(10))
    with pytest.raises(VideoError, match="no frame in what was asked for"):
        run(source, tmp_path / "out.mp4", window=window)


@pytest.mark.parametrize(
    ("name", "codec", "says"),
    [
        ("in.mp4", "libx264", "holds neither pictures nor sound, only a header"),
        ("in.mov", "libx264", "holds neither pictures nor sound, only a header"),
        ("in.mkv", "libx264", "cannot be opened as a video"),
        ("in.avi", "mpeg4", "holds no frame that can be decoded"),
    ],
)
def test_a_container_without_a_single_frame_is_refused_with_a_way_out(
    tmp_path: Path, name: str, codec: str, says: str
) -> None:
    import av

    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=rf"The video {name} {says}.*copy it again\.$"):
        run(tmp_path / name, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "says"),
    [("in.mp4", "has no picture that can be decoded, only audio: "), ("in.mkv", "holds no frame that can be decoded")],
)
def test_a_picture_track_without_a_frame_beside_sound_is_refused_too(tmp_path: Path, name: str, says: str) -> None:
    import av

    with av.open(str(tmp_path / name), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        tone = output.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(tone.encode(frame))
        output.mux(tone.encode(None))
    with pytest.raises(VideoError, match=rf"The video {name} {says}.*\.$"):
        run(tmp_path / name, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "in.m4a"), "w", format="mp4") as output:
        tone = output.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(tone.encode(frame))
        output.mux(tone.encode(None))
    with pytest.raises(VideoError, match="no picture that can be decoded, only audio"):
        run(tmp_path / "in.m4a", tmp_path / "out.mp4")


def test_a_processor_that_changes_the_size_of_frames_is_told(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(3))
    with pytest.raises(VideoError, match="every frame must keep its size"):
        run(source, tmp_path / "out.mp4", lambda frame: frame[:-2])


def test_work_that_was_killed_goes_on_in_another_process(tmp_path: Path) -> None:
    source, target = write_video(tmp_path / "in.mp4", moving(40)), tmp_path / "out.mp4"
    dies = os.fork()
    if dies == 0:
        try:
            process_video(source, target, Hold(), Dies(27), "job", encoding=FAST, chunk_frames=10)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(dies, 0)[1]) == 9
    assert not target.exists() and (tmp_path / "out.mp4.parts" / "00002.mp4").exists(), "no time to tidy up"
    whole = run(source, tmp_path / "whole.mp4", Hold())
    result = run(source, target, Hold())
    assert "The first 20 frame(s) were finished before" in result.report
    assert packets(result.path, "video") == packets(whole.path, "video")


class Dies(Stops):
    """As when the power fails: nothing is closed, nothing is tidied up."""

    def update(self, steps: int = 1) -> None:
        self.done += steps
        if self.done >= self.at:
            os._exit(9)
