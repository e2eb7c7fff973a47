"""Which nodes a weights file is for is what the code can ask for, in both directions."""

from __future__ import annotations

import pytest

from likeness.pipelines.adapters.published import ADAPTER_FILES
from likeness.pipelines.audio.encoder import ENCODER_FILES
from likeness.pipelines.identity.parsing import PARSERS
from likeness.pipelines.lips.dicetalk.talker import FILES as TALKER_FILES
from likeness.pipelines.lips.files import VAE_FILE, WHISPER_FILES
from likeness.pipelines.lips.musetalk import VERSIONS
from likeness.pipelines.render.liveportrait.files import MOTION, NETWORK_FILES
from likeness.pipelines.restore.restorers import RESTORERS
from likeness.pipelines.swap.occluders import OCCLUDERS
from likeness.pipelines.swap.onnx_swapper import OnnxSwapper
from likeness.pipelines.swap.swappers import SWAPPERS
from likeness.pipelines.weights import Manifest

MANIFEST = Manifest.load()
LIVEPORTRAIT = [weights_id for file in NETWORK_FILES for weights_id in (file.published, file.converted)]
SWAPPER_FILES = [
    weights_id for entry in SWAPPERS if isinstance(entry, OnnxSwapper) for weights_id in (entry.weights_id, *entry.also)
]

#: Node → every file that the tuples behind it can ask for.
ASKED = {
    "LikenessLoadSwapper": SWAPPER_FILES,
    "LikenessLoadFaceRestorer": [file.weights_id for entry in RESTORERS for file in entry.files],
    "LikenessLoadOccluder": [kind.weights_id for kind in OCCLUDERS],
    "LikenessLoadFaceParser": [kind.weights_id for kind in PARSERS],
    "LikenessLoadLivePortrait": LIVEPORTRAIT,
    "LikenessAnimatePortrait": LIVEPORTRAIT,
    "LikenessEditExpression": LIVEPORTRAIT,
    "LikenessAnimatePortraitToVideo": LIVEPORTRAIT,
    "LikenessAnimateInVideo": LIVEPORTRAIT,
    "LikenessLivePortraitMotion": [MOTION.published, MOTION.converted],
    "LikenessLoadLipSync": [*(version.weights_id for version in VERSIONS), *WHISPER_FILES, VAE_FILE],
    "LikenessLoadDiceTalk": [*TALKER_FILES, *WHISPER_FILES],
    "LikenessLoadIdentityAdapter": [file for files in ADAPTER_FILES.values() for file in files],
    "LikenessLoadSpeechHead": list(ENCODER_FILES),
}


@pytest.mark.parametrize("node", ASKED)
def test_a_node_s_files_in_the_manifest_are_those_its_code_can_ask_for(node: str) -> None:
    listed = {entry.id for entry in MANIFEST.entries if node in entry.used_by and not entry.embedded}
    assert listed == set(ASKED[node])


def test_every_file_that_is_fetched_is_asked_for_by_a_tuple_or_named_by_a_node_that_takes_it_beside() -> None:
    beside = {"LikenessLoadFaceAnalysis", "LikenessApplyIdentityAdapter", "LikenessApplyIdentityControl",
              "LikenessIdentityConditioning"}  # fmt: skip
    for entry in MANIFEST.entries:
        if not entry.embedded and not any(entry.id in files for files in ASKED.values()):
            assert set(entry.used_by) <= beside, entry.id
