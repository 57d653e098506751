"""The package as a whole: what importing it does, what it ships, what its documents say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import poseact
from helpers.paths import ROOT
from poseact.data.pose_table import COLUMNS
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.models.presets import PRESETS
from poseact.weights.weight_files import shipped_weights

NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise AssertionError("import reached for the network")
socket.socket.connect = socket.getaddrinfo = refuse
"""

LAYERS_AND_MODELS = """
import importlib, importlib.metadata, pkgutil
find = importlib.metadata.distribution
def refuse(name):
    assert name != "poseact", "the metadata of poseact was asked for"
    return find(name)
importlib.metadata.distribution = refuse
import poseact.layers, poseact.models
for package in (poseact.layers, poseact.models):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def loaded_by(program: str, *names: str) -> set[str]:
    """Those of the modules named that a program in a new interpreter has loaded."""
    program += f"\nimport sys\nprint(*(set({names}) & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.slow
def test_import_needs_no_network_and_no_optional_package():
    program = f"{NO_NETWORK}\nfrom poseact import Predictor, Stream, create_model, load"
    assert not loaded_by(program, "matplotlib", "pandas", "tensorflow", "keras")


@pytest.mark.parametrize("program", ["import poseact", "import poseact.cli"])
def test_import_waits_with_torch_until_a_network_is_touched(program):
    assert not loaded_by(program, "torch", "numpy", "cv2", "av", "pyarrow")


@pytest.mark.slow
def test_layers_and_models_need_neither_pictures_nor_metadata():
    assert loaded_by(LAYERS_AND_MODELS, "torch", "cv2", "av", "pyarrow") == {"torch"}


def test_every_public_name_can_be_imported():
    for name in [*poseact.__all__, "__version__"]:
        assert getattr(poseact, name) is not None
        assert name in dir(poseact)
    with pytest.raises(AttributeError, match="no attribute 'predictor_'"):
        poseact.predictor_  # noqa: B018


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


def test_the_name_of_a_module_identifies_it():
    names = [path.name for path in (ROOT / "src/poseact").rglob("*.py")]
    assert sorted({*names} - {"__init__.py"}) == sorted(n for n in names if n != "__init__.py")


def test_default_weights_ship():
    assert DEFAULT_WEIGHTS in shipped_weights()


def test_documents_name_every_column_and_preset():
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+", " ".join(re.findall(r"^\| (.*?) \|", results, re.MULTILINE))))
    assert set(COLUMNS) - {"box_y0", "box_x1"} <= named
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for preset in PRESETS:
        assert f"`{preset}`" in readme


@pytest.mark.parametrize("module", ["poseact.data.ntu", "poseact.data.penn_action"])
def test_readers_can_be_imported_first(module):
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
