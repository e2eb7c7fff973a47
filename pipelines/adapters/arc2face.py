"""Arc2Face for SD1.5: the unit face vector stands in for the word "id" in a text tower of its own.

The prompt is always "photo of a id person"; the vector is padded with zeros behind to the tower's width and replaces
the token embedding before positions are added. The last hidden state after the final norm is the conditioning.
Source: Arc2Face, arc2face/utils.py, models.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ..errors import InputError
from .checkpoint import Checkpoint, Claims, load_into
from .encoders.clip import ClipTextTower, build_text_tower
from .family import Family, IdentityAdapter, VectorNeed

PROMPT = "photo of a id person"
#: The token "id" in CLIP's vocabulary.
ID_TOKEN = 1014


def padded_vector(unit: Tensor, width: int) -> Tensor:
    """(N, 512) unit vectors → (N, width) token embeddings, zeros behind.

    Raises InputError for a vector that is not of length 1: a raw vector gives another face without any error.
    """
    lengths = unit.float().norm(dim=-1)
    if (lengths - 1).abs().max() > 1e-2:
        raise InputError(
            f"Arc2Face needs vectors of length 1 and was given lengths {[round(x, 3) for x in lengths.tolist()]}: "
            "use the identity's unit vector."
        )
    return nn.functional.pad(unit, (0, width - unit.shape[-1]))


def replace_id_token(embedded: Tensor, ids: Tensor, vectors: Tensor) -> Tensor:
    """Token embeddings with `vectors` at every "id".

    embedded: (1, T, width) of ids (1, T). vectors: (N, width). Returns (N, T, width). Raises InputError when the
    prompt has no "id".
    """
    places = ids[0] == ID_TOKEN
    if not bool(places.any()):
        raise InputError(f'The prompt has no token "id": Arc2Face\'s prompt is "{PROMPT}".')
    embedded = embedded.expand(len(vectors), -1, -1).clone()
    embedded[:, places] = vectors.to(embedded)[:, None]
    return embedded


def encode(tower: ClipTextTower, ids: Tensor, unit: Tensor) -> Tensor:
    """unit (N, 512), ids (1, T) of the prompt → conditioning (N, T, width)."""
    embedded = tower.embed(ids)
    return tower(replace_id_token(embedded, ids, padded_vector(unit, embedded.shape[-1])))


def build_encoder(state: Mapping[str, Tensor], heads: int | None = None) -> ClipTextTower:
    """The tower of a state dict with keys below `text_model.`, with its weights."""
    state = {key: tensor for key, tensor in state.items() if not key.endswith("position_ids")}
    tower = build_text_tower(state, heads)
    load_into(tower, state, "Arc2Face's text encoder")
    return tower


def _matches(checkpoint: Checkpoint) -> bool:
    return "text_model.embeddings.token_embedding.weight" in checkpoint and not checkpoint.has("vision_model.")


def _build(family: Family, claims: Claims) -> IdentityAdapter:
    tower = build_encoder(claims.take("text_model."))
    return IdentityAdapter(family, claims.checkpoint.name, "SD1.5", tower)


ARC2FACE = Family("arc2face", "Arc2Face", _matches, _build, vector=VectorNeed("arcface_arc2face", unit=True))
