"""Finding and changing words in a tokenised prompt, as CLIP's tokenisers of ComfyUI give it.

A prompt is, per tokeniser ("l", "g"), a list of chunks of 77 tokens; a token is (id or embedding, weight, ...). A
chunk begins with START, and what follows the first END is padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..errors import InputError

Token = tuple[Any, ...]
Chunks = list[list[Token]]
Prompt = Mapping[str, Chunks]

START, END = 49406, 49407
#: Tokenisers of CLIP's vocabulary; other text models have other words.
CLIP_KEYS = ("l", "g", "h")


@dataclass(frozen=True)
class Place:
    """Where a word starts, and how many tokens it has."""

    chunk: int
    index: int
    length: int


def token_id(token: Token) -> int:
    """The id of a token; -1 for one that is an embedding."""
    return token[0] if isinstance(token[0], int) else -1


def words_of(chunks: Chunks) -> list[int]:
    """The ids of a prompt of one chunk without START, END and padding."""
    ids = [token_id(token) for token in chunks[0]]
    return ids[1 : ids.index(END, 1)]


def find_word(chunks: Chunks, word: Sequence[int]) -> Place | None:
    """The first place where the ids of a word follow each other inside one chunk."""
    for number, chunk in enumerate(chunks):
        ids = [token_id(token) for token in chunk]
        for index in range(1, len(ids) - len(word) + 1):
            if ids[index : index + len(word)] == list(word):
                return Place(number, index, len(word))
    return None


def repeat_before(chunks: Chunks, place: Place, copies: int) -> Chunks:
    """The chunks without the word at `place`, and with the token before it `copies` times.

    Raises InputError when there is no word before it, or when the chunk becomes too long.
    """
    chunk = chunks[place.chunk]
    if place.index < 2:
        raise InputError(
            "The trigger word stands at the beginning of the prompt, but it marks the word before it: write "
            "`a photo of a woman img`."
        )
    class_token = chunk[place.index - 1]
    changed = [*chunk[: place.index - 1], *[class_token] * copies, *chunk[place.index + place.length :]]
    used = 1 + [token_id(token) for token in changed].index(END, 1)
    if used > len(chunk):
        raise InputError(
            f"The prompt is {used - len(chunk)} token(s) too long: the word before the trigger is repeated {copies} "
            "times, once per reference picture and token. Shorten the prompt, or use fewer references."
        )
    changed = changed[: len(chunk)] + [chunk[-1]] * (len(chunk) - len(changed))
    return [*chunks[: place.chunk], changed, *chunks[place.chunk + 1 :]]


@dataclass(frozen=True, eq=False)
class MarkedPrompt:
    """A prompt whose subjects are known. positions: of the tokens to be fused, in order, over all chunks.

    plain: the same prompt without the trigger word and without repetitions.
    """

    tokens: Prompt
    positions: tuple[int, ...]
    plain: Prompt


def clip_parts(tokens: Prompt) -> Prompt:
    """The prompt itself. Raises InputError unless all of it is in CLIP's vocabulary."""
    foreign = sorted(set(tokens) - set(CLIP_KEYS))
    if foreign or not tokens:
        raise InputError(
            f"The CLIP has text models {', '.join(tokens) or 'none'}; trigger words are found in those of CLIP only "
            "(SD1.5, SD2.1, SDXL). Connect the CLIP of such a checkpoint."
        )
    return tokens


def mark_subjects(tokens: Prompt, word: Prompt, trigger: str, copies: Sequence[int]) -> MarkedPrompt:
    """Every trigger word taken out, and the word before it repeated for each subject.

    tokens: of the prompt. word: of the trigger alone. trigger: for messages. copies: per subject how many tokens it
    gets. Raises InputError when there are fewer or more triggers than subjects.
    """
    marked = {key: _mark(chunks, words_of(word[key]), trigger, copies) for key, chunks in clip_parts(tokens).items()}
    first = next(iter(marked.values()))[1]
    plain = {key: _mark(chunks, words_of(word[key]), trigger, [1] * len(copies))[0] for key, chunks in tokens.items()}
    if any(positions != first for _, positions in marked.values()):
        raise InputError("The text models of this CLIP cut the prompt differently: write a shorter prompt.")
    return MarkedPrompt({key: chunks for key, (chunks, _) in marked.items()}, tuple(first), plain)


def _mark(chunks: Chunks, word: Sequence[int], trigger: str, copies: Sequence[int]) -> tuple[Chunks, list[int]]:
    positions: list[int] = []
    if not word:
        raise InputError(f"The trigger word {trigger!r} has no letters: the usual one is img.")
    for number, count in enumerate(copies):
        place = find_word(chunks, word)
        if place is None:
            found = f"only {number} time(s)" if number else "not"
            raise InputError(
                f"The trigger word {trigger!r} is {found} in the prompt, and {len(copies)} identity(ies) are to be "
                f"put there: write it behind the word that means the person, as in `a photo of a woman {trigger}`."
            )
        chunks = repeat_before(chunks, place, count)
        first = place.chunk * len(chunks[place.chunk]) + place.index - 1
        positions += range(first, first + count)
    if find_word(chunks, word) is not None:
        raise InputError(
            f"The trigger word {trigger!r} is in the prompt more than {len(copies)} time(s), once per identity: "
            "take it out, or connect more identities."
        )
    return chunks, positions


def replace_word(tokens: Prompt, word: Prompt, trigger: str, embeddings: Tensor) -> Prompt:
    """The prompt with embeddings (n, width) written over the trigger word and what follows it, in every chunk list.

    Raises InputError when the trigger is missing or the embeddings run over the end of its chunk.
    """
    changed: dict[str, Chunks] = {}
    for key, chunks in clip_parts(tokens).items():
        place = find_word(chunks, words_of(word[key]))
        if place is None:
            raise InputError(
                f"The trigger word {trigger!r} is not in the prompt: write it where the person is named, as in "
                f"`a photo of {trigger} in a garden`."
            )
        chunk = chunks[place.chunk]
        if place.index + len(embeddings) > len(chunk):
            raise InputError(f"The {len(embeddings)} tokens of the person run over the end of the prompt: shorten it.")
        own = [(embedding, *chunk[place.index][1:]) for embedding in embeddings]
        new = [*chunk[: place.index], *own, *chunk[place.index + len(own) :]]
        changed[key] = [*chunks[: place.chunk], new, *chunks[place.chunk + 1 :]]
    return changed


def without_word(tokens: Prompt, word: Prompt) -> Prompt:
    """The prompt without the first place of a word in every chunk list; the same where it is not."""
    changed: dict[str, Chunks] = {}
    for key, chunks in clip_parts(tokens).items():
        place = find_word(chunks, words_of(word[key]))
        changed[key] = chunks
        if place is not None:
            chunk = chunks[place.chunk]
            rest = [*chunk[: place.index], *chunk[place.index + place.length :], *[chunk[-1]] * place.length]
            changed[key] = [*chunks[: place.chunk], rest, *chunks[place.chunk + 1 :]]
    return changed
