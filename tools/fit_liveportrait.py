"""Measures how blendshapes move LivePortrait's keypoints, with the user's own files.

    python tools/fit_liveportrait.py [--models DIR] [--device cuda] [PICTURE ...]

The mesh renderer puts every channel on portraits, the motion extractor says what that looks like to LivePortrait. What
is found goes to models/likeness/liveportrait_directions.safetensors, which LivePortrait then uses; delete it to return
to the published dials. Without pictures the two portraits of the pack are used; more people make it better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from checkout import ROOT, map_package


def main(arguments: Sequence[str]) -> int:
    """Run the tool; 0 when something was measured and written."""
    map_package()
    from likeness.pipelines.errors import LikenessError
    from likeness.pipelines.registry import Registry
    from likeness.pipelines.render.liveportrait.networks import load_networks
    from likeness.pipelines.runtime import TorchRuntime

    options = _options(arguments)
    registry = Registry(TorchRuntime(options.device, {"": options.models}))
    try:
        text = fit(registry, load_networks(registry), options.pictures, options.models / "likeness")
    except LikenessError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{text}\n")
    return 0


def fit(registry: Any, networks: Any, pictures: Sequence[Path], folder: Path) -> str:
    """Measure on pictures, write into a folder, and say what was found."""
    from likeness.benchmarks.pictures import read_picture
    from likeness.pipelines.identity.backends import load_embedded_analysis
    from likeness.pipelines.render.liveportrait.measuring import measure, require_plausible, save_measurement

    analysis = load_embedded_analysis(registry)
    portraits: list[tuple[Any, Any]] = []
    for path in pictures:
        picture = read_picture(path)
        faces = analysis.detect(picture)
        faces.require_any(str(path))
        portraits.append((picture[0], faces.frames[0][0]))
    measurement = measure(networks, portraits)
    sys.stdout.write(f"{describe(measurement)}\n")
    require_plausible(measurement)
    path = save_measurement(measurement, folder, networks.motion_sha256)
    return f"Written to {path}."


def describe(measurement: Any) -> str:
    """The channels that were seen, best first, those that were not, and how turns are read."""
    from likeness.pipelines.motion.channels import ARKIT_NAMES
    from likeness.pipelines.render.liveportrait.measuring import SEEN

    order = sorted(range(len(ARKIT_NAMES)), key=lambda index: -float(measurement.explained[index]))
    lines = ["channel                 explained by a line   largest change of a keypoint"]
    lines += [
        f"{ARKIT_NAMES[i]:24}{measurement.explained[i]:19.2f}{abs(measurement.table[i]).max():31.4f}" for i in order
    ]
    left_out = [ARKIT_NAMES[i] for i in order if measurement.explained[i] < SEEN]
    lines.append(f"Below {SEEN} and so left to the published dials: {', '.join(left_out) or 'none'}.")
    for name, slope in zip(("pitch", "yaw", "roll"), measurement.turns, strict=True):
        lines.append(f"A turn of 1 in {name} is read as {slope:.2f} (1 is right).")
    return "\n".join(lines)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    samples = ROOT / "assets" / "samples"
    parser = argparse.ArgumentParser(prog="fit_liveportrait", description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, default=Path("models"), help="ComfyUI's models folder")
    parser.add_argument("--device", default="cpu", help="where the networks run: cpu, cuda, mps")
    parser.add_argument(
        "pictures", nargs="*", type=Path, default=[samples / "astronaut.png", samples / "grace_hopper.jpg"],
        help="portraits, one frontal face each",
    )  # fmt: skip
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
