"""A studio without a server, and videos for it."""

from __future__ import annotations

import numpy as np
import pytest
from starlette.testclient import TestClient

from helpers.clips import write_video
from poseact.studio.core import Studio
from poseact.studio.server import make_app

HOST = "127.0.0.1:8765"
ORIGIN = {"Origin": f"http://{HOST}"}


ODD = [
    *("..", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 300, "🤸" * 90, "C:\\x"),
    *(" ", ".hidden", "a/b", "-rf", "<b>.mp4"),
]
"""Names that files had better not have."""


def pictures(count=8, seed=0, size=(48, 64)):
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 255, (count, *size, 3), np.uint8))


@pytest.fixture
def video(tmp_path):
    """Bytes of a short MP4."""
    return write_video(tmp_path / "made" / "video.mp4", pictures()).read_bytes()


@pytest.fixture
def folder(tmp_path):
    """Two actions with two clips each, sorted into folders."""
    for seed, name in enumerate(("squat/a.mp4", "squat/b.mp4", "jump/c.mp4", "jump/d.mp4")):
        write_video(tmp_path / "clips" / name, pictures(seed=seed))
    return tmp_path / "clips"


@pytest.fixture
def studio(folder):
    return Studio(folder)


@pytest.fixture
def client(studio):
    """A page of the studio; nothing runs in the background."""
    return page_of(studio)


def page_of(studio, token=None, link=None, headers=ORIGIN):
    app = make_app(studio, frozenset({HOST, "localhost:8765"}), token, link)
    return TestClient(app, base_url=f"http://{HOST}", headers=headers, raise_server_exceptions=True)
