"""GPEN BFR (Yang et al. 2021, arXiv 2105.06070) at four sizes, as ONNX: for close-ups the larger ones."""

from __future__ import annotations

from ..registry import Registry
from .onnx_restorer import OnnxRestorer
from .restorer import PublishedFile, Restorer, RestorerNetwork


def _restorer(size: int, *weights_ids: str, template: str = "ffhq_512") -> Restorer:
    def open_file(registry: Registry, weights_id: str) -> RestorerNetwork:
        return OnnxRestorer(registry, weights_id, size)

    return Restorer(
        f"gpen_{size}",
        f"GPEN, {size} px",
        "Non-commercial (yangxy/GPEN)",
        size,
        tuple(PublishedFile(weights_id, open_file) for weights_id in weights_ids),
        template,
    )


GPEN_256 = _restorer(256, "gpen_bfr_256_onnx", template="arcface_128")
GPEN_512 = _restorer(512, "gpen_bfr_512_onnx", "gpen_bfr_512_reactor_onnx")
GPEN_1024 = _restorer(1024, "gpen_bfr_1024_onnx", "gpen_bfr_1024_reactor_onnx")
GPEN_2048 = _restorer(2048, "gpen_bfr_2048_onnx", "gpen_bfr_2048_reactor_onnx")
