"""Pictures of people for the tests of inference."""

from importlib.resources import as_file, files

import pytest

from poseact.media import VideoReader


@pytest.fixture(scope="session")
def person():
    """A photo of one person, from the demo."""
    with as_file(files("poseact.assets") / "demo.mp4") as path, VideoReader(path) as video:
        return next(iter(video)).image
