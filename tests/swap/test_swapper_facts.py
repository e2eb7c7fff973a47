"""What is known of every published swapper, written out once more, and that nothing else asks for a swapper's name."""

import ast
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from likeness.pipelines.geometry.templates import TEMPLATES
from likeness.pipelines.swap import SWAPPERS
from likeness.pipelines.swap.from_picture import source_picture
from likeness.pipelines.swap.onnx_swapper import OnnxSwapper
from likeness.tests.swap.onnx_stand_ins import loaded, person_with, registry_in, unknown_person

ROOT = Path(__file__).resolve().parents[2]
SWAP = "pipelines/swap"


@dataclass(frozen=True)
class Facts:
    """file: where it is defined. source: what it takes, see `test_the_source_is_made_as_the_network_learnt_it`."""

    file: str
    template: str
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    signed: bool
    source: str
    converter: str = ""
    recogniser: str = "arcface_w600k_r50"


ZERO, ONE, HALF = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Name -> what insightface, ReSwapper and FaceFusion 3 do with the published file.
FACTS = {
    "blendswap_256": Facts("blendswap", "ffhq_512", 256, ZERO, ONE, False, "picture arcface_112 112", "", ""),
    "uniface_256": Facts("uniface", "ffhq_512", 256, HALF, HALF, True, "picture ffhq_512 256", "", ""),
    "ghost_1_256": Facts("ghost", "arcface_112_wide", 256, HALF, HALF, True, "converted raw", "crossface_ghost"),
    "ghost_2_256": Facts("ghost", "arcface_112_wide", 256, HALF, HALF, True, "converted raw", "crossface_ghost"),
    "ghost_3_256": Facts("ghost", "arcface_112_wide", 256, HALF, HALF, True, "converted raw", "crossface_ghost"),
    "simswap_256": Facts("simswap", "arcface_112_wide", 256, *IMAGENET, False, "converted unit", "crossface_simswap"),
    "simswap_unofficial_512": Facts(
        "simswap", "arcface_112_wide", 512, ZERO, ONE, False, "converted unit", "crossface_simswap"
    ),
    "hififace_unofficial_256": Facts(
        "hififace", "mtcnn_512", 256, HALF, HALF, True, "converted unit", "crossface_hififace"
    ),
    "reswapper_128": Facts("reswapper", "arcface_128", 128, ZERO, ONE, False, "mapped unit"),
    "reswapper_256": Facts("reswapper", "arcface_128", 256, ZERO, ONE, False, "mapped unit"),
    "inswapper_128_fp16": Facts("inswapper", "arcface_128", 128, ZERO, ONE, False, "mapped unit"),
    "inswapper_128": Facts("inswapper", "arcface_128", 128, ZERO, ONE, False, "mapped unit"),
    "hyperswap_1c_256": Facts("hyperswap", "arcface_128", 256, HALF, HALF, True, "unit"),
    "hyperswap_1b_256": Facts("hyperswap", "arcface_128", 256, HALF, HALF, True, "unit"),
    "hyperswap_1a_256": Facts("hyperswap", "arcface_128", 256, HALF, HALF, True, "unit"),
}
ENTRIES = {entry.name: entry for entry in SWAPPERS if isinstance(entry, OnnxSwapper)}


def test_every_swapper_is_in_the_table() -> None:
    assert list(ENTRIES) == list(FACTS)
    assert [entry.name for entry in SWAPPERS] == ["mesh", *FACTS]


@pytest.mark.parametrize("name", FACTS)
def test_a_swapper_knows_of_itself_what_is_published(name: str) -> None:
    entry, facts = ENTRIES[name], FACTS[name]
    assert entry.weights_id == name
    assert (entry.template, entry.size, entry.mean, entry.std) == (
        facts.template, facts.size, facts.mean, facts.std,
    )  # fmt: skip
    assert entry.signed is facts.signed and entry.encoder == facts.recogniser
    assert entry.also == ((facts.converter,) if facts.converter else ())
    recogniser = ("insightface_w600k_r50",) if facts.recogniser else ()
    assert entry.requires == (name, *entry.also, *recogniser)


@pytest.mark.parametrize("name", FACTS)
def test_the_source_is_made_as_the_network_learnt_it(name: str, tmp_path: Path) -> None:
    """The stand-ins' map turns a vector by one, their converters turn it by two and double it."""
    entry, (kind, *details) = ENTRIES[name], FACTS[name].source.split()
    loaded(entry, tmp_path)
    person = person_with(unknown_person())
    form = entry.source(registry_in(tmp_path))(person)
    assert form.shape == (1, *entry.source_sizes) and form.dtype == np.float32
    if kind == "picture":
        template, size = details
        assert np.array_equal(form, source_picture(person, template, int(size)))
        return
    raw = person.vectors[-1].raw[0]
    assert person.vectors[-1].encoder == FACTS[name].recogniser and np.linalg.norm(raw) > 15
    turned = np.roll(raw, {"unit": 0, "mapped": 1, "converted": 2}[kind])
    expected = 2 * turned if details == ["raw"] else turned / np.linalg.norm(raw)
    assert form[0] == pytest.approx(expected, abs=1e-5)


def test_the_templates_that_insightface_does_not_have_are_those_of_the_networks_that_need_them() -> None:
    wide = [[0.35473214, 0.45658929], [0.64526786, 0.45658929], [0.5, 0.61154464], [0.37913393, 0.776875],
            [0.62086607, 0.776875]]  # fmt: skip
    mtcnn = [[0.36562865, 0.46733799], [0.63305391, 0.46585885], [0.50019127, 0.61942959], [0.39032951, 0.77598822],
             [0.61178945, 0.77476328]]  # fmt: skip
    assert TEMPLATES["arcface_112_wide"].tolist() == wide
    assert TEMPLATES["mtcnn_512"].tolist() == mtcnn


#: Runs insightface's synthetic network, which is written in inswapper's format, against insightface's own result.
COMPARES_INSWAPPER = "cli/parity/alignment.py"
TUPLE = f"{SWAP}/swappers.py"
FOLDERS = ("pipelines", "nodes", "cli", "benchmarks", "tools", "examples")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def texts(tree: ast.Module) -> list[str]:
    """Every text in the code but docstrings, the parts of f-strings included."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, described) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def imported(tree: ast.Module, file: str) -> set[str]:
    """Modules of the room that something is imported from."""
    room = "swap." if file.startswith(f"{SWAP}/") else ""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    paths = [
        f".{room if node.level == 1 else ''}{node.module or ''}.{alias.name}." for node in nodes for alias in node.names
    ]
    return {facts.file for facts in FACTS.values() if any(f".swap.{facts.file}." in path for path in paths)}


def test_no_code_asks_for_a_swapper_or_its_converter_by_name() -> None:
    """Names are written where the swapper is defined; what is defined there is imported where swappers are listed."""
    homes = {name: f"{SWAP}/{facts.file}.py" for name, facts in FACTS.items()}
    asked = [(name, {home, TUPLE}) for name, home in homes.items()]
    for converter in {facts.converter for facts in FACTS.values()} - {""}:
        asked.append((converter, {homes[name] for name, facts in FACTS.items() if facts.converter == converter}))
    words = {name for name, _ in asked} | {facts.file for facts in FACTS.values()}
    named, used = dict[str, set[str]](), set[tuple[str, str]]()
    for path in FILES:
        content = path.read_text(encoding="utf-8")
        if not any(word in content for word in words):
            continue
        file, tree = path.relative_to(ROOT).as_posix(), ast.parse(content)
        written = "\n".join(texts(tree))
        for name, _ in asked:
            if name in written:
                named.setdefault(name, set()).add(file)
        used |= {(file, module) for module in imported(tree, file)}
    allowed = {COMPARES_INSWAPPER}
    assert [(name, named[name] - allowed - files) for name, files in asked if named[name] - allowed - files] == []
    assert {(file, module) for file, module in used if file != COMPARES_INSWAPPER} == {
        (TUPLE, facts.file) for facts in FACTS.values()
    }


def test_the_embedded_swapper_is_not_asked_for_by_name_either() -> None:
    """The name is also a renderer's: only where swappers are used is the swapper meant."""
    users = [*(ROOT / SWAP).glob("*.py"), *(ROOT / "pipelines/video").glob("*.py")]
    users += [ROOT / "nodes/swap.py", ROOT / "nodes/video.py"]
    found = [path for path in users if "mesh" in texts(ast.parse(path.read_text(encoding="utf-8")))]
    assert [path.relative_to(ROOT).as_posix() for path in found] == [f"{SWAP}/mesh_swapper.py"]
