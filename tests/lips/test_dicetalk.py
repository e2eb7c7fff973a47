"""DICE-Talk's parts without ComfyUI: the bank, the tokens, the files, the place of the face."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from likeness.pipelines.audio.speech import Speech
from likeness.pipelines.errors import InputError, MissingWeightsError, UnsafeFileError, WrongWeightsError
from likeness.pipelines.lips.dicetalk.emotion import EmotionBank, build_emotion_model, build_sound_projection
from likeness.pipelines.lips.dicetalk.network import build_face_guide, split_network
from likeness.pipelines.lips.dicetalk.priors import read_prior
from likeness.pipelines.lips.dicetalk.svd_names import comfy_name, reader_place
from likeness.pipelines.lips.dicetalk.talker import face_place, load_talker, talking_size
from likeness.tests.lips.test_hearing import sound
from likeness.tests.lips.tiny_lips import emotion_state, guide_state, network_state, sound_state, write_dice

PRIOR = torch.linspace(-1, 1, 256)


@pytest.fixture(scope="module")
def model():
    return build_emotion_model(emotion_state(), "emo_model.pth")


@pytest.fixture(scope="module")
def talker(registry):
    write_dice(registry.runtime.model_folders("")[0])
    return load_talker(registry)


def test_the_order_of_the_bank_does_not_matter_when_all_of_it_is_read(model):
    shuffled = build_emotion_model(emotion_state(), "emo_model.pth")
    entries = shuffled.codebook.codebook.weight
    shuffled.codebook.codebook.weight = torch.nn.Parameter(entries[torch.randperm(len(entries))])
    priors = torch.stack([PRIOR, PRIOR * 0.1])
    assert torch.allclose(model(priors), shuffled(priors), atol=1e-5)
    assert torch.allclose(model(priors, retrieval=True), shuffled(priors, retrieval=True), atol=1e-5)


def test_without_an_emotion_the_tokens_are_those_of_zeros_and_not_zeros(model):
    felt, nothing = model.emotion(PRIOR)
    assert torch.allclose(nothing, model(torch.zeros(1, 256)), atol=1e-6) and nothing.abs().max() > 0.01
    assert (felt - nothing).abs().max() > 1e-3
    masked = model(torch.stack([PRIOR, PRIOR]), masked=torch.tensor([True, False]))
    assert torch.allclose(masked[:1], nothing, atol=1e-6) and torch.allclose(masked[1:], felt, atol=1e-6)
    with pytest.raises(InputError, match="256 numbers"):
        model.emotion(torch.zeros(3))


def test_the_gradient_passes_the_bank_as_if_the_entry_were_the_vector():
    torch.manual_seed(2)
    bank = EmotionBank(6, 8)
    prior = torch.randn(3, 256, requires_grad=True)
    found = bank.nearest(prior)
    direction = torch.randn(3, 8)
    (got,) = torch.autograd.grad((found.entries * direction).sum(), prior, retain_graph=True)
    assert torch.allclose(got, direction @ bank.fc.weight, atol=1e-6)
    distance = torch.cdist(bank.fc(prior), bank.codebook.weight)
    assert torch.equal(found.index, distance.argmin(1))
    z = bank.fc(prior)
    chosen = bank.codebook.weight[found.index]
    assert torch.allclose(found.loss, 1.25 * ((chosen - z) ** 2).mean(), atol=1e-6)
    entries, layer = torch.autograd.grad(found.loss, (bank.codebook.weight, bank.fc.weight))
    assert entries.abs().sum() > 0 and layer.abs().sum() > 0


def test_a_speech_gives_a_row_for_every_eighty_milliseconds(talker):
    tokens = talker.tokens(Speech(sound(1.0)), PRIOR)
    assert tokens.sound.shape == (12, 5, 24) and tokens.emotion.shape == (1, 5, 24)
    said, silent = tokens.rows(True), tokens.rows(False)
    assert said.shape == silent.shape == (12, 10, 24)
    assert torch.equal(said[:, 5:], tokens.emotion.expand(12, -1, -1)) and torch.equal(silent[3], silent[0])
    assert (said[2, :5] - said[9, :5]).abs().max() > 1e-3
    neutral = talker.tokens(Speech(sound(1.0)), None)
    assert torch.equal(neutral.emotion, neutral.no_emotion) and torch.allclose(neutral.sound, tokens.sound)
    with pytest.raises(InputError, match="less than one frame"):
        talker.tokens(Speech(sound(0.05)), None)


def test_whole_frames_of_sound_give_as_many_rows(talker):
    # 29 and 57 times 80 ms are a little less than that in floating point
    for count in (1, 29, 57):
        assert len(talker.tokens(Speech(sound(count * 0.08)), None).sound) == count


def test_missing_files_are_named_in_one_message(empty_registry):
    with pytest.raises(MissingWeightsError) as caught:
        load_talker(empty_registry)
    said = str(caught.value)
    assert "DICE-Talk needs 5 file(s)" in said and "commercial use: no" in said
    assert "`./likeness fetch dice_talk_unet dice_talk_pose_guider dice_talk_audio_linear dice_talk_emo_model" in said


def test_files_of_another_model_are_refused():
    for build, state in (
        (build_emotion_model, emotion_state()), (build_sound_projection, sound_state()),
        (build_face_guide, guide_state()),
    ):  # fmt: skip
        first = min(state)
        with pytest.raises(WrongWeightsError, match=first.split(".")[0]):
            build({key: tensor for key, tensor in state.items() if key != first}, "x.pth")


def test_every_tensor_of_the_network_finds_its_place_or_is_named():
    state = network_state()
    network = split_network(state, "unet.pth")
    assert len(network.readers) == 32 and len(network.weights) + 4 * 32 == len(state)
    assert "input_blocks.1.1.time_stack.0.attn2.to_k.weight" in network.weights
    with pytest.raises(WrongWeightsError, match="something.else"):
        split_network({**state, "something.else": torch.zeros(1)}, "unet.pth")
    half = {key: tensor for key, tensor in state.items() if "temporal" not in key or "processor" not in key}
    with pytest.raises(WrongWeightsError, match="readers in 16 of 32"):
        split_network(half, "unet.pth")
    lost = next(key for key in state if key.endswith("to_v_ip.1.weight"))
    with pytest.raises(WrongWeightsError, match=r"to_v_ip\.1\.weight"):
        split_network({key: tensor for key, tensor in state.items() if key != lost}, "unet.pth")


def test_names_of_the_video_network():
    assert comfy_name("mid_block.resnets.1.temporal_res_block.conv2.weight") == (
        "middle_block.2.time_stack.out_layers.3.weight"
    )
    assert comfy_name("up_blocks.3.attentions.2.time_pos_embed.linear_2.bias") == (
        "output_blocks.11.1.time_pos_embed.2.bias"
    )
    assert comfy_name("up_blocks.0.upsamplers.0.conv.weight") == "output_blocks.2.1.conv.weight"
    assert comfy_name("text_model.x") is None
    place = "down_blocks.1.attentions.0.temporal_transformer_blocks.0.attn2.processor.to_k_ip.1.weight"
    assert reader_place(place) == (5, True, "to_k_ip.1.weight")
    assert reader_place("down_blocks.1.attentions.0.proj_in.weight") is None


def published_prior(path, values, name="mu"):
    """As DICE-Talk's files are: an array that holds a list that holds a dict."""
    content = np.empty((), dtype=object)
    content[()] = {name: values}
    np.save(path, content, allow_pickle=True)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_published_prior_is_read_without_carrying_out_what_it_says(tmp_path, kind):
    values = np.linspace(-2, 2, 256).astype(kind)
    published_prior(tmp_path / "happy.npy", values[None])
    assert torch.allclose(read_prior(tmp_path / "happy.npy"), torch.from_numpy(values).float())
    np.save(tmp_path / "plain.npy", values)
    save_file({"mu": values.astype(np.float32)}, tmp_path / "own.safetensors")
    for name in ("plain.npy", "own.safetensors"):
        assert torch.allclose(read_prior(tmp_path / name), torch.from_numpy(values).float())


def test_a_prior_that_would_run_code_runs_none(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    content = np.empty((), dtype=object)
    content[()] = {"mu": Trap()}
    np.save(tmp_path / "trap.npy", content, allow_pickle=True)
    with pytest.raises(WrongWeightsError, match="no array 'mu'"):
        read_prior(tmp_path / "trap.npy")
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_priors_say_what_they_hold(tmp_path):
    for name, write, said in (
        ("few.npy", lambda p: np.save(p, np.zeros(5)), "holds 5 numbers"),
        ("nan.npy", lambda p: np.save(p, np.full(256, np.nan)), "finite"),
        ("other.npy", lambda p: published_prior(p, np.zeros(256, np.float32), "sigma"), "no array 'mu'"),
        ("text.npy", lambda p: p.write_text("hello, this is no array"), "no .npy file"),
        ("names.safetensors", lambda p: save_file({"x": np.zeros(256, np.float32)}, p), "no tensor 'mu'"),
        ("junk.safetensors", lambda p: p.write_bytes(b"12345678" * 4), "no safetensors file"),
    ):  # fmt: skip
        write(tmp_path / name)
        with pytest.raises(WrongWeightsError, match=said):
            read_prior(tmp_path / name)
    published_prior(tmp_path / "cut.npy", np.zeros(256, np.float32))
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WrongWeightsError, match="no complete"):
        read_prior(tmp_path / "cut.npy")
    (tmp_path / "large.npy").write_bytes(bytes(2_000_000))
    with pytest.raises(UnsafeFileError, match="2000000 bytes"):
        read_prior(tmp_path / "large.npy")


def test_sizes_divide_by_64_and_the_face_has_its_place(sitters):
    assert talking_size(512, 512) == (512, 512) and talking_size(600, 1080) == (512, 896)
    assert talking_size(2000, 500) == (2048, 512)
    face = sitters.astronaut.face
    mask = face_place(face, *sitters.astronaut.picture.shape[1:3])
    area = float(np.prod(face.bbox_xyxy[2:] - face.bbox_xyxy[:2]))
    assert float(mask.sum()) == pytest.approx(1.21 * area, rel=0.05)
    x, y = face.center.round().astype(int)
    assert mask[0, 0, y, x] == 1 and mask[0, 0, 0, 0] == 0
