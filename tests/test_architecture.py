"""The layout of the pack holds: who imports whom, how long things are, what is never written."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.tests.architecture_words import CODE_IN_FILES, COMFYUI, MODULE_SCOPE, VAGUE_NAMES

ROOT = Path(__file__).resolve().parents[1]
PACK = ("pipelines", "nodes", "cli", "benchmarks", "tools", "examples")

#: Room of pipelines/ -> the rooms it may import, besides itself.
ARROWS: dict[str, set[str]] = {
    room: set(may.split())
    for room, may in {
        "errors": "",
        "runtime": "errors",
        "weights": "errors",
        "registry": "errors files runtime weights",
        "download": "errors files weights",
        "onnx_network": "errors face registry",
        "face": "errors",
        "files": "errors",
        "geometry": "errors face",
        "identity": "errors face files geometry registry onnx_network",
        "backbones": "errors",
        "adapters": "errors face files identity registry backbones",
        "guidance": "errors backbones",
        "motion": "errors face files geometry",
        "audio": "errors face files motion registry",
        "render": "errors face files geometry motion registry stitch weights",
        "lips": "errors face files geometry identity adapters audio backbones registry stitch weights",
        "stitch": "errors face geometry",
        "swap": "errors face files geometry identity render stitch registry onnx_network",
        "restore": "errors face files geometry stitch weights registry onnx_network",
        "video": "errors face geometry",
        "gallery": "errors face identity",
        "doctor": "errors audio download identity lips registry render restore swap weights",
        "training": "errors face geometry identity adapters",
        "safety": "errors face files identity",
    }.items()
}
#: Folder of the pack -> the other folders it may import.
FOLDERS = {"pipelines": set[str](), "nodes": {"pipelines"}, "cli": {"pipelines", "benchmarks"}}
#: Compares ComfyUI's models through the patches of our nodes, so it needs nodes/ where the rest of cli/ does not.
COMPARES_NODES = "cli/parity/unets.py"
#: The only functions that may catch everything: one broken schema must not take the other nodes away, and whatever a
#: reader of hostile files raises is what the search is for.
CATCHES_ALL = {"nodes/__init__.py": "with_valid_schema", "tools/fuzz.py": "try_reader"}
#: The only function that opens torch files: weights only, which unpickles no code, and its error has pickle's name.
OPENS_TORCH_FILES = ("pipelines/files/checkpoint.py", "_read_torch")
REFUSES_CODE = ("pickle", "UnpicklingError")
#: Maps the checkout onto the package name before anything can be imported relatively.
STARTED_AS_SCRIPT = "cli/__main__.py"

Finding = tuple[int, str]


def python_files(*folders: str) -> list[Path]:
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in files if "__pycache__" not in path.parts)


PACK_FILES = [ROOT / "__init__.py", *python_files(*PACK)]
OURS = [*PACK_FILES, *python_files("tests")]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_pack_file = pytest.mark.parametrize("path", PACK_FILES, ids=relative)
each_file = pytest.mark.parametrize("path", OURS, ids=relative)


def imports(tree: ast.AST, file: str) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Every import as (line, dotted parts, whether it is relative); relative ones count from the root of the pack."""
    package = file.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split(".")), False
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = (*base, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                yield node.lineno, (*parts, alias.name), node.level > 0


def forbidden_imports(tree: ast.AST, file: str) -> Iterator[Finding]:
    folder, _, rest = file.partition("/")
    room = rest.split("/")[0].removesuffix(".py")
    for line, parts, is_relative in imports(tree, file):
        if not is_relative:
            if parts[0] in COMFYUI and folder not in ("nodes", "cli", "tools"):
                yield line, f"{parts[0]} is ComfyUI's: only what starts it and nodes/ import it"
            if parts[0] in {"likeness", "pipelines", "cli"} and folder in FOLDERS and file != STARTED_AS_SCRIPT:
                yield line, f"{parts[0]} is our own package: import it relatively"
            if parts[0] in CODE_IN_FILES and not (parts == REFUSES_CODE and file == OPENS_TORCH_FILES[0]):
                yield line, f"{parts[0]} runs code that comes in files"
        elif folder in FOLDERS and parts[0] not in {folder, *FOLDERS[folder]}:
            if parts[0] == "nodes" and file == COMPARES_NODES:
                continue
            yield line, f"{folder}/ imports {parts[0]}/"
        elif parts[0] == folder == "pipelines" and room != "__init__":
            if room not in ARROWS:
                yield line, f"{room} is no room of the table"
            elif len(parts) > 1 and parts[1] not in {room, "__version__", *ARROWS[room]}:
                yield line, f"room {room} imports room {parts[1]}"


def optional_imports_at_module_scope(tree: ast.Module) -> Iterator[Finding]:
    for node in tree.body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        for name in names:
            if name.split(".")[0] not in MODULE_SCOPE:
                yield node.lineno, f"{name} is imported before it is used"


def call_name(node: ast.Call) -> str:
    return ast.unparse(node.func)


def lines_of(tree: ast.AST, name: str) -> set[int]:
    """The lines of the functions of that name."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    return {line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def opens_weights_only(tree: ast.AST, file: str, call: ast.Call) -> bool:
    weights_only = any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)
    return file == OPENS_TORCH_FILES[0] and weights_only and call.lineno in lines_of(tree, OPENS_TORCH_FILES[1])


def forbidden_calls(tree: ast.AST, file: str) -> Iterator[Finding]:
    speaks = file.startswith(("cli/", "benchmarks/", "tools/", "examples/"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = call_name(node)
        if name in {"eval", "exec"} or (name == "print" and not speaks):
            yield node.lineno, f"{name}() is called"
        if name == "torch.load" and not opens_weights_only(tree, file, node):
            yield node.lineno, "torch.load() may run code that comes in files"
        keywords = {word.arg: word.value for word in node.keywords}
        if "allow_pickle" in keywords and ast.unparse(keywords["allow_pickle"]) != "False":
            yield node.lineno, "numpy may unpickle"
        device = [value.value for value in [*node.args, *keywords.values()] if isinstance(value, ast.Constant)]
        to_cuda = name.endswith(".to") and any(isinstance(d, str) and d.startswith("cuda") for d in device)
        if file.startswith(("pipelines/", "nodes/")) and (to_cuda or name.endswith((".cuda", "cuda.empty_cache"))):
            yield node.lineno, "the device is the runtime's to choose"


def broad_excepts(tree: ast.AST, file: str) -> Iterator[Finding]:
    allowed = lines_of(tree, CATCHES_ALL[file]) if file in CATCHES_ALL else set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = "everything" if node.type is None else ast.unparse(node.type)
            broad = any(word in caught.replace("(", " ").replace(")", " ").replace(",", " ").split()
                        for word in ("everything", "Exception", "BaseException"))  # fmt: skip
            if broad and node.lineno not in allowed:
                yield node.lineno, f"except {caught}"


def long_functions(tree: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > 60:
                yield node.lineno, f"{node.name} has {lines} lines"


def without_docstring(tree: ast.Module) -> Iterator[Finding]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, node.name
        if isinstance(node, ast.ClassDef) and not any("Protocol" in ast.unparse(base) for base in node.bases):
            yield from methods_without_docstring(node)


def methods_without_docstring(node: ast.ClassDef) -> Iterator[Finding]:
    """Public methods of more than one statement; the class speaks for the others, and for `forward` of a network."""
    public = (
        method
        for method in node.body
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and not method.decorator_list
    )
    for method in public:
        if method.name != "forward" and len(method.body) > 1 and not ast.get_docstring(method):
            yield method.lineno, f"{node.name}.{method.name}"


def asserts(tree: ast.AST) -> Iterator[Finding]:
    """Assertions, except those that tell the type checker what is not None."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and not ast.unparse(node.test).endswith(" is not None"):
            yield node.lineno, "assert is no error message"


def report(path: Path, findings: Iterator[Finding]) -> list[str]:
    return [f"{relative(path)}:{line}: {text}" for line, text in findings]


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@each_pack_file
def test_imports_follow_the_arrows(path: Path) -> None:
    assert report(path, forbidden_imports(parse(path), relative(path))) == []


@pytest.mark.parametrize("path", python_files("pipelines"), ids=relative)
def test_the_library_imports_only_torch_numpy_and_safetensors_when_it_is_imported(path: Path) -> None:
    assert report(path, optional_imports_at_module_scope(parse(path))) == []


@each_pack_file
def test_nothing_unpickles_evaluates_prints_or_picks_a_gpu(path: Path) -> None:
    assert report(path, forbidden_calls(parse(path), relative(path))) == []


@each_pack_file
def test_nothing_catches_every_error(path: Path) -> None:
    assert report(path, broad_excepts(parse(path), relative(path))) == []


@pytest.mark.parametrize("path", python_files("pipelines", "nodes"), ids=relative)
def test_nothing_answers_a_user_with_an_assertion(path: Path) -> None:
    assert report(path, asserts(parse(path))) == []


@pytest.mark.parametrize("path", python_files("pipelines"), ids=relative)
def test_everything_public_in_the_library_says_what_it_is(path: Path) -> None:
    assert report(path, without_docstring(parse(path))) == []


@each_file
def test_a_file_has_at_most_300_lines_and_a_function_60(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert report(path, long_functions(parse(path))) == []


@each_file
def test_a_file_is_named_after_what_it_is(path: Path) -> None:
    for part in path.relative_to(ROOT).with_suffix("").parts:
        assert not VAGUE_NAMES & set(part.split("_")), path


def test_every_room_of_the_library_is_in_the_table() -> None:
    entries = (path for path in (ROOT / "pipelines").iterdir() if not path.name.startswith("__"))
    assert {path.stem for path in entries} <= set(ARROWS)


def test_the_table_in_the_contributing_guide_is_this_one() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert {cell[0].strip("`"): set(cell[2].replace("–", "").split()) for cell in cells} == ARROWS


@pytest.mark.parametrize(
    ("rule", "file", "source"),
    [
        (forbidden_imports, "pipelines/stitch/blend.py", "from ..identity.identity import Identity"),
        (forbidden_imports, "pipelines/face.py", "from . import registry"),
        (forbidden_imports, "pipelines/face.py", "import folder_paths"),
        (forbidden_imports, "pipelines/face.py", "def f():\n    from comfy import utils"),
        (forbidden_imports, "pipelines/swap/mesh.py", "from ...nodes import sockets"),
        (forbidden_imports, "nodes/swap.py", "from likeness.pipelines import face"),
        (forbidden_imports, "nodes/swap.py", "import pickle"),
        (forbidden_imports, "nodes/swap.py", "from ..cli import demo"),
        (forbidden_calls, "pipelines/face.py", "print(1)"),
        (forbidden_calls, "pipelines/face.py", "model.to('cuda')"),
        (forbidden_imports, "cli/demo.py", "from ..nodes import swap"),
        (forbidden_imports, "pipelines/adapters/checkpoint.py", "import pickle"),
        (forbidden_imports, "pipelines/adapters/fact.py", "from pickle import UnpicklingError"),
        (forbidden_imports, "pipelines/adapters/fact.py", "from ..stitch import crop"),
        (forbidden_imports, "pipelines/guidance.py", "from .adapters import region"),
        (forbidden_imports, "pipelines/backbones/unet.py", "from ..registry import Registry"),
        (forbidden_calls, "cli/demo.py", "torch.load('x')"),
        (forbidden_calls, "cli/demo.py", "def _read_torch():\n    torch.load('x', weights_only=True)"),
        (forbidden_calls, "pipelines/files/checkpoint.py", "torch.load('x', weights_only=True)"),
        (forbidden_calls, "pipelines/files/checkpoint.py", "def _read_torch():\n    torch.load('x')"),
        (forbidden_calls, "cli/demo.py", "np.load('x', allow_pickle=True)"),
        (broad_excepts, "nodes/swap.py", "try:\n    f()\nexcept (KeyError, Exception):\n    pass"),
        (broad_excepts, "nodes/swap.py", "try:\n    f()\nexcept:\n    pass"),
    ],
)
def test_the_rules_find_what_they_forbid(
    rule: Callable[[ast.AST, str], Iterator[Finding]], file: str, source: str
) -> None:
    assert len(list(rule(ast.parse(source), file))) == 1
