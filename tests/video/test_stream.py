"""Videos through a frame-wise processor: times, sound, formats, what stays as it was."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from likeness.pipelines.video.reader import Window
from likeness.tests.video.drawn import packets, samples, shown, write_video
from likeness.tests.video.streaming import LOSSLESS, Hold, inverted_square, luma, moving, run


def test_times_of_a_variable_rate_and_every_sound_packet_stay_as_they_are(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(35), steps=(512, 1100, 300))
    result = run(source, tmp_path / "out.mp4", inverted_square)
    assert result.frames == 35
    assert [time for time, _ in shown(result.path)] == [time for time, _ in shown(source)]
    assert packets(result.path, "audio") == packets(source, "audio")
    assert "sound: aac, copied" in result.report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_untouched_pixels_keep_their_decoded_values_and_unchanged_frames_all_of_them(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(6))
    result = run(source, tmp_path / "out.mp4", inverted_square, encoding=LOSSLESS)
    for (_, before), (_, after) in zip(shown(source), shown(result.path), strict=True):
        old, new = (frame.to_ndarray().astype(int) for frame in (before, after))
        changed = np.abs(new[:96] - old[:96])
        assert changed[20:60, 31:91].mean() > 10
        changed[20:60, 30:92] = 0  # the square begins in the middle of a chroma sample
        assert changed.max() == 0
    result = run(source, tmp_path / "same.mp4", encoding=LOSSLESS)
    for (_, before), (_, after) in zip(shown(source), shown(result.path), strict=True):
        assert np.array_equal(before.to_ndarray(), after.to_ndarray())


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv444p", "yuvj420p"])
def test_depth_range_and_chroma_of_the_source_are_kept(tmp_path: Path, pixel_format: str) -> None:
    source = write_video(tmp_path / "in.mp4", moving(4), pixel_format=pixel_format)
    result = run(source, tmp_path / "out.mp4", inverted_square, encoding=LOSSLESS)
    (_, before), (_, after) = shown(source)[2], shown(result.path)[2]
    assert after.format.name == before.format.name
    assert (after.colorspace, after.color_range) == (before.colorspace, before.color_range)
    expected = inverted_square(torch.from_numpy(samples(before))).numpy()
    assert np.abs(samples(after) - expected)[24:56, 36:86].mean() < (0.002 if pixel_format == "yuv444p10le" else 0.006)
    # x264 is only lossless at 8 bit
    assert np.abs(samples(after) - samples(before))[64:].max() < (0.012 if "10" in pixel_format else 1e-9)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_comes_out_upright(tmp_path: Path, degrees: int) -> None:
    source = write_video(tmp_path / "in.mp4", moving(4), turned=degrees)
    seen: list[Tensor] = []

    def look(frame: Tensor) -> Tensor:
        seen.append(frame)
        return frame

    result = run(source, tmp_path / "out.mp4", look, encoding=LOSSLESS)
    stored, frame = shown(source)[0][1], shown(result.path)[0][1]
    upright = np.rot90(samples(stored), round(stored.rotation / 90) % 4)
    assert stored.rotation != 0 and frame.rotation == 0
    assert (frame.height, frame.width) == upright.shape[:2] == tuple(seen[0].shape[:2])
    assert np.abs(samples(frame) - upright).mean() < 0.005
    assert np.abs(seen[0].numpy() - upright).mean() < 0.005


def test_odd_sizes_get_one_more_line_and_the_report_says_so(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mkv", moving(4, (95, 161)), codec="ffv1", pixel_format="yuv444p", sound=None)
    odd = write_video(tmp_path / "odd.mkv", moving(4, (95, 161)), codec="ffv1", pixel_format="yuv420p", sound=None)
    whole, grown = run(source, tmp_path / "a.mp4"), run(odd, tmp_path / "b.mp4", inverted_square, encoding=LOSSLESS)
    assert shown(whole.path)[0][1].width == 161
    frame = shown(grown.path)[0][1]
    assert (frame.width, frame.height) == (162, 96)
    assert "Written as 162 × 96 px" in grown.report and "Written" not in whole.report
    assert np.array_equal(luma(frame)[61:95, :161], luma(shown(odd)[0][1])[61:])
    assert np.array_equal(luma(frame)[:20, 161], luma(frame)[:20, 160])
    assert np.abs(samples(frame)[64:95, :160] - moving(1, (95, 161))[0].numpy()[64:, :160]).mean() < 0.01


def test_alpha_is_dropped_and_the_report_says_so(tmp_path: Path) -> None:
    frames = [torch.cat([frame, torch.full((96, 160, 1), 0.5)], -1) for frame in moving(3)]
    source = write_video(tmp_path / "in.mov", frames, codec="qtrle", pixel_format="argb", sound=None)
    result = run(source, tmp_path / "out.mp4", encoding=LOSSLESS)
    assert "transparency is not kept" in result.report
    assert np.abs(samples(shown(result.path)[0][1]) - moving(1)[0].numpy()).mean() < 0.01


def test_only_the_trimmed_part_is_processed_and_its_sound_stays_in_step(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(50), options={"g": "12"})
    result = run(source, tmp_path / "out.mp4", window=Window(0.6, 0.8))
    assert [round(time, 4) for time, _ in shown(result.path)] == [round(0.04 * k, 4) for k in range(20)]
    assert np.abs(samples(shown(result.path)[0][1]) - samples(shown(source)[15][1])).mean() < 0.02
    contents = {content: time for time, content in packets(source, "audio")}
    copied = packets(result.path, "audio")
    assert len(copied) in (38, 39)
    assert all(abs(contents[content] - 0.6 - time) < 1e-4 for time, content in copied)


@pytest.mark.parametrize(
    ("sound", "suffix"), [("aac", ".mp4"), ("libopus", ".mp4"), ("pcm_s16le", ".mov"), ("wavpack", ".mkv")]
)
def test_the_container_is_one_that_holds_the_sound_as_it_is(tmp_path: Path, sound: str, suffix: str) -> None:
    source = write_video(tmp_path / "in.mkv", moving(12), sound=sound)
    result = run(source, tmp_path / "out.mp4")
    assert result.path.suffix == suffix
    assert [content for _, content in packets(result.path, "audio")] == [c for _, c in packets(source, "audio")] or (
        sound == "pcm_s16le"  # packets of plain samples may be cut elsewhere
        and b"".join(c for _, c in packets(result.path, "audio")) == b"".join(c for _, c in packets(source, "audio"))
    )


def test_a_video_in_memory_without_sound_is_processed(tmp_path: Path) -> None:
    source = io.BytesIO(write_video(tmp_path / "in.mp4", moving(5), sound=None).read_bytes())
    result = run(source, tmp_path / "out.mp4")
    assert result.frames == 5 and "sound: none" in result.report


def test_frames_held_back_by_the_processor_come_out_in_order(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", moving(24))
    result = run(source, tmp_path / "out.mp4", Hold(), encoding=LOSSLESS, chunk_frames=5)
    for k, ((_, before), (_, after)) in enumerate(zip(shown(source), shown(result.path), strict=True)):
        assert np.abs(samples(after) - samples(before) * (1 - (k + 1) / 200)).mean() < 0.006
