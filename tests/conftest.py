"""Fixtures shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from helpers.paths import ROOT

# Tests of other things do not measure which runtime is the fastest.
os.environ.setdefault("POSEACT_RUNTIME", "torch")
os.environ.setdefault("POSEACT_PRECISION", "fp32")


def pytest_collection_modifyitems(items):
    """Measure coverage in slow tests only where these alone run the code: it doubles their time."""
    for item in items:
        slow = list(item.iter_markers("slow"))
        if slow and not any(mark.kwargs.get("covers") for mark in slow):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material that users do not have."""
    path = Path(os.environ.get("POSEACT_SHARED", ROOT.parent / "shared"))
    if not (path / "reference").is_dir():
        pytest.skip(f"no reference material at {path}; set POSEACT_SHARED to run this test")
    return path
