"""Encoders that two families bring their own way of seeing with: e4e and TransFace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from likeness.pipelines.adapters.checkpoint import Checkpoint, read_checkpoint
from likeness.pipelines.adapters.encoders.e4e import ROWS, STAGES, E4e, build_e4e
from likeness.pipelines.adapters.encoders.transface import TransFace, build_transface
from likeness.pipelines.adapters.fact import FACT
from likeness.pipelines.adapters.features import OWN_TOWERS, Sources, person_features
from likeness.pipelines.adapters.published import TOWER_FILES
from likeness.pipelines.adapters.wplus import WPLUS
from likeness.pipelines.errors import MissingWeightsError, WrongWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.adapters.sample_people import somebody

State = dict[str, Tensor]


def random_state(network: torch.nn.Module, seed: int = 0) -> State:
    """Values under the names of a network on the meta device, signals keeping their size."""
    random = torch.Generator().manual_seed(seed)

    def values(name: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return torch.tensor(7)
        noise = torch.randn(like.shape, generator=random)
        if like.ndim > 1 and name != "pos_embed" and ".linear." not in name:
            return noise / like[0].numel() ** 0.5
        return 1 + 0.1 * noise.abs() if name.endswith(("weight", "var")) and like.ndim == 1 else 0.5 * noise

    return {name: values(name, like) for name, like in network.state_dict().items()}


def e4e_state(code: int = 16) -> State:
    with torch.device("meta"):
        network = E4e(code)
    return random_state(network)


def e4e_checkpoint(state: State) -> Checkpoint:
    tensors = {f"state_dict.encoder.{name}": value for name, value in state.items() if name != "latent_avg"}
    decoder = {"state_dict.decoder.input.input": torch.zeros(1, 4)}
    return Checkpoint("e4e_ffhq_encode.pt", {**tensors, **decoder, "latent_avg": state["latent_avg"]})


def transface_state() -> State:
    with torch.device("meta"):
        network = TransFace(64, 128, 2, 9, 144)
    state = random_state(network)
    unused = {"mask_token": (1, 1, 64), "feature.0.weight": (64, 144 * 64), "senet.2.weight": (144, 144)}
    return {**state, **{name: torch.zeros(shape) for name, shape in unused.items()}}


def slow_norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def slow_e4e(state: State, x: Tensor) -> Tensor:
    """Read off the published keys and the reference's order of steps."""
    x = F.prelu(slow_norm(state, "input_layer.1", F.conv2d(x, state["input_layer.0.weight"], padding=1)),
                state["input_layer.2.weight"])  # fmt: skip
    kept = {}
    first = {0: 2, 3: 2, 7: 2, 21: 2}
    for unit in range(24):
        name, stride = f"body.{unit}", first.get(unit, 1)
        y = F.conv2d(slow_norm(state, f"{name}.res_layer.0", x), state[f"{name}.res_layer.1.weight"], padding=1)
        y = F.prelu(y, state[f"{name}.res_layer.2.weight"])
        y = F.conv2d(y, state[f"{name}.res_layer.3.weight"], stride=stride, padding=1)
        y = slow_norm(state, f"{name}.res_layer.4", y)
        weight = F.adaptive_avg_pool2d(y, 1)
        weight = F.conv2d(F.conv2d(weight, state[f"{name}.res_layer.5.fc1.weight"]).relu(),
                          state[f"{name}.res_layer.5.fc2.weight"])  # fmt: skip
        if f"{name}.shortcut_layer.0.weight" in state:
            short = F.conv2d(x, state[f"{name}.shortcut_layer.0.weight"], stride=stride)
            short = slow_norm(state, f"{name}.shortcut_layer.1", short)
        else:
            short = F.max_pool2d(x, 1, stride)
        x = y * weight.sigmoid() + short
        kept[unit] = x

    def row(number: int, x: Tensor) -> Tensor:
        layer = 0
        while f"styles.{number}.convs.{layer}.weight" in state:
            name = f"styles.{number}.convs.{layer}"
            x = F.leaky_relu(F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2, padding=1))
            layer += 2
        weight = state[f"styles.{number}.linear.weight"]
        return F.linear(
            x.view(-1, weight.shape[1]), weight / weight.shape[1] ** 0.5, state[f"styles.{number}.linear.bias"]
        )

    def added(x: Tensor, lateral: str, y: Tensor) -> Tensor:
        y = F.conv2d(y, state[f"{lateral}.weight"], state[f"{lateral}.bias"])
        return F.interpolate(x, y.shape[2:], mode="bilinear", align_corners=True) + y

    features = kept[23]
    codes = [row(0, features)] * 18
    for number in range(1, 18):
        if number == 3:
            features = middle = added(kept[23], "latlayer1", kept[20])
        elif number == 7:
            features = added(middle, "latlayer2", kept[6])
        codes[number] = codes[0] + row(number, features)
    return torch.stack(codes, 1) + state["latent_avg"]


def slow_transface(state: State, pixels: Tensor, heads: int) -> Tensor:
    width = state["norm.weight"].shape[0]
    rows = [pixels[:, :, 9 * y : 9 * y + 9, 9 * x : 9 * x + 9].flatten(1) for y in range(12) for x in range(12)]
    x = torch.stack(rows, 1) @ state["patch_embed.proj.weight"].flatten(1).T + state["patch_embed.proj.bias"]
    x = x + state["pos_embed"]
    for block in range(2):
        part = {key.split(".", 2)[2]: value for key, value in state.items() if key.startswith(f"blocks.{block}.")}
        y = F.layer_norm(x, (width,), part["norm1.weight"], part["norm1.bias"])
        q, k, v = (y @ part["attn.qkv.weight"].T).chunk(3, -1)
        read = []
        for head in torch.arange(width).chunk(heads):
            scores = q[..., head] @ k[..., head].transpose(1, 2) / len(head) ** 0.5
            read.append(scores.softmax(-1) @ v[..., head])
        x = x + torch.cat(read, -1) @ part["attn.proj.weight"].T + part["attn.proj.bias"]
        y = F.layer_norm(x, (width,), part["norm2.weight"], part["norm2.bias"])
        y = (y @ part["mlp.fc1.weight"].T + part["mlp.fc1.bias"]).clamp(0, 6)
        x = x + y @ part["mlp.fc2.weight"].T + part["mlp.fc2.bias"]
    return F.layer_norm(x, (width,), state["norm.weight"], state["norm.bias"])


def test_e4e_gives_what_its_keys_say() -> None:
    state = e4e_state()
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        codes = build_e4e(e4e_checkpoint(state))(pixels)
    assert codes.shape == (2, ROWS, 16)
    torch.testing.assert_close(codes, slow_e4e(state, pixels), atol=1e-5, rtol=1e-4)


def test_transface_gives_what_its_keys_say() -> None:
    state = transface_state()
    pixels = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        tokens = build_transface(Checkpoint("t.pt", state))(pixels)
    assert tokens.shape == (2, 144, 64)
    torch.testing.assert_close(tokens, slow_transface(state, pixels, 8), atol=1e-5, rtol=1e-4)


def test_the_networks_have_the_size_of_the_published_ones() -> None:
    with torch.device("meta"):
        e4e, transface = E4e().state_dict(), TransFace(512, 2048, 12, 9, 144)
    del e4e["latent_avg"]
    assert (len(e4e), sum(value.numel() for value in e4e.values())) == (621, 267_161_076)
    assert sum(units for *_, units in STAGES) == 24
    # what the published 86,660,864 have besides: the recogniser's head, the weights of patches, the mask token
    head = 512 * 144 * 512 + 2 * 512 + 512 * 512 + 2 * 512
    besides = head + 144 * 512 * 144 + 144 * 144 + 512
    assert sum(value.numel() for value in transface.parameters()) + besides == 86_660_864


def test_a_published_e4e_file_is_read_with_its_options_beside_the_tensors(tmp_path: Path) -> None:
    state = e4e_state()
    encoder = {f"encoder.{name}": value for name, value in state.items() if name != "latent_avg"}
    options = {"stylegan_size": 1024, "start_from_latent_avg": True, "checkpoint_path": None, "lpips_lambda": 0.8}
    path = tmp_path / "e4e_ffhq_encode.pt"
    torch.save({"state_dict": encoder, "latent_avg": state["latent_avg"][:1], "opts": options}, path)
    network = build_e4e(read_checkpoint(path))
    assert torch.equal(network.latent_avg, state["latent_avg"][:1].expand(ROWS, -1))
    torch.save({"state_dict": encoder, "opts": options}, path)
    with pytest.raises(WrongWeightsError, match=r"no e4e encoder with a mean code"):
        build_e4e(read_checkpoint(path))


def test_another_file_is_named_with_what_it_has() -> None:
    with pytest.raises(WrongWeightsError, match=r"x\.pt is no TransFace.*a\.b"):
        build_transface(Checkpoint("x.pt", {"a.b": torch.zeros(1)}))
    state = transface_state()
    del state["blocks.1.attn.proj.bias"]
    with pytest.raises(WrongWeightsError, match=r"blocks\.1\.attn\.proj\.bias"):
        build_transface(Checkpoint("x.pt", state))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """With both towers, small ones, where their publishers' files belong."""
    models = tmp_path_factory.mktemp("models")
    entries = {entry.id: entry for entry in Manifest.load().entries}
    for weights_id, content in (
        ("transface_s", transface_state()),
        ("e4e_ffhq_encode", dict(e4e_checkpoint(e4e_state()).tensors)),
    ):
        path = models / entries[weights_id].folder / entries[weights_id].file
        path.parent.mkdir()
        torch.save(content, path)
    return Registry(TorchRuntime(model_folders={"": models}))


def test_wplus_reads_people_with_e4e_and_fact_with_transface(registry: Registry) -> None:
    person = somebody()
    codes, said = person_features(WPLUS, person, Sources(registry))
    assert codes.need_vision("").shape == (2, 18, 16) and said.startswith("e4e_ffhq on 2 picture(s)")
    tokens, said = person_features(FACT, person, Sources(registry))
    assert tokens.need_vision("").shape == (2, 144, 64) and "head" not in said
    assert "transface_s on 2 picture(s), face and hair cut out by an outline" in said
    weights = person.weights[1:] / person.weights[1:].sum()
    second = replace(person, crops=person.crops[1:], landmarks=person.landmarks[1:], weights=weights)
    single, _ = person_features(FACT, second, Sources(registry))
    torch.testing.assert_close(single.need_vision("")[0], tokens.need_vision("")[1], atol=1e-4, rtol=1e-4)


def test_connected_features_go_before_the_own_tower(registry: Registry) -> None:
    given = torch.ones(2, 18, 512)
    features, said = person_features(WPLUS, somebody(), Sources(registry, given=given))
    assert torch.equal(features.need_vision(""), given) and "as connected" in said


@pytest.mark.parametrize(("family", "file"), [(WPLUS, "e4e_ffhq_encode.pt"), (FACT, "ms1mv2_model_TransFace_S.pt")])
def test_a_missing_tower_is_named_with_folder_and_licence(family: object, file: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=rf"{file}.*is missing.*Licence"):
        person_features(family, somebody(), Sources(Registry(TorchRuntime(model_folders={"": tmp_path}))))  # type: ignore[arg-type]


def test_every_own_tower_has_a_file_that_the_load_node_does_not_take_for_an_adapter() -> None:
    assert {weights_id for weights_id, _ in OWN_TOWERS.values()} <= set(TOWER_FILES.values())
