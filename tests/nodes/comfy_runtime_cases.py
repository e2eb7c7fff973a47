"""What must hold of our runtime inside ComfyUI; run in a ComfyUI process of its own by test_comfy_runtime.py.

`python comfy_runtime_cases.py COMFYUI_DIR BASE_DIR` prints {case: "" or the traceback} as the last line
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import fetching_cases


def start_comfyui(comfyui: Path, base: Path) -> None:
    sys.path.insert(0, str(comfyui))
    os.chdir(base)
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    args.base_directory = str(base)


def import_pack() -> None:
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "likeness", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    pack = importlib.util.module_from_spec(spec)
    sys.modules["likeness"] = pack
    spec.loader.exec_module(pack)
    # the package of the nodes would import every node: these cases need its runtime alone
    nodes = type(sys)("likeness.nodes")
    nodes.__path__ = [str(root / "nodes")]
    sys.modules["likeness.nodes"] = nodes


class Square:
    """Stands for an onnxruntime session: any object that is no torch module."""

    def __call__(self, x: float) -> float:
        return x * x


def linear() -> Any:
    import torch

    module = torch.nn.Linear(2, 1)
    module.load_state_dict({"weight": torch.tensor([[2.0, 3.0]]), "bias": torch.tensor([1.0])})
    return module.eval().requires_grad_(False)


def held(handle: Any) -> bool:
    import comfy.model_management as mm

    return any(loaded.model is handle.patcher for loaded in mm.current_loaded_models)


def case_a_module_runs_and_is_in_comfyuis_list(runtime: Any) -> None:
    import comfy.model_patcher
    import torch

    handle = runtime.hold(linear())
    assert not held(handle)
    runtime.ready(handle, 1000)
    assert held(handle)
    assert comfy.model_patcher.is_model_patcher_output(handle)
    assert handle.module(torch.tensor([1.0, 10.0], device=handle.device)).tolist() == [33.0]


def case_a_module_that_comfyui_frees_comes_back_with_the_same_result(runtime: Any) -> None:
    import comfy.model_management as mm
    import torch

    handle = runtime.hold(linear())
    x = torch.tensor([0.3, 0.7])
    runtime.ready(handle)
    before = handle.module(x.to(handle.device))
    mm.unload_all_models()
    assert not held(handle)
    runtime.ready(handle)
    assert held(handle)
    assert torch.equal(before, handle.module(x.to(handle.device)))


def case_a_module_that_nobody_holds_leaves_comfyuis_list_at_once(runtime: Any) -> None:
    import gc

    import comfy.model_management as mm

    gc.disable()
    handle = runtime.hold(linear())
    runtime.ready(handle)
    module, count = weakref.ref(handle.module), len(mm.current_loaded_models)
    del handle
    gc.enable()
    assert module() is None
    assert len(mm.current_loaded_models) == count - 1


def case_a_module_used_ten_times_is_in_the_list_once(runtime: Any) -> None:
    import comfy.model_management as mm

    handle = runtime.hold(linear())
    for _ in range(10):
        runtime.ready(handle)
    assert sum(loaded.model is handle.patcher for loaded in mm.current_loaded_models) == 1


def case_a_session_is_made_once_and_counted_with_its_size(runtime: Any) -> None:
    made = []
    handle = runtime.hold_session(lambda device: made.append(device.type) or Square(), 123_456)
    assert made == []
    for _ in range(3):
        runtime.ready(handle)
    assert made == ["cpu"]
    assert handle.module(3.0) == 9.0
    assert handle.patcher.loaded_size() == handle.patcher.model_size() == 123_456


def case_a_session_that_comfyui_frees_is_gone_and_made_again_at_the_next_use(runtime: Any) -> None:
    import comfy.model_management as mm

    made = []
    handle = runtime.hold_session(lambda device: made.append(device) or Square(), 1000)
    runtime.ready(handle)
    session = weakref.ref(handle.module)
    mm.unload_all_models()
    assert session() is None
    assert handle.module is None
    assert handle.patcher.loaded_size() == 0
    assert not held(handle)
    runtime.ready(handle)
    assert len(made) == 2
    assert handle.module(4.0) == 16.0


def case_a_session_is_freed_under_memory_pressure_too(runtime: Any) -> None:
    import comfy.model_management as mm

    handle = runtime.hold_session(lambda device: Square(), 1000)
    runtime.ready(handle)
    mm.free_memory(1e30, handle.device)
    assert handle.module is None


def case_a_session_that_nobody_holds_is_gone_at_once(runtime: Any) -> None:
    import gc

    gc.disable()
    handle = runtime.hold_session(lambda device: Square(), 1000)
    runtime.ready(handle)
    session = weakref.ref(handle.module)
    del handle
    gc.enable()
    assert session() is None


def case_a_session_whose_build_fails_leaves_nothing_in_the_list(runtime: Any) -> None:
    import comfy.model_management as mm

    def fail(device: Any) -> Any:
        raise ValueError("no such operator")

    count = len(mm.current_loaded_models)
    handle = runtime.hold_session(fail, 1000)
    try:
        runtime.ready(handle)
    except ValueError as error:
        assert str(error) == "no such operator"
    else:
        raise AssertionError("the error was swallowed")
    assert len(mm.current_loaded_models) == count
    assert handle.module is None


def case_the_registry_shares_and_forgets_inside_comfyui(runtime: Any) -> None:
    from likeness.nodes.comfy_runtime import shared_registry

    registries = []
    threads = [threading.Thread(target=lambda: registries.append(shared_registry())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (registry,) = set(registries)
    weights_id = registry.manifest.entries[0].id
    assert registry.manifest.entries[0].embedded
    first, second = (registry.load(weights_id, lambda path: linear()) for _ in range(2))
    assert first is second
    registry.runtime.ready(first)
    module = weakref.ref(first.module)
    del first, second
    assert module() is None


def case_our_folders_join_the_ones_the_user_already_has(runtime: Any) -> None:
    import folder_paths

    from likeness.nodes.comfy_runtime import register_folders

    own = str(Path(folder_paths.models_dir, "insightface"))
    folder_paths.folder_names_and_paths["insightface"] = (["/elsewhere"], {".pth"})
    for _ in range(2):
        register_folders()
    assert folder_paths.folder_names_and_paths["insightface"] == (["/elsewhere", own], {".pth", ".onnx"})
    paths, endings = folder_paths.folder_names_and_paths["likeness"]
    assert paths == [str(Path(folder_paths.models_dir, "likeness"))]
    assert ".safetensors" in endings


def case_a_folder_that_lists_every_file_still_does(runtime: Any) -> None:
    import folder_paths

    from likeness.nodes.comfy_runtime import register_folders

    folder_paths.folder_names_and_paths["insightface"] = (["/elsewhere"], set())
    register_folders()
    assert folder_paths.folder_names_and_paths["insightface"][1] == set()


def case_weights_are_looked_for_in_extra_paths_first_and_under_legacy_names(runtime: Any) -> None:
    import folder_paths

    models = Path(folder_paths.models_dir)
    folder_paths.folder_names_and_paths["insightface"] = (["/elsewhere/insightface"], {".onnx"})
    assert runtime.model_folders("insightface/models/buffalo_l") == (
        Path("/elsewhere/insightface/models/buffalo_l"),
        models / "insightface/models/buffalo_l",
    )
    assert models / "diffusion_models" in runtime.model_folders("unet")


def case_cancel_stops_at_the_next_step_and_progress_reaches_comfyui(runtime: Any) -> None:
    import comfy.model_management as mm
    import comfy.utils

    seen = []
    comfy.utils.set_progress_bar_global_hook(lambda value, total, preview, node_id=None: seen.append((value, total)))
    progress = runtime.progress(2)
    progress.update()
    progress.update()
    assert seen == [(1, 2), (2, 2)]
    for step in (lambda: runtime.progress(2).update(), runtime.check_cancelled):
        mm.interrupt_current_processing(True)
        try:
            step()
        except mm.InterruptProcessingException:
            continue
        raise AssertionError("the interrupt was not seen")


def main() -> None:
    start_comfyui(Path(sys.argv[1]), Path(sys.argv[2]))
    import_pack()
    from likeness.nodes.comfy_runtime import ComfyRuntime
    from likeness.tests.case_outcomes import outcomes

    print(json.dumps(outcomes(globals() | vars(fetching_cases), lambda: [ComfyRuntime()])))


if __name__ == "__main__":
    main()
