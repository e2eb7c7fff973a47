"""Pictures of a person from a prompt with diffusers, without ComfyUI.

    python examples/generate_with_diffusers.py --model stable-diffusion-xl-base-1.0 --adapter ip-adapter.bin \\
        --person alice1.jpg alice2.jpg --prompt "portrait in the snow" --models ComfyUI/models --out pictures

Needs `pip install diffusers transformers accelerate` and what `pip install .[library]` brings. --model is a folder in
the diffusers layout or one .safetensors file; --adapter a file of FaceID, InstantID, PuLID, MasterWeaver or another
family that acts on the attention; --models the folder that holds the recognisers (see the README). Name --person once
per person: several of them share the picture in columns, left to right.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def _make_importable() -> None:
    """Let `import likeness` find this checkout where the package is not installed."""
    checkout = Path(__file__).resolve().parents[1]
    if importlib.util.find_spec("likeness") is None:
        spec = importlib.util.spec_from_file_location(
            "likeness", checkout / "__init__.py", submodule_search_locations=[str(checkout)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{checkout} has no __init__.py: the checkout is incomplete")
        sys.modules["likeness"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["likeness"])


if "likeness" not in sys.modules:
    _make_importable()

from likeness.pipelines.adapters.application import Application, Window  # noqa: E402
from likeness.pipelines.adapters.diffusers_changes import attach_weights  # noqa: E402
from likeness.pipelines.adapters.diffusers_host import (  # noqa: E402
    GUIDED,
    UNGUIDED,
    attach,
    discrete_sigma,
    flow_sigma,
)
from likeness.pipelines.adapters.family import Family  # noqa: E402
from likeness.pipelines.adapters.features import RECOGNISERS, Seen, Sources  # noqa: E402
from likeness.pipelines.adapters.layout import PeopleRegions, soft  # noqa: E402
from likeness.pipelines.adapters.library import LoadedAdapter, load_shared  # noqa: E402
from likeness.pipelines.adapters.people import ModelDials, TokenDials, apply_people  # noqa: E402
from likeness.pipelines.errors import LikenessError  # noqa: E402
from likeness.pipelines.identity.backends import load_analysis  # noqa: E402
from likeness.pipelines.identity.build import build_identity  # noqa: E402
from likeness.pipelines.identity.identity import Identity  # noqa: E402
from likeness.pipelines.registry import Registry  # noqa: E402
from likeness.pipelines.runtime import TorchRuntime  # noqa: E402

#: Soft border between two people, as a part of the picture's side.
FEATHER = 0.05


@dataclass(frozen=True)
class Wish:
    """What is to be drawn. start, end: part of the sampling in [0, 1] in which the identity acts."""

    prompt: str
    negative: str = ""
    strength: float = 1.0
    lora_strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    width: int = 1024
    height: int = 1024
    steps: int = 30
    guidance: float = 5.0
    count: int = 1
    seed: int = 0


def read_photo(path: Path) -> Tensor:
    """(1, H, W, 3) in [0, 1], the right way up."""
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        return torch.from_numpy(np.asarray(upright, dtype=np.float32) / 255)[None]


def load_people(registry: Registry, family: Family, photos: Sequence[Sequence[Path]]) -> tuple[Identity, ...]:
    """One identity per list of photos, encoded by the recogniser that the family was trained on."""
    backend = "embedded" if family.vector is None else RECOGNISERS[family.vector.recogniser][0]
    analysis, said = load_analysis(registry, backend)
    print(said)
    people: list[Identity] = []
    for number, files in enumerate(photos, 1):
        identity, report = build_identity(analysis, [read_photo(path) for path in files], f"person {number}")
        print(report.text)
        people.append(identity)
    return tuple(people)


def columns(count: int, width: int, height: int) -> Tensor:
    """(P, height, width): soft columns of equal width, from left to right."""
    edges = [width * index / count for index in range(count + 1)]
    sharp = torch.zeros(count, height, width)
    for mask, left, right in zip(sharp, edges[:-1], edges[1:], strict=True):
        mask[:, round(left) : round(right)] = 1
    return soft(sharp, FEATHER)


class VisionTower:
    """A CLIP vision model of transformers, for families that read the photos (FaceID Plus, MasterWeaver)."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import CLIPVisionModelWithProjection

        self._model: Any = CLIPVisionModelWithProjection.from_pretrained(folder).to(device).eval()

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Seen:
        states = self._model(pixels.to(self._model.device), output_hidden_states=True).hidden_states
        return Seen(states[-2], states[-1])


def load_pipeline(model: Path, backbone: str, device: str, dtype: torch.dtype) -> Any:
    """The pipeline of the kind of model that the adapter is for."""
    import diffusers

    names = {"SD1.5": "StableDiffusionPipeline", "SDXL": "StableDiffusionXLPipeline", "FLUX": "FluxPipeline"}
    kind = getattr(diffusers, names[backbone])
    load = kind.from_single_file if model.is_file() else kind.from_pretrained
    return load(model, torch_dtype=dtype).to(device)


def window(wish: Wish, flow: bool, sigma_at: Any) -> Window:
    """The wished part of the sampling in sigmas."""
    first, last = (1 - part if flow else sigma_at(999 * (1 - part)) for part in (wish.start, wish.end))
    return Window(math.inf if wish.start <= 0 else first, 0.0 if wish.end >= 1 else last)


def generate(pipe: Any, loaded: LoadedAdapter, people: Sequence[Identity], sources: Sources, wish: Wish) -> list[Any]:
    """The pictures as PIL images; the pipeline is afterwards what it was before."""
    flow = hasattr(pipe, "transformer")
    network = pipe.transformer if flow else pipe.unet
    sigma_at = flow_sigma if flow else discrete_sigma(pipe.scheduler.alphas_cumprod)
    masks = columns(len(people), wish.width, wish.height) if len(people) > 1 else None
    dials = ModelDials(wish.strength, window(wish, flow, sigma_at))
    applications, said = apply_people(loaded, PeopleRegions(tuple(people), masks), sources, TokenDials(), dials)
    print(said)
    return _sample(pipe, network, loaded, applications, sigma_at, wish)


def _sample(
    pipe: Any,
    network: torch.nn.Module,
    loaded: LoadedAdapter,
    applications: Sequence[Application],
    sigma_at: Any,
    wish: Wish,
) -> list[Any]:
    flow = sigma_at is flow_sigma
    sides = GUIDED if wish.guidance > 1 and not flow else UNGUIDED
    negative = {} if flow else {"negative_prompt": wish.negative}
    with ExitStack() as until_drawn:
        for change in attach_weights(network, loaded.adapter, wish.lora_strength):
            until_drawn.callback(change.remove)
        until_drawn.callback(attach(network, applications, sides, sigma_at).remove)
        return pipe(
            prompt=wish.prompt, width=wish.width, height=wish.height, num_inference_steps=wish.steps,
            guidance_scale=wish.guidance, num_images_per_prompt=wish.count,
            generator=torch.Generator().manual_seed(wish.seed), **negative,
        ).images  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the script; 0 when the pictures were written."""
    options = _options(arguments)
    registry = Registry(TorchRuntime(options.device, {"": options.models}))
    loaded = load_shared(registry, options.adapter, options.family)
    family = loaded.adapter.family
    people = load_people(registry, family, options.person)
    tower = VisionTower(options.clip_vision, options.device) if options.clip_vision else None
    pipe = load_pipeline(options.model, loaded.adapter.backbone, options.device, getattr(torch, options.dtype))
    wish = Wish(**{name: getattr(options, name) for name in Wish.__dataclass_fields__})
    options.out.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(generate(pipe, loaded, people, Sources(registry, tower), wish)):
        path = options.out / f"{wish.seed}_{number}.png"
        picture.save(path)
        print(f"wrote {path}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="diffusers folder or .safetensors file")
    parser.add_argument("--adapter", type=Path, required=True, help="file of the identity adapter")
    parser.add_argument("--family", default="auto", help="where keys and name of the file do not tell")
    parser.add_argument("--person", type=Path, nargs="+", action="append", required=True, metavar="PHOTO")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder like ComfyUI/models")
    parser.add_argument("--clip-vision", type=Path, help="transformers folder of the vision model, where one is read")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="float16", choices=("float16", "bfloat16", "float32"))
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--prompt", required=True)
    for name, field in Wish.__dataclass_fields__.items():
        if name != "prompt":
            kind = type(field.default)
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=field.default, help="%(default)s")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LikenessError as error:
        sys.exit(str(error))
