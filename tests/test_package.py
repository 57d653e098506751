"""The package as a whole: what importing it does, what it ships, what its documents say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import poseact
from poseact.data.pose_table import COLUMNS
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.models.presets import PRESETS
from poseact.weights.checkpoint import shipped_weights

ROOT = Path(__file__).resolve().parent.parent

NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise AssertionError("import reached for the network")
socket.socket.connect = socket.getaddrinfo = refuse
import sys, poseact
print(*(m for m in ("matplotlib", "scipy", "pandas", "tensorflow", "keras") if m in sys.modules))
"""


def test_import_needs_no_network_and_no_optional_package():
    command = [sys.executable, "-c", NO_NETWORK]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", shipped_weights())
def test_shipped_weights_load_and_say_where_they_come_from(name):
    network = poseact.load(name)
    assert network.card.preset in PRESETS
    assert network.card.licence
    scores = network.card.provenance["validation"]
    assert all(score["protocol"] for score in scores.values())
    card = (ROOT / "docs" / "model-cards" / f"{name}.md").read_text(encoding="utf-8")
    for name_of_data in ("lspet", "photos", "synthetic"):
        mean = scores[name_of_data]["metrics"]["pck"]["mean"]
        assert f"| PCK@0.2 torso, % | {100 * mean:.1f} |" in card


def test_default_weights_ship():
    assert DEFAULT_WEIGHTS in shipped_weights()


def test_documents_name_every_column_and_preset():
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", " ".join(re.findall(r"^\| (.*?) \|", results, re.MULTILINE))))
    assert set(COLUMNS) - {"box_y0", "box_x1"} <= named
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for preset in PRESETS:
        assert f"`{preset}`" in readme
