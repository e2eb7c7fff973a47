"""Projectors, fusion modules and towers against the outputs of their published implementations."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.cli.parity.adapters import MODULES
from likeness.cli.parity.check import Check

FIXTURES = Path(__file__).parents[1] / "parity" / "fixtures"


@pytest.mark.parametrize("check", MODULES, ids=lambda check: check.name)
def test_a_module_gives_what_the_published_one_gives(check: Check) -> None:
    errors = check.run(FIXTURES / f"{check.name}.safetensors")
    assert errors
    assert [error for error in errors if not error.passed] == []
