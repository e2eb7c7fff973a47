"""What must hold of the pack's schemas and start-up; run in a ComfyUI process of its own by test_node_surface.py.

The cases of protection_cases.py and statement_cases.py run in the same process.
`python schema_cases.py COMFYUI_DIR BASE_DIR` prints {case: "" or the traceback} as the last line
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import node_surface
import protection_cases
import statement_cases

LOADED_BY_THE_PACK: set[str] = set()


def case_every_node_of_the_pack_builds_its_schema():
    from likeness.nodes import NODES, with_valid_schema

    assert with_valid_schema(NODES) == list(NODES)


def case_ids_carry_the_prefix_and_are_unique():
    from likeness.nodes import NODES

    ids = [node.GET_SCHEMA().node_id for node in NODES]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("Likeness") for name in ids)


def case_a_node_with_a_broken_schema_is_left_out_and_named_and_the_others_stay():
    from comfy_api.latest import io

    from likeness.nodes import NODES, with_valid_schema

    class Broken(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            raise RuntimeError("no schema today")

    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logging.getLogger("likeness").addHandler(handler)
    assert with_valid_schema((NODES[0], Broken, NODES[1])) == [NODES[0], NODES[1]]
    assert "Broken" in records[0].getMessage()


def handed_to_comfyui():
    """(node, the node as ComfyUI gets it) of the whole pack."""
    from likeness.nodes import NODES, LikenessExtension

    handed = asyncio.run(LikenessExtension().get_node_list())
    assert [node.__name__ for node in handed] == [node.__name__ for node in NODES]
    return zip(NODES, handed, strict=True)


def case_every_node_gives_memory_back_when_it_has_worked_and_when_it_fails():
    from likeness.nodes import giving_back

    given = []
    giving_back.give_back_memory, before = lambda: given.append(1), giving_back.give_back_memory
    try:
        for node, handed in handed_to_comfyui():
            own = vars(node)["execute"]
            node.execute = classmethod(lambda cls, value: value if value else 1 / 0)
            try:
                assert handed.execute(value=7) == 7
                assert len(given) == 1, node
                try:
                    handed.execute(value=0)
                except ZeroDivisionError:
                    assert len(given) == 2, node
                else:
                    raise AssertionError(f"{node} has swallowed an error")
            finally:
                node.execute = own
            given.clear()
    finally:
        giving_back.give_back_memory = before


def case_memory_that_a_node_has_freed_leaves_the_process():
    import psutil
    import torch
    from comfy_api.latest import io

    from likeness.nodes.giving_back import giving_memory_back

    if sys.platform != "linux":
        return  # other systems' allocators give freed pictures back themselves
    kept = []

    class Works(io.ComfyNode):
        """Makes 50 pictures of 4 MB and keeps every tenth: the C library keeps what is freed below those."""

        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="LikenessWorks", inputs=[], outputs=[])

        @classmethod
        def execute(cls):
            kept.extend([torch.ones(1_000_000) for _ in range(50)][::10])
            return io.NodeOutput()

    def grown(node):
        before = psutil.Process().memory_info().rss
        node.execute()
        return psutil.Process().memory_info().rss - before

    handed = giving_memory_back(Works)
    # one freed block of 32 MB, and the C library keeps everything smaller from then on, as in every server
    torch.ones(8_000_000)
    handed.execute()
    assert grown(Works) > 150e6
    handed.execute()
    assert grown(handed) < 40e6


def case_every_input_and_output_has_words_for_the_artist():
    from likeness.nodes import NODES

    for node in NODES:
        schema = node.GET_SCHEMA()
        assert schema.description and schema.category.startswith("Likeness/"), schema.node_id
        for one in schema.inputs:
            known = one.id in ("faces", "identity", "swapper", "crops")
            assert one.tooltip or known, (schema.node_id, one.id)
        assert all(one.display_name for one in schema.outputs), schema.node_id


def case_every_node_that_hands_out_pictures_videos_models_or_words_is_noted_or_changes_no_likeness():
    """What is named here shows, cuts, pastes or reads what other nodes have made."""
    from likeness.nodes import NODES

    plain = {
        *("DetectFaces", "TrackFaces", "LoadIdentity", "CompareIdentities", "IdentityRegions", "PlotMotion"),
        *("PosePicture", "CropFaces", "FaceMaskInVideo"),
    }
    handed_out = {"IMAGE", "VIDEO", "MODEL", "CONDITIONING", "LIKENESS_IDENTITY"}
    noted, others = set(), set()
    for node in NODES:
        schema = node.GET_SCHEMA()
        if any(one.get_io_type() in handed_out for one in schema.outputs):
            is_noted = hasattr(vars(node)["execute"].__func__, "__wrapped__")
            assert is_noted == ({"unique_id", "dynprompt"} <= {one.name for one in schema.hidden}), schema.node_id
            (noted if is_noted else others).add(schema.node_id.removeprefix("Likeness"))
    assert others == plain
    assert {"BuildIdentity", "SwapFaces", "SwapFacesInVideo", "AnimatePortrait", "RestoreFaces"} <= noted


def case_loading_the_pack_imports_no_optional_package():
    optional = {"insightface", "kornia.filters", "matplotlib", "onnx", "onnxruntime", "playwright", "skimage"}
    assert sorted(optional & set(LOADED_BY_THE_PACK)) == []


def case_the_doctor_hands_on_what_it_found_as_json_too():
    from likeness.nodes.doctor import Doctor
    from likeness.pipelines.doctor.text import as_text

    text, found = Doctor.execute(check_contents=False).args
    assert as_text(json.loads(found)) == text and text


def case_the_sample_photos_are_copied_once_and_never_overwritten():
    import folder_paths

    from likeness.nodes.samples import copy_samples

    copied = copy_samples() or [Path(folder_paths.get_input_directory()) / "likeness_astronaut.png"]
    copied[0].write_bytes(b"mine")
    assert copy_samples() == []
    assert copied[0].read_bytes() == b"mine"


def case_an_input_folder_that_cannot_be_written_is_a_warning_only():
    import folder_paths

    from likeness.nodes.samples import copy_samples

    before = folder_paths.get_input_directory()
    blocked = Path(before).parent / "a_file"
    blocked.write_bytes(b"")
    folder_paths.set_input_directory(str(blocked / "input"))
    try:
        assert copy_samples() == []
    finally:
        folder_paths.set_input_directory(before)


def case_the_users_own_folder_of_identities_comes_first():
    import folder_paths

    from likeness.nodes.identity_files import FOLDER, register_identity_folder

    folder_paths.folder_names_and_paths[FOLDER] = (["/mine"], set())
    register_identity_folder()
    register_identity_folder()
    paths, endings = folder_paths.folder_names_and_paths[FOLDER]
    assert paths == ["/mine", str(Path(folder_paths.models_dir) / "likeness" / "identities")]
    assert endings == {".safetensors"}


def main(comfyui: str, base: str) -> None:
    node_surface.map_package()
    node_surface.import_comfyui(Path(comfyui), Path(base))
    before = set(sys.modules)
    node_surface.load_nodes()
    LOADED_BY_THE_PACK.update(set(sys.modules) - before)
    from likeness.tests.case_outcomes import outcomes

    results = outcomes(globals() | vars(protection_cases) | vars(statement_cases))
    sys.stdout.write("\n" + json.dumps(results) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
