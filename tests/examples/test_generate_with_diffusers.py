"""The script that generates without ComfyUI, on a tiny pipeline of random weights and a real photo."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from likeness.cli.parity.fixture import Fixture
from likeness.pipelines.adapters.features import Sources
from likeness.pipelines.adapters.library import LoadedAdapter, load_shared
from likeness.pipelines.errors import InputError
from likeness.pipelines.identity.identity import EncodedReferences, Identity
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "parity" / "fixtures" / "sd15_faceid_unet.safetensors"
SIZE = 64


@pytest.fixture(scope="module")
def script() -> Any:
    path = ROOT / "examples" / "generate_with_diffusers.py"
    spec = importlib.util.spec_from_file_location("generate_with_diffusers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pipe() -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from likeness.tests.adapters.diffusers_models import unet

    torch.manual_seed(0)
    network = unet(Fixture(FIXTURE))
    letters = [chr(97 + index) for index in range(26)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=network.config.cross_attention_dim, intermediate_size=64,
        num_hidden_layers=1, num_attention_heads=2, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, sample_size=SIZE,
    )  # fmt: skip
    made = StableDiffusionPipeline(
        vae=vae.eval(), text_encoder=CLIPTextModel(text).eval(), unet=network,
        tokenizer=CLIPTokenizer(
            vocab={word: index for index, word in enumerate(words)}, merges=[], model_max_length=77
        ),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(TorchRuntime())


@pytest.fixture(scope="module")
def loaded(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> LoadedAdapter:
    """FaceID of the tiny model's sizes, in a file as it is published."""
    f = Fixture(FIXTURE)
    width = f.json("unet_config")["context_dim"]
    random = torch.Generator().manual_seed(0)
    tensors = f.weights("adapter_shapes")
    tensors |= {
        "image_proj.proj.0.weight": torch.randn(32, 512, generator=random),
        "image_proj.proj.0.bias": torch.zeros(32),
        "image_proj.proj.2.weight": torch.randn(4 * width, 32, generator=random),
        "image_proj.proj.2.bias": torch.zeros(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    path = tmp_path_factory.mktemp("adapter") / "ip-adapter-faceid_sd15.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return load_shared(registry, path)


def person(seed: int) -> Identity:
    random = np.random.default_rng(seed)
    raw = random.standard_normal((1, 512)).astype(np.float32)
    return Identity(
        name=f"person {seed}",
        crops=torch.zeros(1, 512, 512, 3, dtype=torch.uint8),
        landmarks=np.zeros((1, 478, 3), np.float32),
        weights=np.ones(1, np.float32),
        vectors=(EncodedReferences("arcface_w600k_r50", "random", raw),),
    )


def wish(script: Any, **changes: Any) -> Any:
    return script.Wish("a person", width=SIZE, height=SIZE, **{"steps": 3, "lora_strength": 0.0, **changes})


def picture(script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry, *people: Identity, **changes: Any):
    made = script.generate(pipe, loaded, people or (person(1),), Sources(registry), wish(script, **changes))
    assert made[0].size == (SIZE, SIZE)
    return np.asarray(made[0], dtype=np.float32)


def bare(pipe: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    made = pipe(
        "a person", width=SIZE, height=SIZE, num_inference_steps=3, guidance_scale=5.0, generator=generator,
        negative_prompt="",
    )  # fmt: skip
    return np.asarray(made.images[0], dtype=np.float32)


def test_a_person_changes_the_picture_and_leaves_the_pipeline_as_it_was(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    before = bare(pipe)
    one, other = (picture(script, pipe, loaded, registry, person(seed)) for seed in (1, 2))
    assert np.abs(one - before).max() > 2 and np.abs(one - other).max() > 2
    assert np.array_equal(bare(pipe), before)


def test_strength_0_and_a_window_that_never_opens_give_the_picture_without_anybody(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    before = bare(pipe)
    assert np.array_equal(picture(script, pipe, loaded, registry, strength=0.0), before)
    assert np.array_equal(picture(script, pipe, loaded, registry, start=0.5, end=0.5), before)
    late = picture(script, pipe, loaded, registry, start=0.5)
    assert np.abs(late - before).max() > 0
    assert np.abs(late - picture(script, pipe, loaded, registry)).max() > 0


def test_the_lora_of_the_file_has_a_strength_of_its_own(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    assert not np.array_equal(picture(script, pipe, loaded, registry, strength=0.0, lora_strength=1.0), bare(pipe))


def test_pictures_without_guidance_have_one_side_only(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    one, other = (picture(script, pipe, loaded, registry, person(seed), guidance=1.0) for seed in (1, 2))
    assert np.abs(one - other).max() > 0


def test_two_people_share_the_picture_in_soft_columns(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    masks = script.columns(2, SIZE, SIZE // 2)
    assert masks.shape == (2, SIZE // 2, SIZE)
    assert float(masks[0, :, :20].min()) == pytest.approx(1) and float(masks[0, :, -20:].max()) == pytest.approx(0)
    assert float((masks.sum(0) - 1).abs().max()) < 1e-5
    pictures = [picture(script, pipe, loaded, registry, *pair) for pair in ((person(1), person(2)), (person(1),))]
    assert np.abs(pictures[0] - pictures[1]).max() > 0


def test_a_photo_becomes_a_person_by_the_recogniser_of_the_family(
    script: Any, loaded: LoadedAdapter, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    from likeness.pipelines.adapters.masterweaver import MASTERWEAVER
    from likeness.pipelines.errors import MissingPackageError, MissingWeightsError

    photo = ROOT / "assets" / "samples" / "astronaut.png"
    (identity,) = script.load_people(registry, MASTERWEAVER, [[photo]])  # which asks for no vector
    assert identity.encoders == ("dlib_resnet_128",) and "weight 1.00" in capsys.readouterr().out
    with pytest.raises((MissingWeightsError, MissingPackageError), match="w600k_r50|insightface"):
        script.load_people(registry, loaded.adapter.family, [[photo]])


def test_the_command_line_reads_people_and_refuses_families_of_the_prompt(
    script: Any, pipe: Any, registry: Registry
) -> None:
    options = script._options(
        "--model m --adapter a.bin --person a.jpg b.jpg --person c.jpg --prompt snow --start 0.2 --count 2".split()
    )
    assert [len(photos) for photos in options.person] == [2, 1]
    assert (options.start, options.count, options.guidance) == (0.2, 2, 5.0)
    with pytest.raises(SystemExit):
        script._options(["--prompt", "snow"])


def test_an_adapter_of_another_model_is_refused_before_anything_is_drawn(
    script: Any, pipe: Any, loaded: LoadedAdapter, registry: Registry
) -> None:
    from dataclasses import replace

    class Other:
        adapter = replace(loaded.adapter, backbone="SDXL")

        def ready(self) -> Any:
            return replace(loaded.ready(), backbone="SDXL")

    with pytest.raises(InputError, match="SDXL"):
        script.generate(pipe, Other(), (person(1),), Sources(registry), wish(script, lora_strength=0.0))
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in pipe.unet.modules())
