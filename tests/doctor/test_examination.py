"""The examination finds what is there, elsewhere, wrong, twice or missing, and says it so that it can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from likeness.cli import doctor
from likeness.pipelines.doctor.checkup import examine
from likeness.pipelines.doctor.files import embedded_problems
from likeness.pipelines.doctor.text import as_text
from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.pipelines.weights import Manifest
from likeness.tests.download.file_server import sha256

HOST = {"version": "0.30.0", "in": "/comfy"}
DETECTOR, RECOGNISER, SWAPPER = b"detector" * 50, b"recogniser" * 90, b"swapper" * 100
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def small_manifest() -> Manifest:
    """The pack's own, with small contents standing for three files."""
    contents = {"insightface_scrfd_10g": DETECTOR, "insightface_w600k_r50": RECOGNISER, "inswapper_128": SWAPPER}
    manifest = Manifest.load()
    entries = tuple(
        replace(entry, size_bytes=len(contents[entry.id]), sha256=sha256(contents[entry.id]), about_bytes=None)
        if entry.id in contents
        else entry
        for entry in manifest.entries
    )
    return Manifest(entries, manifest.archives)


def examined(models: Path, packs: Path | None = None, check: bool = True) -> dict[str, Any]:
    registry = Registry(TorchRuntime(model_folders={"": models}), small_manifest())
    found = examine(registry, [packs] if packs else [], HOST, check)
    assert json.loads(json.dumps(found)) == found
    return found


def put(models: Path, place: str, content: bytes) -> Path:
    path = models / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_without_any_weights_everything_works_and_every_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    found = examined(tmp_path)
    assert found["problems"] == [] and found["notes"] == [] and found["conflicts"] == []
    lacking = {name for name, item in found["capabilities"].items() if not item["works"]}
    assert lacking == {
        "tell the parts of a face apart",
        "draw lips for a speech with a network",
    }
    assert found["capabilities"]["see what hides a face"]["choice"].startswith("Occluder: guess.")
    assert "embedded" in found["capabilities"]["find and tell apart faces"]["choice"]
    assert found["capabilities"]["find and tell apart faces"]["passed"][0].startswith("Not antelopev2: ")
    assert found["capabilities"]["hear speech"]["passed"][-1] == "Speech heads here: none."
    assert found["onnxruntime"]["providers"]["CPUExecutionProvider"] == "runs"
    text = as_text(found)
    assert text.startswith("All is well\nLikeness ") and text.endswith("No problems found.")
    for name, item in found["weights"].items():
        assert item["path"] is None
        assert item["command"] == f"./likeness fetch {name}"
        assert Path(item["target"]).is_relative_to(tmp_path)
        assert f"- {name} " in text and item["licence"] in text and item["size"] in text
    assert "insightface/models/antelopev2/scrfd_10g_bnkps.onnx" in text
    assert "\n  Load DICE-Talk\n" in text and "\n  Load LivePortrait, Animate Portrait, " in text
    assert max(len(line) for line in text.splitlines()) < 300


def test_present_files_are_found_also_under_the_names_of_other_packs(tmp_path: Path) -> None:
    put(tmp_path, "insightface/inswapper_128.onnx", SWAPPER)
    alias = put(tmp_path, "insightface/models/buffalo_l/det_10g.onnx", DETECTOR)
    found = examined(tmp_path)
    assert found["weights"]["inswapper_128"]["state"] == "present"
    assert found["weights"]["insightface_scrfd_10g"]["state"] == "elsewhere"
    assert found["weights"]["insightface_scrfd_10g"]["path"] == str(alias)
    text = as_text(found)
    assert f"{alias}\n    used where it lies; its own place would be " in text
    assert found["problems"] == []


def test_speech_heads_that_were_trained_here_are_named(tmp_path: Path) -> None:
    for name in ("mine", "yours"):
        put(tmp_path, f"likeness/speech_heads/{name}.safetensors", b"")
    passed = examined(tmp_path)["capabilities"]["hear speech"]["passed"]
    assert passed[0].startswith("Not encoder: no speech head is connected.")
    assert passed[-1] == "Speech heads here: mine, yours."


def test_a_right_name_with_a_wrong_content_is_a_problem_with_both_hashes(tmp_path: Path) -> None:
    put(tmp_path, "insightface/inswapper_128.onnx", SWAPPER[:-1] + b"?")
    found = examined(tmp_path)
    assert found["weights"]["inswapper_128"]["state"] == "wrong"
    (problem,) = found["problems"]
    assert sha256(SWAPPER) in problem and sha256(SWAPPER[:-1] + b"?") in problem
    assert f"PROBLEM: {problem}" in as_text(found)
    big = put(tmp_path, "insightface/inswapper_128.onnx", b"?" * 5000)
    found = examined(tmp_path, check=False)
    (problem,) = found["problems"]
    assert sha256(big.read_bytes()) in problem
    assert "swap faces: not until the problem below is solved" in as_text(found)


def test_copies_misplaced_files_pointers_and_unfinished_downloads_are_worth_tidying(tmp_path: Path) -> None:
    here = put(tmp_path, "insightface/inswapper_128.onnx", SWAPPER)
    there = put(tmp_path, "checkpoints/somewhere/swap.onnx", SWAPPER)
    pointer = put(tmp_path, "facefusion/uniface_256.onnx", POINTER)
    partial = put(tmp_path, "pulid/pulid_v1.bin.partial", b"12345")
    cut = put(tmp_path, "liveportrait/motion_extractor.safetensors", bytes(10_000))
    found = examined(tmp_path)
    notes = "\n".join(found["notes"])
    assert f"{there} is inswapper_128, where nobody looks for it: move it to {here}." in notes
    assert f"{pointer} is only a Git LFS pointer" in notes
    assert f"{partial} is an unfinished download" in notes
    assert "inswapper_128 (0.0 MB) is there 2 times" in notes
    assert f"{cut} has 0.0 MB, published are about 112 MB: it may be cut off" in "\n".join(found["problems"])
    assert "run `git lfs pull`" in "\n".join(found["problems"])
    assert (len(found["problems"]), len(found["notes"])) == (2, 4)
    assert as_text(found).startswith("2 problems, 4 things worth tidying: see the end\nLikeness ")


def pack(folder: Path, name: str, source: str) -> None:
    put(folder, f"{name}/nodes/__init__.py", source.encode())


def test_packs_that_change_what_ours_relies_on_are_named_with_file_and_line(tmp_path: Path) -> None:
    packs = tmp_path / "custom_nodes"
    pack(packs, "harmless", "import comfy.sd\nfolder_paths.folder_names_and_paths['mine'] = ([], set())\n")
    pack(
        packs, "patcher", "import comfy.ldm.modules.attention\n\ncomfy.ldm.modules.attention.optimized_attention = f\n"
    )
    pack(packs, "flux", "def f(m):\n    m.diffusion_model.forward_orig = g.__get__(m)\n")
    pack(packs, "taker", "folder_paths.folder_names_and_paths['insightface'] = (['x'], set())\n")
    pack(packs, "purger", "import sys\ndel sys.modules['insightface']\nbroken")
    pack(packs, "switched_off.disabled", "comfy.x = 1\n")
    pack(packs, "unreadable", "def (:\n")
    pack(packs, "comfyui-reactor-node", "")
    put(packs, "Copy/weights_manifest.json", b"{}")
    put(packs, "Copy/web/docs/LikenessSwapFaces.md", b"#")
    lines = examined(tmp_path / "models", packs)["conflicts"]
    assert [line.partition(":")[0] for line in lines] == [
        "comfyui-reactor-node",
        "Copy",
        "flux",
        "patcher",
        "purger",
        "taker",
    ]
    text = "\n".join(lines)
    assert "replaces comfy.ldm.modules.attention.optimized_attention (nodes/__init__.py:3)" in text
    assert "replaces m.diffusion_model.forward_orig (nodes/__init__.py:2)" in text
    assert "takes the model folder 'insightface' for itself" in text
    assert "removes loaded modules (nodes/__init__.py:2)" in text
    assert "a second copy of this pack" in text


def test_the_command_prints_json_and_says_with_its_exit_code_whether_there_are_problems(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from likeness.cli.comfyui import ComfyUI

    monkeypatch.setattr(doctor, "chosen_comfyui", lambda: ComfyUI(tmp_path, tmp_path, "the test"))
    assert doctor.main(["--json", "--quick"]) == 0
    assert json.loads(capsys.readouterr().out)["comfyui"]["found as"] == "the test"
    put(tmp_path, "models/insightface/inswapper_128.onnx", b"cut")
    assert doctor.main([]) == 1
    told = capsys.readouterr().out
    assert "PROBLEM: " in told and "3 bytes" in told


def test_every_choice_of_a_backend_in_the_library_is_a_capability() -> None:
    import ast

    from likeness.pipelines.doctor import capabilities
    from likeness.pipelines.doctor.capabilities import CAPABILITIES

    root = Path(doctor.__file__).parents[1] / "pipelines"
    chosen: set[str] = set()
    for path in root.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.args.args:
                automatic = any(ast.unparse(default) in ("'auto'", "AUTO") for default in node.args.defaults)
                loads = node.name.startswith("load_") and node.args.args[0].arg == "registry"
                if automatic and (loads or path.parent.name == "audio"):
                    chosen.add(node.name)
    source = Path(capabilities.__file__).read_text(encoding="utf-8")
    chosen.discard("load_shared")  # its `auto` is the family of a file that the user picks
    assert len(CAPABILITIES) == len(chosen) >= 6
    chosen.remove("listen")  # its choice needs no file: the capability asks the listeners themselves
    assert "LISTENERS" in source
    assert [name for name in chosen if f"{name}" not in source] == []


def test_a_wrong_file_stops_the_node_that_wants_it_with_the_same_words(tmp_path: Path) -> None:
    put(tmp_path, "insightface/inswapper_128.onnx", b"cut")
    registry = Registry(TorchRuntime(model_folders={"": tmp_path}), small_manifest())
    with pytest.raises(WrongWeightsError) as caught:
        registry.find("inswapper_128")
    assert str(caught.value) in examined(tmp_path)["problems"]


def test_a_damaged_file_of_the_pack_itself_is_a_problem(tmp_path: Path) -> None:
    manifest = small_manifest()
    first = replace(manifest.entries[0], sha256="0" * 64)
    gone = replace(manifest.entries[1], file="gone.safetensors")
    damaged = Manifest((first, gone, *manifest.entries[2:]), manifest.archives)
    problems = embedded_problems(damaged, TorchRuntime(model_folders={"": tmp_path}))
    assert len(problems) == 2
    assert "0" * 64 in problems[0] and "git checkout ." in problems[0]
    assert "gone.safetensors is missing: run `git checkout .`" in problems[1]
    assert embedded_problems(manifest, TorchRuntime(model_folders={"": tmp_path})) == []
