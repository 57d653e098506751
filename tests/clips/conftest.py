"""The clip that ships with the package, and what reads it."""

from __future__ import annotations

from importlib.resources import as_file, files

import pytest

import poseact
from poseact.inference.predictor import Predictor
from poseact.media import VideoReader


@pytest.fixture(scope="session")
def person():
    """The frames of the clip that ships with the package."""
    with as_file(files("poseact.assets") / "demo.mp4") as path, VideoReader(path) as reader:
        return [frame.image for frame in reader]


@pytest.fixture(scope="session")
def predictor():
    return Predictor(device="cpu", runtime="torch")


@pytest.fixture(scope="session")
def network():
    return poseact.load("small-open")
