"""The catalogue of published weight files, and their download."""

from __future__ import annotations

import hashlib

import pytest

import poseact
from helpers.keras_files import write_keras
from poseact.weights import catalogue


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A catalogue whose one file lies on this disk."""
    source = tmp_path / "release" / "weights.h5"
    source.parent.mkdir()
    source.write_bytes(b"some weights")
    md5 = hashlib.md5(b"some weights", usedforsecurity=False).hexdigest()
    file = catalogue.PublishedFile("cvpr18-mpii", source.name, source.as_uri(), md5, "v0")
    monkeypatch.setattr(catalogue, "PUBLISHED", (file,))
    return source


def test_fetch_verifies_and_reuses(published, tmp_path):
    seen = []
    path = catalogue.fetch("cvpr18-mpii", tmp_path / "cache", lambda *p: seen.append(p))
    assert path.read_bytes() == b"some weights"
    assert seen[-1][0] == 12
    published.unlink()
    assert catalogue.fetch("cvpr18-mpii", tmp_path / "cache") == path


def test_fetch_refuses_another_content(published, tmp_path):
    published.write_bytes(b"tampered")
    with pytest.raises(poseact.PoseActError, match="nothing was kept"):
        catalogue.fetch("cvpr18-mpii", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_fetch_without_network_or_file(published, tmp_path):
    published.unlink()
    with pytest.raises(poseact.PoseActError, match="could not be fetched"):
        catalogue.fetch("cvpr18-mpii", tmp_path / "cache")
    with pytest.raises(poseact.PoseActError, match="published no file for 'tiny'"):
        catalogue.fetch("tiny", tmp_path / "cache")


def test_fetch_by_hand_says_where():
    with pytest.raises(poseact.PoseActError, match="by hand"):
        catalogue.fetch("spnet-ntu")


@pytest.mark.slow(covers=True)
def test_fetched_file_loads_by_its_preset(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path))
    with pytest.raises(poseact.PoseActError, match="weights fetch PRESET"):
        poseact.load("cvpr18-mpii")
    write_keras(tmp_path / "weights_PE_MPII_cvpr18_19-09-2017.h5", "cvpr18-mpii")
    assert poseact.load("cvpr18-mpii").card.preset == "cvpr18-mpii"
