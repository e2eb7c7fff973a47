"""The table of adapter weights in the README, from the weights manifest.

python tools/weights_table.py            says whether it is out of date
python tools/weights_table.py --refresh  writes it
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from checkout import ROOT, map_package

README = ROOT / "README.md"
TABLE_BEGIN, TABLE_END = "<!-- weights: begin -->", "<!-- weights: end -->"
HEAD = "| For | File | Size | Folder below `ComfyUI/models` | Licence (commercial use) | How to get it |"
TOWERS = "Encoders that several of them read pictures with"
PARSERS = "Face parsers, in *Load Face Parser*"
RECOGNISERS = "Recognisers, in *Load Face Analysis*"
LIVEPORTRAIT = "LivePortrait, in *Load LivePortrait* (their safetensors conversions are read too)"
LIPS = "Lip sync, in *Load Lip Sync* (any one file of whisper-tiny; the VAE goes into *Load VAE*)"
TALKER = "DICE-Talk, in *Load DICE-Talk* (with svd_xt in *Image Only Checkpoint Loader*)"
ENCODERS = "Audio encoders, in *Load Audio Encoder*, for *Load Speech Head* (a head fits one encoder)"
RECOGNISER_FILES = ("insightface_scrfd_10g", "insightface_glintr100", "insightface_w600k_r50", "arc2face_arcface")


def table() -> str:
    """One row per file: adapters in the order of their families, then encoders and recognisers."""
    from likeness.pipelines.adapters.families import FAMILIES
    from likeness.pipelines.adapters.published import ADAPTER_FILES, FILES_BESIDE, TOWER_FILES
    from likeness.pipelines.audio.encoder import ENCODER_FILES
    from likeness.pipelines.identity.parsing import PARSERS as PARSER_KINDS
    from likeness.pipelines.lips.dicetalk.talker import FILES as TALKER_FILES
    from likeness.pipelines.lips.files import VAE_FILE, WHISPER_FILES
    from likeness.pipelines.lips.musetalk import VERSIONS
    from likeness.pipelines.render.liveportrait.files import NETWORK_FILES
    from likeness.pipelines.weights import Manifest

    manifest = Manifest.load()
    groups: list[tuple[str, Iterable[str]]] = [
        (family.title, (*ADAPTER_FILES[family.name], *FILES_BESIDE.get(family.name, ()))) for family in FAMILIES
    ]
    parsers = [kind.weights_id for kind in PARSER_KINDS]
    groups += [(TOWERS, TOWER_FILES.values()), (PARSERS, parsers), (RECOGNISERS, RECOGNISER_FILES)]
    groups.append(("Swappers, in *Load Swapper*", _swapper_files()))
    groups.append(("Restorers, in *Load Face Restorer*", _restorer_files()))
    groups.append((LIVEPORTRAIT, [file.published for file in NETWORK_FILES]))
    groups.append((LIPS, [*(version.weights_id for version in VERSIONS), *WHISPER_FILES, VAE_FILE]))
    groups += [(TALKER, TALKER_FILES), (ENCODERS, ENCODER_FILES)]
    lines = [HEAD, "|---" * HEAD.count("|", 1) + "|"]
    for title, ids in groups:
        for number, weights_id in enumerate(ids):
            lines.append(_row("" if number else title, manifest.entry(weights_id)))
    return "\n".join(lines)


def _swapper_files() -> list[str]:
    """Networks in the order of the list, then the converters some of them need; recognisers are listed above."""
    from likeness.pipelines.swap.onnx_swapper import OnnxSwapper
    from likeness.pipelines.swap.swappers import SWAPPERS

    entries = [entry for entry in SWAPPERS if isinstance(entry, OnnxSwapper)]
    beside = [weights_id for entry in entries for weights_id in entry.also]
    return list(dict.fromkeys([*(entry.weights_id for entry in entries), *beside]))


def _restorer_files() -> list[str]:
    from likeness.pipelines.restore.restorers import RESTORERS

    return [file.weights_id for entry in RESTORERS for file in entry.files]


def _row(title: str, entry: Any) -> str:
    link = f"[download]({entry.urls[0]})"
    how = f"`./likeness fetch {entry.id}`, {link}"
    licence = f"{entry.licence} ({entry.commercial_use})"
    return f"| {title} | `{entry.file}` | {entry.size_text} | `{entry.folder}` | {licence} | {how} |"


def readme_with(readme: str) -> str:
    """The README with the table between its two marks."""
    before, _, rest = readme.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    return f"{before}{TABLE_BEGIN}\n{table()}\n{TABLE_END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Run the tool; 1 when the table is out of date and stays so."""
    map_package()
    readme = README.read_text(encoding="utf-8")
    wanted = readme_with(readme)
    if wanted == readme:
        return 0
    if "--refresh" in arguments:
        README.write_text(wanted, encoding="utf-8")
    sys.stdout.write(f"README.md {'written' if '--refresh' in arguments else 'is out of date'}\n")
    return 0 if "--refresh" in arguments else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
