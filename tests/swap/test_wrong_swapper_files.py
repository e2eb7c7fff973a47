"""Files of swappers and converters that are not what their names say are refused as they are loaded, with a way out."""

import re

import numpy as np
import onnx
import pytest
import torch

from likeness.pipelines.errors import WrongWeightsError
from likeness.pipelines.swap import SwapOptions, swap_faces, swapper_named
from likeness.pipelines.swap.choice import load_swapper
from likeness.pipelines.swap.emap import read_emap
from likeness.tests.swap.onnx_stand_ins import (
    ENTRIES,
    each_entry,
    loaded,
    person_with,
    picture,
    place_of,
    put_files,
    registry_in,
    save,
    save_converter,
    save_swapper,
    sparse_face,
    unknown_person,
)

WEB_PAGE = b"<!DOCTYPE html><html><body>404: the file has moved</body></html>"

#: What other networks are like -> how the stand-in is made, given an entry, and what the message must show of it.
OTHERS = {
    "a picture or vector too many": (
        lambda entry: {"source": (3, 64, 64) if len(entry.source_sizes) == 1 else (512,)},
        lambda entry: "source (1, 3, 64, 64)" if len(entry.source_sizes) == 1 else "source (1, 512)",
    ),
    "another axis of the source": (
        lambda entry: {"source": (1, *entry.source_sizes)},
        lambda entry: f"source (1, 1, {', '.join(map(str, entry.source_sizes))})",
    ),
    "another size of the source": (
        lambda entry: {"source": (*entry.source_sizes[:-1], 96)},
        lambda entry: f"source ({', '.join(map(str, (1, *entry.source_sizes[:-1], 96)))})",
    ),
    "another size of the target": (
        lambda entry: {"side": entry.size + 64},
        lambda entry: f"target (1, 3, {entry.size + 64}, {entry.size + 64})",
    ),
    "channels last": (
        lambda _: {"last": ("Transpose", {"perm": [0, 2, 3, 1]})},
        lambda entry: f"output (1, {entry.size}, {entry.size}, 3)",
    ),
    "one number per picture": (
        lambda _: {"last": ("GlobalAveragePool", {})},
        lambda _: "output (1, 3, 1, 1)",
    ),
    "no picture at all": (
        lambda _: {"last": ("Flatten", {})},
        lambda entry: f"output (1, {3 * entry.size**2})",
    ),
    "a third input": (
        lambda _: {"extra": ("mask",)},
        lambda _: "mask (1)",
    ),
}  # fmt: skip


@each_entry
@pytest.mark.parametrize("content", [WEB_PAGE, b"", 0.999], ids=["web page", "empty", "cut off"])
def test_a_damaged_network_is_named_with_a_way_out(entry, content, tmp_path):
    put_files(entry, tmp_path)
    path = place_of(entry.weights_id, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * content)] if isinstance(content, float) else content)
    with pytest.raises(WrongWeightsError, match=rf"{path.name}.*(move it away and )?download it again"):
        entry.load(registry_in(tmp_path))


@each_entry
@pytest.mark.parametrize("other", OTHERS)
def test_another_network_is_told_with_what_it_is_what_is_needed_and_a_way_out(entry, other, tmp_path):
    put_files(entry, tmp_path)
    path = place_of(entry.weights_id, tmp_path)
    made, shown = OTHERS[other]
    save_swapper(path, entry, **made(entry))
    with pytest.raises(WrongWeightsError) as caught:
        entry.load(registry_in(tmp_path))
    found, needed = str(caught.value).split("; ", 1)
    size, source = entry.size, ", ".join(["batch", *map(str, entry.source_sizes)])
    assert found.startswith(f"{path} takes") and shown(entry) in found
    assert f"target (batch, 3, {size}, {size}), source ({source}) and gives (batch, 3, {size}, {size})" in needed
    assert f"move it away and run `./likeness fetch {entry.weights_id}`" in needed


@each_entry
def test_an_output_that_the_file_leaves_open_is_looked_at_when_it_comes(entry, tmp_path):
    put_files(entry, tmp_path)
    path = place_of(entry.weights_id, tmp_path)
    save_swapper(path, entry, last=("Compress", {"axis": 2}))  # every other line
    swapper = entry.load(registry_in(tmp_path))
    pairs = [(0, sparse_face(), person_with(unknown_person()))]
    with pytest.raises(WrongWeightsError, match=rf"gives \(1, 3, {entry.size // 2}, {entry.size}\) for a batch of 1"):
        swap_faces(swapper, picture(), pairs, SwapOptions(boost=1))


def test_a_network_of_whole_numbers_is_another_one(tmp_path):
    entry = swapper_named("hyperswap_1a_256")
    put_files(entry, tmp_path)
    inputs = {"target": [1, 3, 256, 256], "source": [1, 512]}
    node = onnx.helper.make_node("Identity", ["target"], ["output"])
    save(place_of(entry.weights_id, tmp_path), inputs, [node], {}, onnx.TensorProto.INT64)
    with pytest.raises(WrongWeightsError, match=r"target \(1, 3, 256, 256\) of tensor\(int64\).*all of floating point"):
        entry.load(registry_in(tmp_path))


def test_axes_of_any_name_and_inputs_in_any_order_are_fine(tmp_path):
    entry = swapper_named("simswap_256")
    put_files(entry, tmp_path)
    inputs = {"source": ["n", "width"], "target": ["n", "channels", "h", "w"]}
    save(place_of(entry.weights_id, tmp_path), inputs, [onnx.helper.make_node("Identity", ["target"], ["output"])], {})
    person, images = person_with(unknown_person()), picture()
    swapped = swap_faces(entry.load(registry_in(tmp_path)), images, [(0, sparse_face(), person)], SwapOptions(boost=1))
    assert bool(torch.isfinite(swapped.images).all()) and float(swapped.masks.max()) > 0.9


CONVERTED = [entry for entry in ENTRIES if entry.also]


@pytest.mark.parametrize("entry", CONVERTED, ids=lambda entry: entry.name)
@pytest.mark.parametrize("width", [256, 768, "web page"])
def test_a_converter_of_another_width_or_none_at_all_is_refused(entry, width, tmp_path):
    put_files(entry, tmp_path)
    (converter,) = entry.also
    path = place_of(converter, tmp_path)
    if isinstance(width, str):
        path.write_bytes(WEB_PAGE)
    else:
        save_converter(path, width)
    expected = (
        rf"{path.name}.*download it again"
        if isinstance(width, str)
        else rf"{path.name} takes input \(1, {width}\).*{converter} takes input \(batch, 512\) and gives "
        rf"\(batch, 512\).*`./likeness fetch {converter}`"
    )
    with pytest.raises(WrongWeightsError, match=expected):
        entry.load(registry_in(tmp_path))


@pytest.mark.parametrize("name", ["reswapper_128", "reswapper_256", "inswapper_128", "inswapper_128_fp16"])
@pytest.mark.parametrize("harm", ["too few values", "not finite", "another size", "missing file beside it"])
def test_a_map_that_is_not_whole_is_refused(name, harm, tmp_path):
    entry = swapper_named(name)
    put_files(entry, tmp_path)
    path = place_of(entry.weights_id, tmp_path)
    model = onnx.load(str(path))
    (emap,) = (constant for constant in model.graph.initializer if constant.name == "emap")
    if harm == "too few values":
        emap.raw_data = emap.raw_data[:1000]
    elif harm == "missing file beside it":
        emap.ClearField("raw_data")
        emap.data_location = onnx.TensorProto.EXTERNAL
        emap.external_data.add(key="location", value="gone.data")
    else:
        values = np.full((512, 512), np.nan, np.float32) if harm == "not finite" else np.eye(511, dtype=np.float32)
        emap.CopyFrom(onnx.numpy_helper.from_array(values, "emap"))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WrongWeightsError, match=rf"{re.escape(str(path))}.*(fetch it anew|download it again)"):
        entry.load(registry_in(tmp_path))


@pytest.mark.parametrize("content", [WEB_PAGE, b"\x08"], ids=["web page", "cut off"])
def test_a_map_is_not_read_from_what_is_no_network(content, tmp_path):
    path = tmp_path / "any.onnx"
    path.write_bytes(content)
    with pytest.raises(WrongWeightsError, match=r"any\.onnx cannot be read for its map.*fetch it anew"):
        read_emap(path)


def test_bytes_that_were_changed_anywhere_end_in_a_swapper_or_in_a_message(tmp_path):
    entry = swapper_named("reswapper_128")
    put_files(entry, tmp_path)
    path = place_of(entry.weights_id, tmp_path)
    whole, chance, refused = path.read_bytes(), np.random.default_rng(0), 0
    ends = [*range(400), *range(len(whole) - 400, len(whole))]
    for _ in range(25):
        changed = bytearray(whole)
        for at in chance.choice(ends, 3):
            changed[at] = chance.integers(256)
        path.write_bytes(bytes(changed))
        try:
            entry.load(registry_in(tmp_path))
        except WrongWeightsError:
            refused += 1
    assert 3 < refused < 25


@pytest.mark.parametrize("broken", ["reswapper_256", "crossface_ghost"])
def test_auto_tells_of_a_broken_file_and_does_not_pass_it_over(broken, tmp_path):
    entry = swapper_named("ghost_3_256" if broken == "crossface_ghost" else broken)
    put_files(entry, tmp_path)
    path = place_of(broken, tmp_path)
    path.write_bytes(WEB_PAGE)
    with pytest.raises(WrongWeightsError, match=rf"{path.name} is no ONNX model"):
        load_swapper(registry_in(tmp_path), "auto")
    path.unlink()  # as the message says
    swapper, text = load_swapper(registry_in(tmp_path), "auto")
    assert swapper.name == "mesh" and f"Not {entry.name}: {broken} missing." in text


def test_auto_takes_the_best_whole_swapper_without_opening_lesser_ones(tmp_path):
    put_files(swapper_named("reswapper_256"), tmp_path)
    place_of("reswapper_256", tmp_path).write_bytes(WEB_PAGE)
    loaded(swapper_named("hyperswap_1a_256"), tmp_path)
    swapper, _ = load_swapper(registry_in(tmp_path), "auto")
    assert swapper.name == "hyperswap_1a_256"
