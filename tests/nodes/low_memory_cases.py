"""What must hold of our models when ComfyUI saves memory; run in a ComfyUI process of its own by test_low_memory.py.

`python low_memory_cases.py COMFYUI_DIR BASE_DIR npu|cuda --lowvram|--novram` prints {case: "" or the traceback} last.
"npu" is main memory as a second device (second_device.py), which ComfyUI then manages as it would a small card.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from comfy_runtime_cases import held, import_pack

#: More than any device has: with it ComfyUI makes room for a model by pushing out all others.
TOO_MUCH = 2**60


def start_comfyui(comfyui: Path, base: Path, device: str, flag: str) -> None:
    sys.path.insert(0, str(comfyui))
    sys.argv = ["main.py", flag, "--base-directory", str(base)]
    if device == "npu":
        import second_device

        second_device.register()
        # a torch made for CUDA has no pinned memory without a driver
        sys.argv.append("--disable-pinned-memory")
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.model_management as mm

    assert mm.vram_state.name == {"--lowvram": "LOW_VRAM", "--novram": "NO_VRAM"}[flag]
    assert mm.get_torch_device().type == device
    assert mm.unet_offload_device().type == "cpu"


def layers() -> Any:
    """Eight layers of 100 KiB, two of 30 KiB, and a number that is no weight."""
    import torch

    sides = [*[160] * 9, 48, 160]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stack = [torch.nn.Linear(a, b, bias=False) for a, b in zip(sides[:-1], sides[1:], strict=True)]
    module = torch.nn.Sequential(*stack)
    module.register_buffer("unit", torch.tensor([0.1]))
    return module.eval().requires_grad_(False)


def kinds_of(module: Any) -> set[str]:
    """Device types that a module lies on."""
    return {tensor.device.type for tensor in module.state_dict().values()}


def push_out(runtime: Any) -> Any:
    """Make another model ready that asks for all memory there is; its handle."""
    other = runtime.hold(layers())
    runtime.ready(other, TOO_MUCH)
    return other


def result(handle: Any) -> Any:
    import torch

    x = torch.linspace(-1, 1, 3 * 160).view(3, 160).to(handle.device)
    return handle.module(x).cpu()


def case_a_module_waits_off_the_device_and_is_whole_on_it_when_it_is_used(runtime: Any) -> None:
    handle = runtime.hold(layers())
    assert kinds_of(handle.module) == {"cpu"}
    assert handle.device.type == runtime.device.type != "cpu"
    runtime.ready(handle)
    assert kinds_of(handle.module) == {runtime.device.type} and held(handle)
    assert handle.patcher.loaded_size() == handle.patcher.model_size()
    assert result(handle).shape == (3, 160)


def case_what_is_called_within_a_sampling_is_whole_where_comfyuis_own_patcher_leaves_a_module_behind(
    runtime: Any,
) -> None:
    import comfy.model_management as mm
    import comfy.model_patcher

    from likeness.nodes.comfy_runtime import whole_patcher

    theirs = comfy.model_patcher.ModelPatcher(layers(), mm.get_torch_device(), mm.unet_offload_device())
    ours = whole_patcher(layers())
    for _ in range(2):
        mm.load_models_gpu([theirs, ours], memory_required=TOO_MUCH)
        assert (kinds_of(theirs.model), kinds_of(ours.model)) == ({"cpu"}, {runtime.device.type})
        assert ours.loaded_size() == ours.model_size()


def case_a_module_that_another_one_pushes_out_comes_back_with_the_same_result(runtime: Any) -> None:
    import torch

    handle = runtime.hold(layers())
    for _ in range(3):
        runtime.ready(handle)
        before = result(handle)
        other = push_out(runtime)
        assert kinds_of(handle.module) == {"cpu"} and not held(handle)
        assert handle.patcher.loaded_size() == 0
        assert kinds_of(other.module) == {runtime.device.type}
        runtime.ready(handle)
        assert kinds_of(handle.module) == {runtime.device.type} and held(handle)
        assert torch.equal(before, result(handle))


def case_a_module_that_is_pushed_out_in_part_comes_back_whole(runtime: Any) -> None:
    import torch

    handle = runtime.hold(layers())
    runtime.ready(handle)
    before, all_of_it = result(handle), handle.patcher.loaded_size()
    # what ComfyUI does when another model needs less than this one has: the smallest layers go first
    freed = handle.patcher.partially_unload(handle.patcher.offload_device, 40 * 1024)
    assert 40 * 1024 < freed < all_of_it
    assert kinds_of(handle.module) == {"cpu", runtime.device.type}
    runtime.ready(handle)
    assert kinds_of(handle.module) == {runtime.device.type}
    assert handle.patcher.loaded_size() == all_of_it
    assert torch.equal(before, result(handle))


def case_two_modules_that_push_each_other_out_take_turns(runtime: Any) -> None:
    import torch

    first, second = (runtime.hold(layers()) for _ in range(2))
    for _ in range(3):
        runtime.ready(first, TOO_MUCH)
        assert (kinds_of(first.module), kinds_of(second.module)) == ({runtime.device.type}, {"cpu"})
        ours = result(first)
        runtime.ready(second, TOO_MUCH)
        assert (kinds_of(first.module), kinds_of(second.module)) == ({"cpu"}, {runtime.device.type})
        assert torch.equal(ours, result(second))


def case_a_module_beside_another_one_is_on_the_device_with_it(runtime: Any) -> None:
    first, second = (runtime.hold(layers()) for _ in range(2))
    push_out(runtime)
    for _ in range(2):
        runtime.ready(first, TOO_MUCH, (second,))
        assert kinds_of(first.module) == kinds_of(second.module) == {runtime.device.type}
    push_out(runtime)
    assert kinds_of(first.module) == kinds_of(second.module) == {"cpu"}


def case_a_session_that_a_module_pushes_out_is_opened_again_with_the_same_result(runtime: Any) -> None:
    import numpy as np
    import onnxruntime

    from likeness.pipelines.doctor.providers import square_network

    opened = []

    def build(device: Any) -> Any:
        opened.append(device.type)
        return onnxruntime.InferenceSession(square_network(), providers=["CPUExecutionProvider"])

    handle = runtime.hold_session(build, 1000)
    runtime.ready(handle)
    (value,) = handle.module.get_inputs()
    x = np.linspace(-3, 3, int(np.prod(value.shape)), dtype=np.float32).reshape(value.shape)
    (before,) = handle.module.run(None, {value.name: x})
    for times in (2, 3):
        push_out(runtime)
        assert handle.module is None and not held(handle) and handle.patcher.loaded_size() == 0
        runtime.ready(handle)
        assert opened == [runtime.device.type] * times
        assert np.array_equal(before, handle.module.run(None, {value.name: x})[0])


def case_the_recogniser_of_the_pack_is_pushed_out_and_says_the_same_of_a_face(runtime: Any) -> None:
    import comfy.model_management as mm
    import numpy as np
    import torch

    from likeness.pipelines.identity.dlib_recogniser import DlibRecogniser
    from likeness.pipelines.registry import Registry
    from likeness.pipelines.runtime import TorchRuntime

    chips = torch.rand(1, 150, 150, 3, generator=torch.Generator().manual_seed(0))
    recogniser = DlibRecogniser(Registry(runtime))
    before = recogniser.embed_chips(chips)
    (patcher,) = (loaded.model for loaded in mm.current_loaded_models if loaded.model.model_size() > 2**20)
    assert kinds_of(patcher.model) == {runtime.device.type}
    push_out(runtime)
    assert kinds_of(patcher.model) == {"cpu"}
    assert np.array_equal(before, recogniser.embed_chips(chips))
    on_cpu = DlibRecogniser(Registry(TorchRuntime("cpu"))).embed_chips(chips)
    # graphics cards round the factors of a convolution to 10 bits
    assert np.abs(on_cpu - before).max() < (1e-2 if runtime.device.type == "cuda" else 1e-5)


def case_an_adapter_of_lips_is_on_the_device_when_its_network_calls_it(runtime: Any) -> None:
    import torch

    from likeness.pipelines.lips.attention_change import AttentionChange
    from likeness.pipelines.lips.musetalk import VERSIONS, MouthDrawer, MuseTalk, MuseTalkOptions
    from likeness.pipelines.lips.unavglip import UnAvgLip

    class Caller(torch.nn.Linear):
        """A network that is nothing but the call of its adapter."""

        def forward(self, latents: Any, tokens: Any, changes: Any) -> Any:
            return latents[:, :4] + super().forward(changes[0].output(tokens, tokens)).mean()

    class Sound:
        def around(self, times_s: Any) -> Any:
            return torch.linspace(-1, 1, 10 * 5 * 384).view(len(times_s), 10, 5, 384)

    sys.path.insert(0, str(Path(__file__).parents[1] / "lips"))
    from tiny_lips import MeansCoder

    change = UnAvgLip(torch.nn.Identity(), {0: AttentionChange(384, 384, 4, 0)})
    unet, adapter = (runtime.hold(module.eval().requires_grad_(False)) for module in (Caller(384, 8), change))
    backend = MuseTalk(VERSIONS[0], MuseTalkOptions(), unet, unet, MeansCoder(), runtime, (), "", adapter=adapter)
    crops = torch.rand(1, 256, 256, 3, generator=torch.Generator().manual_seed(0))
    before = MouthDrawer(backend, Sound(), None).draw(crops, [0.0])
    push_out(runtime)
    assert kinds_of(unet.module) == kinds_of(adapter.module) == {"cpu"}
    assert torch.equal(before, MouthDrawer(backend, Sound(), None).draw(crops, [0.0]))
    assert kinds_of(unet.module) == kinds_of(adapter.module) == {runtime.device.type}


def main() -> None:
    comfyui, base, device, flag = sys.argv[1:]
    start_comfyui(Path(comfyui), Path(base), device, flag)
    import_pack()
    import torch

    from likeness.nodes.comfy_runtime import ComfyRuntime
    from likeness.tests.case_outcomes import outcomes

    torch.set_num_threads(1)
    print(json.dumps(outcomes(globals(), lambda: [ComfyRuntime()])))


if __name__ == "__main__":
    main()
