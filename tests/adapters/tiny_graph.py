"""What the cases share: the tiny models, people on them, and how results are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from tiny_adapters import FLUX_TOKENS, SD15, SDXL, adapter, flux_adapter, tokens
from tiny_models import SD15_CONFIG, SDXL_CONFIG, flux, sample, unet

from likeness.pipelines.adapters.application import Application
from likeness.pipelines.adapters.family import IdentityAdapter

#: One adapter per way in which identity enters a UNet.
KINDS = ("key_value", "cascade", "gated")
#: An odd picture: 72 × 104 px.
ODD = (9, 13)


@cache
def base(kind: str) -> Any:
    """One model for all cases of a process: nothing may change it."""
    return {"SD1.5": lambda: unet(SD15_CONFIG), "SDXL": lambda: unet(SDXL_CONFIG), "FLUX": flux}[kind]()


@cache
def plain(kind: str) -> torch.Tensor:
    """What the model gives before anything was ever attached to it."""
    return sample(base(kind), kind)


@cache
def known(kind: str, backbone: str = "SD1.5") -> IdentityAdapter:
    """The adapter of a kind; "key_value" for SD1.5 has a LoRA as well."""
    if backbone == "FLUX":
        return flux_adapter()
    return adapter(kind, {"SD1.5": SD15, "SDXL": SDXL}[backbone], lora=(kind, backbone) == ("key_value", "SD1.5"))


def person(kind: str = "key_value", seed: int = 11, backbone: str = "SD1.5", **dials: Any) -> Application:
    width = {"SD1.5": SD15.context_width, "SDXL": SDXL.context_width, "FLUX": FLUX_TOKENS}[backbone]
    return Application(known(kind, backbone), tokens(width, seed), **{"strength": 0.8, **dials})


def assert_equal(a: torch.Tensor, b: torch.Tensor) -> None:
    assert torch.equal(a, b), f"they differ by up to {(a - b).abs().max()}"


def assert_close(a: torch.Tensor, b: torch.Tensor, relative: float = 1e-4) -> None:
    error = ((a - b).abs().max() / b.std()).item()
    assert error < relative, f"they differ by {error} of the spread"


def assert_different(a: torch.Tensor, b: torch.Tensor) -> None:
    assert torch.isfinite(a).all() and torch.isfinite(b).all()
    relative = (a - b).std() / b.std()
    assert relative > 1e-2, f"they differ by {relative} of the spread only"


@contextmanager
def counted(kind: type, method: str) -> Iterator[Counter[int]]:
    """How often each site's method runs, by the site's identity."""
    original, counts = getattr(kind, method), Counter[int]()

    def wrapper(self: Any, *args: Any) -> Any:
        counts[id(self)] += 1
        return original(self, *args)

    setattr(kind, method, wrapper)
    try:
        yield counts
    finally:
        setattr(kind, method, original)


def note(model: Any, option: str) -> list[Any]:
    """The value of an option in every call of the model from now on."""
    from comfy.patcher_extension import WrappersMP

    seen: list[Any] = []

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(args[-1][option])
        return executor(*args, **kwargs)

    model.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "test", wrapper)
    return seen
