"""Whole models with adapters against the outputs of the published implementations, through ComfyUI's patcher."""

from __future__ import annotations

import sys
from pathlib import Path

import comfy_process

if __name__ == "__main__":
    comfy_process.start(Path(sys.argv[1]), Path(sys.argv[2]))

from likeness.cli.parity.fixture import Fixture
from likeness.cli.parity.unets import UNET_CHECKS

FILES = Path(__file__).resolve().parents[1] / "parity" / "fixtures"


def check(name: str) -> None:
    """Every quantity within its tolerance, and none of the file's outputs left out."""
    path = FILES / f"{name}.safetensors"
    errors = UNET_CHECKS[name](path)
    assert all(error.passed for error in errors), errors
    asked = {key.removeprefix("out.") for key in Fixture(path).tensors if key.startswith("out.")}
    assert {error.quantity for error in errors} == asked - {"pred_plain"}, asked


def case_faceid_on_sd15() -> None:
    check("sd15_faceid_unet")


def case_instantid_with_identitynet_on_sdxl() -> None:
    check("sdxl_instantid_unet")


def case_pulid_on_sdxl() -> None:
    check("sdxl_pulid_unet")


def case_consistentid_on_sd15() -> None:
    check("sd15_consistentid_unet")


def case_masterweaver_on_sd15() -> None:
    check("sd15_masterweaver_unet")


def case_fact_on_sd15() -> None:
    check("sd15_fact_unet")


def case_wplus_on_sd15() -> None:
    check("sd15_wplus_unet")


def case_pulid_on_flux() -> None:
    check("flux_pulid")


def case_dice_talk_on_svd() -> None:
    check("dice_talk_unet")


if __name__ == "__main__":
    comfy_process.run(globals())
