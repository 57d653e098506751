"""Data sets of a recipe: adapters, options, environment variables, minimum of joints."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.io import savemat

from poseact._utils.errors import PoseActError
from poseact.data.sources import ADAPTERS, SourceSpec, expand_variables
from poseact.skeleton import LSP14, PA16


@pytest.fixture
def lsp_root(tmp_path):
    labels = np.random.default_rng(0).uniform(1, 29, (14, 3, 6))
    labels[:, 2] = 1
    labels[:8, 2, 2] = 0
    savemat(tmp_path / "joints.mat", {"joints": labels})
    return tmp_path


def test_reading_with_options_as_yaml_gives_them(lsp_root):
    spec = SourceSpec.model_validate(
        {"adapter": "lsp-extended", "root": str(lsp_root), "options": {"images": [2, 4]}}
    )
    assert [sample.name for sample in spec.read(PA16)] == [f"im0000{n}.jpg" for n in (2, 3, 4)]
    assert spec.read(LSP14)[0].skeleton == LSP14
    again = SourceSpec.model_validate(spec.model_dump())
    assert again == spec


def test_people_of_few_joints_are_left_out(lsp_root):
    spec = SourceSpec(adapter="lsp-extended", root=str(lsp_root), min_visible=12)
    assert [sample.name for sample in spec.read(PA16)] == [
        f"im0000{n}.jpg" for n in (1, 2, 4, 5, 6)
    ]
    with pytest.raises(PoseActError, match="6 people, but none is left with 17 or more"):
        SourceSpec(adapter="lsp-extended", root=str(lsp_root), min_visible=17).read(PA16)


def test_environment_variables(monkeypatch, lsp_root):
    monkeypatch.setenv("POSEACT_TEST_ROOT", str(lsp_root))
    spec = SourceSpec.model_validate({"adapter": "lsp-extended", "root": "${POSEACT_TEST_ROOT}"})
    assert spec.folder == lsp_root
    monkeypatch.delenv("POSEACT_TEST_ROOT")
    assert (
        expand_variables("${POSEACT_TEST_ROOT:-/data}/lsp/${POSEACT_TEST_ROOT:-}") == "/data/lsp/"
    )
    with pytest.raises(PoseActError, match="variable POSEACT_TEST_ROOT, which is not set"):
        expand_variables("${POSEACT_TEST_ROOT}/lsp")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"adapter": "lspe"}, r"lspe was given.*lsp-extended"),
        ({"options": {"image": [1, 2]}}, r"image was given as \[1, 2\].*options are images"),
        ({"options": {"images": [1, "last"]}}, r"images\.1 was given as 'last'"),
        ({"adapter": "blazepose", "options": {"part": "test"}}, "'all', 'train' or 'held-out'"),
    ],
)
def test_wrong_fields_are_explained(tmp_path, fields, message):
    with pytest.raises(PoseActError, match=message):
        SourceSpec.model_validate({"adapter": "lsp", "root": str(tmp_path), **fields})


def test_unknown_fields_and_negative_ratios_are_refused(tmp_path):
    for wrong in ({"rato": 1}, {"ratio": -1}):
        with pytest.raises(ValidationError):
            SourceSpec.model_validate({"adapter": "lsp", "root": str(tmp_path), **wrong})


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_adapter_names_its_missing_files(adapter, tmp_path):
    spec = SourceSpec(adapter=adapter, root=str(tmp_path))
    with pytest.raises(PoseActError, match=str(tmp_path)):
        spec.read(PA16)
