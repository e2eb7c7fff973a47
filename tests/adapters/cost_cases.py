"""What adapters cost while ComfyUI samples: work per step, memory, waiting, compilation, precision."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

import comfy.model_management
import torch
from tiny_graph import ODD, assert_close, assert_different, base, counted, known, person
from tiny_models import TEXT, conditioning, sample
from torch.utils._python_dispatch import TorchDispatchMode

from likeness.nodes.attach import attach
from likeness.pipelines.adapters.application import Window
from likeness.pipelines.adapters.injectors import KeyValueSite
from likeness.pipelines.adapters.schedule import StepCurve


def case_keys_and_values_are_projected_once_per_sampling_and_weighed_once() -> None:
    model = attach(base("SD1.5"), person())
    for _ in range(2):
        with counted(KeyValueSite, "project") as projected, counted(KeyValueSite, "weigh") as weighed:
            sample(model, "SD1.5", steps=4)
        assert len(projected) == 16 and set(projected.values()) == {1}
        assert set(weighed.values()) == {1}


def case_nothing_made_for_a_sampling_is_kept_after_it() -> None:
    model = attach(base("SD1.5"), person(mask=torch.ones(1, 8, 8)))
    sample(model, "SD1.5")
    attachment = model.model_options["transformer_options"]["patches"]["likeness"][0].attachment
    assert not attachment._prepared and not attachment._regions and not attachment._last


def case_adapter_weights_are_loaded_and_counted_with_the_model_and_freed_with_it() -> None:
    model = attach(base("SD1.5"), person("cascade"))
    seen: list[int] = []

    def look(patcher: Any, *_: Any) -> None:
        own = model.model_options["transformer_options"]["patches"]["likeness"][0].models()
        loaded = [entry.model for entry in comfy.model_management.current_loaded_models]
        seen.append(sum(patcher.model_size() for patcher in own if patcher in loaded))

    from comfy.patcher_extension import CallbacksMP

    model.add_callback(CallbacksMP.ON_PRE_RUN, look)
    sample(model, "SD1.5")
    parameters = sum(p.numel() * 4 for site in known("cascade").sites.values() for p in site.parameters())
    assert seen == [parameters], (seen, parameters)
    comfy.model_management.unload_all_models()
    assert comfy.model_management.current_loaded_models == []


class Transfers(TorchDispatchMode):
    """Counts what makes the host wait for the device: reading a scalar, deciding on a tensor's value."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in WAITS:
            self.counts[str(func.overloadpacket)] += 1
        return func(*args, **(kwargs or {}))


WAITS = {torch.ops.aten._local_scalar_dense, torch.ops.aten.is_nonzero, torch.ops.aten.nonzero, torch.ops.aten.equal}


def case_the_attention_never_waits_for_the_device() -> None:
    def transfers(model: Any, name: str) -> dict[int, int]:
        counts: dict[int, int] = {}
        for steps in (2, 3):
            with Transfers() as seen:
                sample(model, name, steps=steps, size=ODD)
            counts[steps] = sum(seen.counts.values())
        return counts

    for way, name in WAYS.items():
        own = transfers(base(name), name)
        masked = one_of(way, mask=torch.ones(1, 72, 104))
        ours = transfers(attach(base(name), masked), name)
        assert ours[3] - ours[2] == own[3] - own[2], (way, ours, own)
        timed = one_of(way, window=Window(sigma_end=0.01))
        ours = transfers(attach(base(name), timed), name)
        assert ours[3] - ours[2] == own[3] - own[2] + 1, (way, "once per step", ours, own)


def case_the_patches_survive_torch_compile_without_a_graph_break_or_a_recompilation() -> None:
    from comfy_api.torch_helpers.torch_compile import set_torch_compile_wrapper
    from torch._dynamo.utils import counters

    for way, name in WAYS.items():
        model = attach(base(name), one_of(way, mask=torch.ones(1, 32, 32), curve=StepCurve(((0.0, 1.0), (1.0, 0.3)))))
        expected = sample(model, name, steps=3, size=(4, 4))
        torch._dynamo.reset()
        counters.clear()
        set_torch_compile_wrapper(model, backend="eager")
        assert_close(sample(model, name, steps=3, size=(4, 4)), expected)
        assert not counters["graph_break"], (way, counters["graph_break"])
        assert counters["stats"]["unique_graphs"] == 1, (way, counters["stats"])


def case_half_precision_models_agree_with_float32_within_their_dtype() -> None:
    def error(way: str, dtype: torch.dtype, *how: Any) -> float:
        exact = predict(way, torch.float32, *how)
        return ((predict(way, dtype, *how) - exact).abs().max() / exact.std()).item()

    for way in WAYS:
        assert_different(predict(way, torch.float32), predict(way, torch.float32, False, 0.0))
        for dtype, tolerance in ((torch.bfloat16, 0.1), (torch.float16, 0.02)):
            # the tiny FLUX is far off in bfloat16 by itself, and an adapter may not add to that
            own = error(way, dtype, False, 0.0) if WAYS[way] == "FLUX" else 0.0
            for attach_first in (False, True):
                found = error(way, dtype, attach_first)
                assert found < max(tolerance, 1.1 * own), (way, dtype, attach_first, found, own)


#: Every way in which identity enters a model: the kinds of sites, and the styles that look at the text's result.
WAYS = {
    "key_value": "SD1.5",
    "cascade": "SD1.5",
    "gated": "SD1.5",
    "ortho": "SD1.5",
    "ortho_v2": "SD1.5",
    "flux": "FLUX",
}


def one_of(way: str, **dials: Any) -> Any:
    """A person on a model in one of WAYS."""
    style = {"style": way} if way.startswith("ortho") else {}
    return person("key_value" if style else way, backbone=WAYS[way], **style, **dials)


def predict(way: str, dtype: torch.dtype, attach_first: bool = False, strength: float = 1.0) -> torch.Tensor:
    """The prediction of the model in a compute dtype that is chosen before or after the adapter is attached."""
    kind = WAYS[way]
    model = base(kind).clone()
    for attaches in (attach_first, not attach_first):
        if attaches:
            model = attach(model, one_of(way, strength=strength))
        else:
            model.set_model_compute_dtype(dtype)
    comfy.model_management.load_models_gpu([model])
    assert model.model.get_dtype_inference() == dtype
    x = torch.randn(2, 16 if kind == "FLUX" else 4, 8, 8, generator=torch.Generator().manual_seed(1))
    sigma = torch.full((2,), 1.0)
    options = {**model.model_options["transformer_options"], "cond_or_uncond": [0, 1], "sigmas": sigma}
    width, pooled = TEXT[kind]
    texts = [conditioning(width, seed, pooled=pooled)[0] for seed in (1, 2)]
    given: dict[str, Any] = {"c_crossattn": torch.cat([text for text, _ in texts])}
    if kind == "FLUX":
        given |= {"y": torch.cat([values["pooled_output"] for _, values in texts]), "guidance": torch.full((2,), 3.5)}
    with torch.inference_mode():
        return model.model.apply_model(x, sigma, transformer_options=options, **given)


if __name__ == "__main__":
    comfy_process.run(globals())
