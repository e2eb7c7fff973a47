"""MuseTalk on people in frames: what it draws, what it leaves, and what it says when it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.pipelines.audio.speech import Speech
from likeness.pipelines.errors import EncoderMismatchError, InputError, MissingWeightsError, WrongWeightsError
from likeness.pipelines.face import TrackedFrame
from likeness.pipelines.geometry.features import OVAL
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.lips.coder import coder_print
from likeness.pipelines.lips.mouth_crop import MIDDLE_POINT, CropRule, mouth_crop, mouth_mask, without_lower_half
from likeness.pipelines.lips.musetalk import MuseTalkOptions, load_musetalk
from likeness.pipelines.lips.unavglip import face_vectors
from likeness.tests.lips.test_hearing import sound
from likeness.tests.lips.tiny_lips import V1, V15, WHISPER, MeansCoder, adapter_state, tiny_unet

RULE = CropRule(10, True)


def speech(seconds=1.0, seed=0):
    return Speech(sound(seconds, seed))


def identity(encoder="arcface_w600k_r50", count=3):
    raw = np.random.RandomState(1).standard_normal((count, 512)).astype(np.float32) * 20
    weights = np.full(count, 1 / count, np.float32)
    crops = torch.zeros(count, 512, 512, 3, dtype=torch.uint8)
    vectors = (EncodedReferences(encoder, "for tests", raw),)
    return Identity("somebody", crops, np.zeros((count, 478, 3), np.float32), weights, vectors)


@pytest.fixture(scope="module")
def musetalk(registry):
    return load_musetalk(registry, MeansCoder())


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    path = tmp_path_factory.mktemp("unavglip") / "adapter.pth"
    torch.save(adapter_state(tiny_unet()), path)
    return path


def with_adapter(registry, adapter, scale):
    return load_musetalk(registry, MeansCoder(), options=MuseTalkOptions(identity_scale=scale), adapter=adapter)


def test_the_crop_has_the_nose_in_its_middle_and_ends_below_the_chin(sitters):
    for sitter in (sitters.astronaut, sitters.hopper):
        points = sitter.face.landmarks
        crop = mouth_crop(sitter.face, RULE)
        chin, nose = points[list(OVAL), 1].max(), points[MIDDLE_POINT, 1]
        # the margin below the chin moves the nose up a little
        expected = 256 * (chin - nose) / (2 * (chin - nose) + 10) - 0.5
        assert crop[1, 1] * nose + crop[1, 2] == pytest.approx(expected, abs=0.3) and expected > 115
        assert crop[1, 1] * chin + crop[1, 2] == pytest.approx(255.5 - 10 * crop[1, 1], abs=1.0)
        left, right = points[234, 0], points[454, 0]
        assert crop[0, 0] * np.array([left, right]) + crop[0, 2] == pytest.approx([-0.5, 255.5], abs=3)
        plain = mouth_crop(sitter.face, CropRule(0, False))
        assert plain[1, 1] * points[MIDDLE_POINT, 1] + plain[1, 2] == pytest.approx(127.5, abs=0.01)
        lower = mouth_crop(sitter.face, CropRule(0, False), shift_px=5)
        assert lower[1, 1] * (points[MIDDLE_POINT, 1] + 5) + lower[1, 2] == pytest.approx(127.5, abs=0.01)


def test_the_mask_is_nought_above_the_middle_and_at_the_borders_and_one_on_the_mouth(sitters):
    face = sitters.hopper.face
    crop = mouth_crop(face, RULE)
    mask = mouth_mask(face, crop, RULE)
    assert mask.shape == (256, 256) and 0 <= float(mask.min()) and float(mask.max()) <= 1
    assert not mask[:129].any() and not mask[-1].any() and not mask[:, 0].any() and not mask[:, -1].any()
    x, y = (crop @ [*face.landmarks[13, :2], 1]).round().astype(int)
    assert mask[y, x] > 0.99
    x, y = (crop @ [*face.landmarks[2, :2], 1]).round().astype(int)
    assert mask[y, x] < mask[y, x - 60] - 0.3  # the nose is left to the picture, the cheek is not
    # what a parser sees in front of the face stays
    seen = torch.stack([torch.ones(256, 256), torch.zeros(256, 256)])
    seen[0, :, 128:] = 0
    parsed = mouth_mask(face, crop, CropRule(0, False), seen)
    assert parsed[200, 60] > 0.99 and parsed[200, 200] == 0


def test_only_the_lower_half_is_hidden_from_the_network():
    crops = torch.rand(2, 256, 256, 3)
    masked = without_lower_half(crops)
    assert torch.equal(masked[:, :128], crops[:, :128]) and not masked[:, 128:].any()


def test_the_mouth_changes_and_everything_above_it_stays_bit_for_bit(musetalk, sitters, shot):
    work = musetalk.dub(speech())
    frame = shot(0.2)
    (out,) = work.change([frame])
    middle = int(np.ceil(sitters.astronaut.face.landmarks[MIDDLE_POINT, 1]))
    assert torch.equal(out[:middle], frame.picture[:middle])
    x, y = sitters.astronaut.face.landmarks[13, :2].round().astype(int)
    assert (out - frame.picture)[y - 3 : y + 4, x - 3 : x + 4].abs().mean() > 0.02
    box = sitters.astronaut.face.bbox_xyxy
    beside = out.clone()
    beside[:, int(box[0]) : int(box[2]) + 2] = frame.picture[:, int(box[0]) : int(box[2]) + 2]
    assert torch.equal(beside, frame.picture)
    assert work.text == "MuseTalk 1.5 drew 1 mouth(s) for 1.00 s of speech."


def test_what_is_said_decides_what_is_drawn(musetalk, shot):
    work = musetalk.dub(speech())
    first, later = work.change([shot(0.2), shot(0.6)])
    other = musetalk.dub(speech(seed=5)).change([shot(0.2)])[0]
    assert torch.equal(first, work.change([shot(0.2), shot(0.6)])[0])
    assert (first - later).abs().max() > 1e-3 and (first - other).abs().max() > 1e-3


def test_a_batch_equals_its_members_one_by_one(musetalk, sitters, shot):
    frames = [shot(0.0), shot(0.04, sitters.astronaut), shot(0.08)]
    together = musetalk.dub(speech()).change(frames)
    work = musetalk.dub(speech())
    for frame, picture in zip(frames, together, strict=True):
        assert torch.allclose(work.change([frame])[0], picture, atol=1e-5)


def test_a_small_batch_and_a_large_one_give_the_same(registry, shot):
    frames = [shot(number / 25) for number in range(5)]
    small = load_musetalk(registry, MeansCoder(), options=MuseTalkOptions(batch=2)).dub(speech())
    large = load_musetalk(registry, MeansCoder(), options=MuseTalkOptions(batch=8)).dub(speech())
    assert (small.batch, large.batch) == (2, 8)
    for one, other in zip(small.change(frames), large.change(frames), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("fps", [24, 25, 29.97, 30])
def test_the_sound_is_taken_at_the_time_of_a_frame_at_any_rate(musetalk, shot, fps):
    number = round(0.5 * fps)
    work = musetalk.dub(speech())
    at_rate = work.change([shot(number / fps)])[0]
    nearest = work.change([shot(np.floor(number / fps * 50 + 1e-6) / 50)])[0]
    assert torch.equal(at_rate, nearest)


def test_everybody_in_a_frame_speaks_and_nobody_else(musetalk, sitters, shot):
    picture = torch.cat([sitters.astronaut.picture[0][:400, :400], sitters.astronaut.picture[0][:400, :400]], 1)
    face = sitters.astronaut.face
    points = face.landmarks + np.array([400, 0, 0], np.float32)
    second = replace(face, landmarks=points, bbox_xyxy=face.bbox_xyxy + np.array([400, 0, 400, 0], np.float32), track=4)
    both = TrackedFrame(picture, (face, second), (0, 0), 0, 0.2)
    one = TrackedFrame(picture, (face, second), (-1, 0), 0, 0.2)
    drawn = musetalk.dub(speech()).change([both])[0]
    assert torch.allclose(drawn[:, :400], drawn[:, 400:], atol=1e-4)
    single = musetalk.dub(speech()).change([one])[0]
    assert torch.equal(single[:, :400], picture[:, :400])
    assert torch.allclose(single[:, 400:], drawn[:, 400:], atol=1e-5)
    nobody = replace(both, who=(-1, -1))
    assert musetalk.dub(speech()).change([nobody])[0] is picture


def test_after_the_speech_the_mouth_hears_silence_or_stays_as_filmed(musetalk, shot):
    over = shot(1.4)
    silence = musetalk.dub(speech())
    drawn = silence.change([shot(0.9), over])[1]
    assert (drawn - over.picture).abs().max() > 0.01
    assert torch.allclose(musetalk.dub(speech(seed=5)).change([over])[0], drawn, atol=1e-5)
    filmed = musetalk.dub(speech(), after_end="as filmed")
    assert filmed.change([shot(0.9), over])[1] is over.picture
    assert "1 frame(s) with a face heard silence" in silence.text
    assert "1 frame(s) with a face stayed as filmed" in filmed.text
    with pytest.raises(InputError, match="after_end is 'loop'"):
        musetalk.dub(speech(), after_end="loop")


def test_work_that_was_interrupted_goes_on_with_its_counts(musetalk, shot):
    work = musetalk.dub(speech())
    work.change([shot(0.1), shot(1.5)])
    other = musetalk.dub(speech())
    other.restore(work.state())
    assert other.text == work.text and other.change([shot(0.2)])[0].shape == shot().picture.shape


def test_a_face_without_dense_landmarks_or_too_small_is_named(musetalk, shot):
    frame = shot()
    bare = replace(frame, faces=(replace(frame.faces[0], landmarks=None),))
    with pytest.raises(InputError, match="dense landmarks"):
        musetalk.dub(speech()).change([bare])
    flat = frame.faces[0].landmarks * np.array([0, 1, 1], np.float32)
    point = replace(frame, faces=(replace(frame.faces[0], landmarks=flat),))
    with pytest.raises(InputError, match="too small to dub"):
        musetalk.dub(speech()).change([point])


def test_the_report_and_the_settings_name_all_that_a_result_depends_on(registry, musetalk):
    assert "MuseTalk 1.5, 32 bit, 8 frame(s) at once; masks from the landmarks." in musetalk.text
    assert "MIT" in musetalk.text

    class Other(MeansCoder):
        def decode(self, latents):
            return super().decode(latents) * 0.5

    other = load_musetalk(registry, Other())
    shifted = load_musetalk(registry, MeansCoder(), options=MuseTalkOptions(shift_px=3))
    assert musetalk.settings != other.settings and musetalk.settings != shifted.settings
    assert musetalk.settings == load_musetalk(registry, MeansCoder(), options=MuseTalkOptions(batch=3)).settings
    half = replace(musetalk, unet=registry.runtime.hold(tiny_unet().half()))
    assert "16 bit" in half.text and half.settings != musetalk.settings
    assert coder_print(MeansCoder()) != coder_print(Other())


def test_missing_files_are_all_named_with_folder_size_licence_and_one_command(empty_registry, tmp_path):
    with pytest.raises(MissingWeightsError) as caught:
        load_musetalk(empty_registry, MeansCoder())
    said = str(caught.value)
    for part in (
        "MuseTalk 1.5 needs 2 file(s)", "unet.pth", str(tmp_path / "musetalk" / "musetalkV15"), "model.safetensors",
        "`./likeness fetch musetalk_v15_unet whisper_tiny_safetensors`", "commercial use: yes",
    ):  # fmt: skip
        assert part in said
    with pytest.raises(MissingWeightsError, match=r"MuseTalk 1\.0 needs 2 file\(s\)(.|\n)*musetalk_v1_unet"):
        load_musetalk(empty_registry, MeansCoder(), "1.0")
    with pytest.raises(InputError, match=r"auto, 1\.5, 1\.0"):
        load_musetalk(empty_registry, MeansCoder(), "2.0")


def test_auto_takes_the_version_whose_file_is_there(empty_registry, tmp_path, registry):
    for name, source in ((V1, V15), (WHISPER, WHISPER)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((registry.runtime.model_folders("")[0] / source).read_bytes())
    loaded = load_musetalk(empty_registry, MeansCoder())
    assert loaded.name == "MuseTalk 1.0" and loaded.version.rule == CropRule(0, False)


@pytest.mark.parametrize("kind", ["other channels", "cut off", "no network"])
def test_another_file_under_the_name_of_the_unet_is_refused(empty_registry, tmp_path, registry, kind):
    unet, whisper = tmp_path / V15, tmp_path / WHISPER
    for path in (unet, whisper):
        path.parent.mkdir(parents=True, exist_ok=True)
    whisper.write_bytes((registry.runtime.model_folders("")[0] / WHISPER).read_bytes())
    torch.save(tiny_unet(inputs=9).state_dict() if kind == "other channels" else {"a": torch.zeros(1)}, unet)
    if kind == "cut off":
        unet.write_bytes(unet.read_bytes()[:200])
    said = {"other channels": "reads 9 channels", "cut off": "no complete torch file", "no network": "no UNet"}
    with pytest.raises(WrongWeightsError, match=said[kind]):
        load_musetalk(empty_registry, MeansCoder())


@pytest.mark.parametrize("channels", [3, 16])
def test_the_vae_of_another_model_is_refused_with_its_shape(registry, channels):
    class Wrong(MeansCoder):
        def encode(self, pixels):
            return torch.zeros(len(pixels), channels, pixels.shape[1] // 8, pixels.shape[2] // 8)

    with pytest.raises(InputError, match=rf"latents \(1, {channels}, 4, 4\).*sd-vae-ft-mse"):
        load_musetalk(registry, Wrong())


def test_an_adapter_of_zeros_is_musetalk_itself(registry, musetalk, shot, tmp_path):
    state = {k: torch.zeros_like(t) if ".up." in k or "_ip" in k else t for k, t in adapter_state(tiny_unet()).items()}
    path = tmp_path / "zeros.pth"
    torch.save(state, path)
    plain = musetalk.dub(speech()).change([shot(0.2)])[0]
    assert torch.equal(with_adapter(registry, path, 1.0).dub(speech(), identity()).change([shot(0.2)])[0], plain)


def test_at_scale_0_the_adapters_other_changes_stay_and_nobody_has_to_be_named(registry, adapter, musetalk, shot):
    plain = musetalk.dub(speech()).change([shot(0.2)])[0]
    without = with_adapter(registry, adapter, 0.0).dub(speech()).change([shot(0.2)])[0]
    whole = with_adapter(registry, adapter, 1.0).dub(speech(), identity()).change([shot(0.2)])[0]
    named = with_adapter(registry, adapter, 0.0).dub(speech(), identity()).change([shot(0.2)])[0]
    assert (without - plain).abs().max() > 1e-3 and (whole - without).abs().max() > 1e-4
    assert torch.equal(without, named)


def test_an_adapter_needs_to_know_whose_lips_they_are(registry, adapter):
    lips = with_adapter(registry, adapter, 1.0)
    assert lips.name == "MuseTalk 1.5 with UnAvgLip" and "keeps the lips of the identity at 1." in lips.text
    with pytest.raises(InputError, match="whose: connect the person's identity"):
        lips.dub(speech())
    with pytest.raises(EncoderMismatchError, match="arcface_w600k_r50"):
        lips.dub(speech(), identity("dlib_resnet_128"))


def test_the_references_of_a_person_go_in_as_unit_vectors_in_a_sequence():
    person = identity(count=3)
    vectors = face_vectors(person)
    raw = torch.from_numpy(person.references("arcface_w600k_r50").raw)
    assert vectors.shape == (1, 3, 512)
    assert torch.allclose(vectors[0], raw / raw.norm(dim=1, keepdim=True), atol=1e-6)
    many = identity(count=14)
    heavy = replace(many, weights=np.array([0.02] * 4 + [0.092] * 10, np.float32))
    kept = torch.from_numpy(heavy.references("arcface_w600k_r50").raw[4:])
    assert torch.allclose(face_vectors(heavy)[0], kept / kept.norm(dim=1, keepdim=True), atol=1e-6)
