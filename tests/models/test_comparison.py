"""The tables of networks in the docs say what the code counts and what the authors published."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import poseact
from helpers.paths import ROOT
from poseact.models.presets import PRESETS, num_parameters

MANIFESTS = {
    "cvpr18-mpii": "a_cvpr18",
    "cvpr18-h36m": "b_cvpr18",
    "cvpr18-penn": "c_cvpr18",
    "cvpr18-ntu": "d_cvpr18",
    "spnet-penn": "e_penn_master",
    "spnet-ntu": "e_ntu_master",
}


def rows_of(page: str) -> dict[str, list[str]]:
    """The cells behind the preset in the tables of a page, by preset."""
    cells = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in (ROOT / page).read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    return {row[0].strip("`"): row[1:] for row in cells if row[0].strip("`") in PRESETS}


def count(preset: str) -> tuple[int, float]:
    """Parameters, and GFLOP of one item; tensors without data make it quick."""
    config = PRESETS[preset]()
    with torch.device("meta"):
        network = poseact.create_model(preset).eval()
        frames = torch.empty(1, config.frames, 3, config.image_size, config.image_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(frames)
    return num_parameters(network), counter.get_total_flops() / 1e9


@pytest.mark.parametrize("page", ["README.md", "docs/comparison.md"])
def test_every_preset_has_its_row(page):
    rows = rows_of(page)
    lacking = {preset: count(preset) for preset in PRESETS if preset not in rows}
    assert not lacking, "add rows with these parameters and GFLOP"
    assert list(rows) == list(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_tables_equal_what_the_code_counts(preset):
    frames, trained, _, _, gflop, _ = rows_of("docs/comparison.md")[preset]
    _, rounded_millions, rounded_gflop = rows_of("README.md")[preset]
    parameters, counted = count(preset)
    assert int(frames) == PRESETS[preset]().frames
    assert int(trained.replace(",", "")) == parameters
    assert float(gflop) == pytest.approx(counted, rel=2e-3)
    assert rounded_millions == f"{parameters / 1e6:.1f} M"
    assert rounded_gflop == f"{counted:.1f}"


@pytest.mark.parametrize("preset", MANIFESTS)
def test_published_numbers_are_those_of_the_authors_files(preset, shared):
    path = shared / "reference/golden" / f"manifest_{MANIFESTS[preset]}.json"
    manifest = json.loads(path.read_text("utf-8"))
    sizes = [math.prod(array["shape"]) for array in manifest["arrays"]]
    _, _, trained, in_file, _, _ = rows_of("docs/comparison.md")[preset]
    assert int(trained.replace(",", "")) == manifest["params_trainable"]
    assert int(in_file.replace(",", "")) == sum(sizes)
