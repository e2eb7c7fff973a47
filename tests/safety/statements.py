"""A statement with something in every field."""

from __future__ import annotations

from likeness.pipelines.safety.statement import Operation, Person, Statement, Track, UsedModel

SWAP = Operation(
    node="LikenessSwapFaces",
    action="face replaced by another person's",
    settings={"strength": 0.5, "keep_mouth": True, "blend": "alpha", "size": 512},
    people=(Person("Grâce 福", "agreed in writing, 2026", ("ab" * 32,)),),
    models=(UsedModel("mesh", "Apache-2.0"), UsedModel("net", "MIT", "net.onnx", "some_net", "cd" * 32)),
    faces=(((10, 20, 110, 140), (300, 20, 380, 120)), ()),
    report="Swapper: mesh.\n1 of 1 face(s) swapped.",
    tracks=(
        Track(0, 3, 9, ((10, 20, 110, 140), (11, 21, 111, 141))),
        Track(4, 7, 40, ((-3, 20, 110, 140), (300, 20, 400, 140))),
    ),
)
MOVE = Operation(node="LikenessAnimatePortrait", action="face made to move")
STATEMENT = Statement((SWAP, MOVE))
