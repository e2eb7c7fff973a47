"""CodeFormer's network against the published implementation, on synthetic weights of the published key layout."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from likeness.cli.parity.fixture import synthetic
from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.restore import restorer_named
from likeness.pipelines.restore.codeformer_network import CodeFormerNetwork, _Lead

REFERENCE = Path(__file__).parent / "fixtures" / "codeformer.safetensors"
#: From the published checkpoint: its keys with their shapes, a few of each kind.
PUBLISHED = {
    "position_emb": (256, 512),
    "feat_emb.weight": (512, 256),
    "ft_layers.8.self_attn.in_proj_weight": (1536, 512),
    "ft_layers.0.linear1.weight": (1024, 512),
    "idx_pred_layer.1.weight": (1024, 512),
    "quantize.embedding.weight": (1024, 256),
    "encoder.blocks.0.weight": (64, 3, 3, 3),
    "encoder.blocks.3.conv.weight": (64, 64, 3, 3),
    "encoder.blocks.17.q.weight": (512, 512, 1, 1),
    "encoder.blocks.24.weight": (256, 512, 3, 3),
    "generator.blocks.8.conv.weight": (512, 512, 3, 3),
    "generator.blocks.24.weight": (3, 64, 3, 3),
    "fuse_convs_dict.32.encode_enc.conv_out.weight": (256, 512, 1, 1),
    "fuse_convs_dict.256.shift.2.bias": (128,),
}


@torch.no_grad()
def test_the_result_is_that_of_the_published_network():
    with safe_open(REFERENCE, "pt") as file:
        facts = file.metadata()
        expected = file.get_tensor("out.fidelity_0.6")
    seed, shapes = int(facts["seed"]), json.loads(facts["shapes"])
    network = CodeFormerNetwork(**json.loads(facts["config"])).eval()
    network.load_state_dict({key: synthetic(key, shape, seed) for key, shape in shapes.items()})
    coarse = synthetic("in.crop", (1, 3, 16, 16), seed) * 18
    crop = torch.tanh(torch.nn.functional.interpolate(coarse, size=(128, 128), mode="bilinear"))
    result = network(crop, 0.6)
    assert float((result[:, :, ::2, ::2] - expected).abs().max()) < 2e-4
    assert float(expected.std()) > 0.5


def test_at_fidelity_zero_the_encoders_features_do_not_reach_the_decoder():
    lead = _Lead(32)
    decoded = torch.randn(1, 32, 8, 8)
    assert torch.equal(lead(torch.randn(1, 32, 8, 8), decoded, 0.0), decoded)
    assert not torch.equal(lead(torch.randn(1, 32, 8, 8), decoded, 0.5), decoded)


def test_the_keys_and_sizes_are_the_published_ones():
    with torch.device("meta"):
        state = CodeFormerNetwork().state_dict()
    numbers = sum(value.numel() for value in state.values())
    # the published file is a little larger than its float32 numbers: names and the container
    assert len(state) == 515 and 0 < 376_637_898 - 4 * numbers < 200_000
    for key, shape in PUBLISHED.items():
        assert tuple(state[key].shape) == shape, key


def test_a_published_file_is_read_with_every_key_and_another_one_refused(make, registry):
    with torch.device("meta"):
        state = CodeFormerNetwork().state_dict()
    thin = {key: torch.full((1,), 0.01).expand(value.shape) for key, value in state.items()}
    path = make.place(registry, "codeformer")
    torch.save({"params_ema": thin}, path)
    assert restorer_named("codeformer").load(registry).has_fidelity
    thin["generator.blocks.99.weight"] = thin.pop("encoder.blocks.0.weight")
    torch.save({"params_ema": thin}, path)
    with pytest.raises(WrongWeightsError, match=r"codeformer.pth.*missing.*encoder.blocks.0.*unknown.*blocks.99"):
        restorer_named("codeformer").load(registry)
