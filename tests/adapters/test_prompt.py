"""People in the prompt: trigger words, repetition, replacement, with prompts as ComfyUI's CLIP cuts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from likeness.pipelines.adapters.conditioning import CONDITIONERS, Wish, condition
from likeness.pipelines.adapters.families import FAMILIES
from likeness.pipelines.adapters.features import Sources
from likeness.pipelines.adapters.library import LoadedAdapter, load_shared
from likeness.pipelines.adapters.prompt import END, START, find_word, mark_subjects, replace_word, words_of
from likeness.pipelines.errors import EncoderMismatchError, InputError, MissingWeightsError
from likeness.pipelines.registry import Registry
from likeness.pipelines.runtime import TorchRuntime
from likeness.tests.adapters.sample_people import somebody
from likeness.tests.adapters.test_features import Vision
from likeness.tests.adapters.tiny_files import write_files

LENGTH = 77


class Clip:
    """One id per word; both text models of SDXL or the one of SD1.5; a token's vector is its id and its place."""

    def __init__(self, keys: str = "lg", width: int = 2048) -> None:
        self.keys, self.width = keys, width
        self.words = {"id": 1014}

    def tokenize(self, text: str) -> dict[str, Any]:
        words = text.replace(".", "").replace(",", "").split()
        ids = [self.words.setdefault(word, 2000 + len(self.words) * 7) for word in words]
        chunks = [ids[i : i + LENGTH - 2] for i in range(0, max(len(ids), 1), LENGTH - 2)]
        return {key: [self._chunk(part, END if key == "l" else 0) for part in chunks] for key in self.keys}

    def _chunk(self, ids: list[int], pad: int) -> list[tuple[int, float]]:
        chunk = [(START, 1.0), *((word, 1.0) for word in ids), (END, 1.0)]
        return chunk + [(pad, 1.0)] * (LENGTH - len(chunk))

    def encode_from_tokens_scheduled(self, tokens: dict[str, Any]) -> list[Any]:
        flat = [token[0] for chunk in tokens[self.keys[0]] for token in chunk]
        rows = torch.tensor([float(t) if isinstance(t, int) else float(t.mean()) for t in flat])
        return [[rows[None, :, None].expand(1, -1, self.width) / 1000, {"pooled_output": torch.ones(1, 4)}]]


def ids(chunks: Any) -> list[Any]:
    return [token[0] for chunk in chunks for token in chunk]


def marked(text: str, copies: list[int], trigger: str = "img", clip: Clip | None = None) -> Any:
    clip = clip or Clip()
    return mark_subjects(clip.tokenize(text), clip.tokenize(trigger), trigger, copies)


def test_the_word_before_the_trigger_is_repeated_and_the_trigger_goes() -> None:
    clip = Clip()
    result = marked("photo of a woman img in snow", [2], clip=clip)
    woman, snow = clip.words["woman"], clip.words["snow"]
    for key in "lg":
        row = ids(result.tokens[key])
        assert len(row) == LENGTH and row[4:6] == [woman, woman] and row[7] == snow
        assert clip.words["img"] not in row
        assert ids(result.plain[key])[4:7] == [woman, clip.words["in"], snow]
    assert result.positions == (4, 5)


def test_a_trigger_of_several_tokens_is_found_as_a_whole() -> None:
    clip = Clip("l")
    result = marked("a man img in red and a woman < image > in blue", [1], "< image >", clip)
    assert result.positions == (8,) and ids(result.tokens["l"])[8] == clip.words["woman"]


def test_two_people_get_the_words_before_the_first_and_second_trigger() -> None:
    clip = Clip("l")
    result = marked("a man img and a woman img", [2, 1], clip=clip)
    row = ids(result.tokens["l"])
    assert result.positions == (2, 3, 6)
    assert [row[place] for place in result.positions] == [clip.words["man"]] * 2 + [clip.words["woman"]]


@pytest.mark.parametrize(
    ("text", "copies", "said"),
    [
        ("photo of a woman in snow", [1], "'img' is not in the prompt"),
        ("a woman img and a man", [1, 1], "only 1 time"),
        ("a woman img and a man img", [1], "more than 1 time"),
        ("img of a woman", [1], "at the beginning"),
        (" ".join(["word"] * 70) + " woman img", [7], r"2 token\(s\) too long"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_with_the_reason(text: str, copies: list[int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        marked(text, copies)


def test_a_long_prompt_may_have_its_trigger_in_a_later_chunk() -> None:
    clip = Clip("l")
    result = marked(" ".join(["word"] * 80) + " woman img", [2], clip=clip)
    assert result.positions == (LENGTH + 6, LENGTH + 7)


def test_a_clip_without_clips_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="t5xxl"):
        mark_subjects({"t5xxl": []}, {}, "img", [1])


def test_embeddings_are_written_over_the_trigger_and_the_position_after_it() -> None:
    clip = Clip("l")
    tokens = replace_word(clip.tokenize("photo of sks in red"), clip.tokenize("sks"), "sks", torch.ones(2, 8))
    row = tokens["l"][0]
    assert [torch.is_tensor(token[0]) for token in row[:7]] == [False, False, False, True, True, False, False]
    assert row[5][0] == clip.words["red"] and row[3][1] == 1.0 and len(row) == LENGTH
    with pytest.raises(InputError, match="'sks' is not in the prompt"):
        replace_word(clip.tokenize("photo"), clip.tokenize("sks"), "sks", torch.ones(2, 8))


def test_words_of_is_what_lies_between_start_and_end() -> None:
    clip = Clip()
    assert words_of(clip.tokenize("a b")["g"]) == [clip.words["a"], clip.words["b"]]
    assert find_word(clip.tokenize("x y")["l"], [clip.words["a"]]) is None


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    names = ("photomaker/photomaker-v1.bin", "photomaker/photomaker-v2.bin", "fastcomposer/pytorch_model.bin")
    write_files(folder, (*names, "consistentid/ConsistentID-v1.bin", "arc2face/encoder/pytorch_model.bin"))
    return folder


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry(TorchRuntime())


def load(registry: Registry, models: Path, file: str) -> LoadedAdapter:
    return load_shared(registry, models / file)


BUFFALO = "arcface_w600k_r50"


@pytest.mark.parametrize(("version", "tokens"), [(1, 2), (2, 4)])
def test_photomaker_fuses_one_or_two_tokens_per_picture_and_changes_nothing_else(
    registry: Registry, models: Path, version: int, tokens: int
) -> None:
    loaded, clip = load(registry, models, f"photomaker/photomaker-v{version}.bin"), Clip()
    person = somebody(encoders=(BUFFALO,))
    made, text = condition(loaded, clip, Wish("photo of a woman img in snow", (person,)), Sources(registry))
    plain = clip.encode_from_tokens_scheduled(marked("photo of a woman img in snow", [tokens], clip=clip).tokens)
    changed = (made[0][0] != plain[0][0]).any(-1)[0].nonzero().flatten().tolist()
    assert changed == list(range(4, 4 + tokens))
    assert f"Ada as {tokens} token(s)" in text and torch.equal(made[0][1]["pooled_output"], torch.ones(1, 4))


def test_photomaker_v2_needs_the_vector_that_v1_does_not(registry: Registry, models: Path) -> None:
    wish = Wish("photo of a woman img", (somebody(),))
    condition(load(registry, models, "photomaker/photomaker-v1.bin"), Clip(), wish, Sources(registry))
    with pytest.raises(EncoderMismatchError, match=BUFFALO):
        condition(load(registry, models, "photomaker/photomaker-v2.bin"), Clip(), wish, Sources(registry))


def test_a_clip_of_another_model_is_refused_with_both_widths(registry: Registry, models: Path) -> None:
    loaded, wish = load(registry, models, "photomaker/photomaker-v1.bin"), Wish("a woman img", (somebody(),))
    with pytest.raises(InputError, match=r"width 2048.*gives 768.*an SDXL"):
        condition(loaded, Clip("l", 768), wish, Sources(registry))


def test_a_delay_puts_the_prompt_without_the_person_in_front(registry: Registry, models: Path) -> None:
    loaded, wish = load(registry, models, "photomaker/photomaker-v1.bin"), Wish("a woman img", (somebody(),), delay=0.2)
    early, late = condition(loaded, Clip(), wish, Sources(registry))[0]
    assert (early[1]["start_percent"], early[1]["end_percent"]) == (0.0, 0.2)
    assert (late[1]["start_percent"], late[1]["end_percent"]) == (0.2, 1.0)
    assert not torch.equal(early[0], late[0])


def test_fastcomposer_fuses_one_token_per_person(registry: Registry, models: Path) -> None:
    loaded, clip = load(registry, models, "fastcomposer/pytorch_model.bin"), Clip("l", 768)
    people = (somebody("Ada"), somebody("Bob", seed=1))
    made, _ = condition(loaded, clip, Wish("a man img and a woman img", people), Sources(registry))
    plain = clip.encode_from_tokens_scheduled(marked("a man img and a woman img", [1, 1], clip=clip).tokens)
    assert (made[0][0] != plain[0][0]).any(-1)[0].nonzero().flatten().tolist() == [2, 5]


def test_consistentid_fuses_parts_into_their_words_and_adds_them_where_there_are_none(
    registry: Registry, models: Path
) -> None:
    loaded, clip = load(registry, models, "consistentid/ConsistentID-v1.bin"), Clip("l", 768)
    sources = Sources(registry, Vision())
    made, text = condition(loaded, clip, Wish("her eyes and nose", (somebody(),)), sources)
    plain = clip.encode_from_tokens_scheduled(clip.tokenize("her eyes and nose"))
    assert (made[0][0] != plain[0][0]).any(-1)[0].nonzero().flatten().tolist() == [2, 4]
    assert "eyes, nose of Ada" in text
    _, text = condition(loaded, clip, Wish("a garden", (somebody(),)), sources)
    assert "eyes" in text and "mouth" in text and "ears" not in text
    with pytest.raises(MissingWeightsError, match="ViT-H"):
        condition(loaded, clip, Wish("her eyes", (somebody(),)), Sources(registry))


def test_arc2face_puts_the_person_in_place_of_id_and_needs_that_word(registry: Registry, models: Path) -> None:
    loaded, clip = load(registry, models, "arc2face/encoder/pytorch_model.bin"), Clip("l", 768)
    ada, bob = (somebody(name, seed=seed, encoders=("arcface_arc2face",)) for name, seed in (("Ada", 0), ("Bob", 1)))
    one, _ = condition(loaded, clip, Wish("photo of a id person", (ada,)), Sources(registry))
    two, _ = condition(loaded, clip, Wish("photo of a id person", (bob,)), Sources(registry))
    changed = (one[0][0] != two[0][0]).any(-1)[0].nonzero().flatten().tolist()
    assert changed[0] == 4 and one[0][0].shape == (1, LENGTH, 768)  # the tower is causal
    with pytest.raises(InputError, match='no token "id"'):
        condition(loaded, clip, Wish("photo of a person", (ada,)), Sources(registry))
    with pytest.raises(InputError, match="one person"):
        condition(loaded, clip, Wish("photo of a id person", (ada, bob)), Sources(registry))


def test_a_family_that_acts_on_the_attention_is_sent_to_the_other_node(registry: Registry, tmp_path: Path) -> None:
    write_files(tmp_path, ("ipadapter/ip-adapter-faceid_sd15.bin",))
    loaded = load(registry, tmp_path, "ipadapter/ip-adapter-faceid_sd15.bin")
    with pytest.raises(InputError, match="use Apply Identity Adapter"):
        condition(loaded, Clip(), Wish("a woman img", (somebody(),)), Sources(registry))


def test_every_family_either_acts_on_the_attention_or_on_the_prompt() -> None:
    assert all((family.tokens is None) <= (family.name in CONDITIONERS) for family in FAMILIES)
