"""How far photos of different people are apart: pipelines/safety/impostor_distances.json, from which rates follow.

python tools/impostor_distances.py FOLDER            says whether the file is what the photos in FOLDER give
python tools/impostor_distances.py FOLDER --refresh  writes it

The photos are not part of this repository: FOLDER holds the packages of `SOURCES`, unpacked, for example by
    npm pack @vladmandic/face-api@1.7.15, pip download --no-deps --no-binary :all: face_recognition==1.3.0,
    pip download --no-deps insightface==2.1
in any folders below it. They are found by their sha256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from checkout import ROOT, map_package

FILE = ROOT / "pipelines" / "safety" / "impostor_distances.json"
WHAT = (
    "Euclidean distances of raw dlib_resnet_128 vectors between photos of two different people. look_alikes: people "
    "within one group photo, mostly of one sex and age. others: people of different photos."
)
#: Machines differ in the last digits of a distance.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Photo:
    """person: who a portrait shows; "" for a group photo, whose people are different ones."""

    file: str
    sha256: str
    person: str = ""


@dataclass(frozen=True)
class Source:
    """A published package with photos. rights: what is known of them."""

    package: str
    rights: str
    photos: tuple[Photo, ...]


SOURCES = (
    Source("this pack, assets/samples", "public domain (NASA; U.S. Navy)", (
        Photo("astronaut.png", "", "Eileen Collins"),
        Photo("grace_hopper.jpg", "", "Grace Hopper"),
    )),
    Source("npm @vladmandic/face-api 1.7.15, demo", "MIT, photographs by the author of the package", (
        Photo("sample1.jpg", "8ecae4b267b2d3169e06e00c7dee97097aa2a94635d45216f7732a5f4943cb51"),
        Photo("sample2.jpg", "7d2b60ae6f13bf30f422e04df87451081a02c83de469056f25afb44b7000c691"),
        Photo("sample3.jpg", "8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936"),
        Photo("sample4.jpg", "729efa5923061d40eb4ed5f267a18cc7b8ba6f852bb2757b16d8b7e4937476fc"),
        Photo("sample5.jpg", "6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938"),
        Photo("sample6.jpg", "9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87"),
    )),
    Source("PyPI insightface 2.1, insightface/data/images", "a television still, of third parties", (
        Photo("t1.jpg", "47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489"),
    )),
    Source("PyPI face_recognition 1.3.0, tests/test_images", "MIT package; official portraits by their look", (
        Photo("obama.jpg", "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6", "Barack Obama"),
        Photo("obama2.jpg", "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6", "Barack Obama"),
        Photo("obama3.jpg", "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3", "Barack Obama"),
        Photo("biden.jpg", "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c", "Joe Biden"),
    )),
)  # fmt: skip


def located(folder: Path) -> dict[Photo, Path]:
    """Every photo of `SOURCES`; exits naming those that lie nowhere below the folder."""
    wanted = {photo.sha256: photo for source in SOURCES for photo in source.photos if photo.sha256}
    names = {photo.file for photo in wanted.values()}
    found = {photo: ROOT / "assets" / "samples" / photo.file for photo in SOURCES[0].photos}
    for path in sorted(folder.rglob("*")):
        if path.name in names and path.is_file():
            photo = wanted.get(hashlib.sha256(path.read_bytes()).hexdigest())
            if photo is not None:
                found[photo] = path
    missing = [f"{photo.file} of {source.package}" for source in SOURCES for photo in source.photos
               if photo not in found]  # fmt: skip
    if missing:
        sys.exit(f"These photos are not below {folder}: {'; '.join(missing)}.")
    return found


def distances(photos: dict[Photo, Path]) -> tuple[list[float], list[float]]:
    """Of look-alikes and of others, ascending.

    Two group photos are not compared: those of one author show some people again.
    """
    from likeness.benchmarks.pictures import read_picture
    from likeness.pipelines.identity.analysis import load_embedded_analysis
    from likeness.pipelines.registry import Registry
    from likeness.pipelines.runtime import TorchRuntime

    analysis = load_embedded_analysis(Registry(TorchRuntime()))
    recogniser = analysis.recogniser
    vectors: dict[Photo, Any] = {}
    for photo, path in photos.items():
        picture = read_picture(path)
        found = list(analysis.detect(picture))
        if photo.person and len(found) != 1:
            sys.exit(f"{path} is a portrait but has {len(found)} faces.")
        vectors[photo] = recogniser.embed(picture, found)

    def of(pairs: Iterable[tuple[Any, Any]]) -> list[float]:
        return sorted(round(float(recogniser.distance(a, b)), 4) for a, b in pairs)

    alike = of(pair for photo in photos if not photo.person for pair in combinations(vectors[photo], 2))
    different = [(a, b) for a, b in combinations(photos, 2) if a.person != b.person]
    return alike, of((v, w) for a, b in different for v in vectors[a] for w in vectors[b])


def as_text(alike: list[float], others: list[float]) -> str:
    """The file's content."""
    sources = [
        {"package": source.package, "rights": source.rights, "photos": [photo.file for photo in source.photos]}
        for source in SOURCES
    ]
    return json.dumps({"what": WHAT, "sources": sources, "look_alikes": alike, "others": others}) + "\n"


def difference(kept: dict[str, list[float]], alike: list[float], others: list[float]) -> float:
    """The largest difference of two numbers in the same place; infinite where there are not as many."""
    pairs = ((kept["look_alikes"], alike), (kept["others"], others))
    if any(len(before) != len(now) for before, now in pairs):
        return float("inf")
    return max(abs(a - b) for before, now in pairs for a, b in zip(before, now, strict=True))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--refresh", action="store_true")
    options = parser.parse_args(arguments)
    map_package()
    alike, others = distances(located(options.folder))
    print(f"{len(alike)} pairs within group photos from {alike[0]} on, {len(others)} other pairs from {others[0]} on.")
    if options.refresh:
        FILE.write_text(as_text(alike, others), encoding="utf-8")
        return 0
    apart = difference(json.loads(FILE.read_text("utf-8")), alike, others)
    print(f"{FILE.name} is at most {apart:.4f} away from them.")
    return 0 if apart <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
