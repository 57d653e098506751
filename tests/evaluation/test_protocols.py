"""Every shipped recipe of the papers, and the tables, on generated data in the official layouts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import poseact
from helpers.keras_files import FIXTURES, write_keras_file
from helpers.ntu_jhmdb_files import write_ntu
from helpers.paths import ROOT
from helpers.penn_action_files import picture, standing, write_penn_action
from helpers.pose_files import LENS, mpii_person, room_poses, write_cdf, write_metadata, write_mpii
from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.data.official.human36m_cameras import VIEWS
from poseact.evaluation.protocols import published
from poseact.evaluation.protocols.human36m_protocol import TEST_SUBJECTS
from poseact.evaluation.protocols.reproduce import reproduce
from poseact.media import write_image
from poseact.skeleton import LSP14, MPII16
from poseact.training.train_pose import Machine, train

QUIET = Machine(workers=0, log_every=1)
FRAMES = 4

# Shapes of a few thousand weights.
CVPR18 = {
    "channels": 16,
    "low_channels": 16,
    "image_size": 32,
    "num_blocks": 1,
    "pose_width": 4,
    "appearance_channels": 8,
    "action_blocks": 1,
}
SPNET = {
    "channels": 16,
    "growth": 8,
    "image_size": 64,
    "levels": 3,
    "pyramids": 2,
    "action_pyramids": [1, 2],
    "action_channels": 16,
}
STAGES = {
    "cvpr18-mpii": [""],
    "cvpr18-h36m": [""],
    "cvpr18-penn": ["-pose", "-action", "-joint"],
    "cvpr18-ntu": ["-pose", "-action", "-joint"],
    "spnet-penn": ["-pose", "-action", "-joint"],
    "spnet-ntu": ["-pose", "-joint"],
}
TABLES = {
    "cvpr18-mpii": "mpii",
    "cvpr18-h36m": "human36m",
    "cvpr18-penn": "penn-action",
    "cvpr18-ntu": "ntu",
    "spnet-penn": "penn-action",
    "spnet-ntu": "ntu",
}


def people_of_mpii(root: Path) -> None:
    rng = np.random.default_rng(0)
    people, lists = {}, {"train": [], "valid": []}
    for number in range(8):
        name = f"{number}.jpg"
        joints = [joint if joint in LSP14.joints else "neck" for joint in MPII16.joints]
        points = standing(joints, rng)
        write_image(root / "images" / name, picture(standing(LSP14.joints, rng), rng))
        people[name] = [mpii_person(points, set(), scale=0.4)]
        entry = {"image": name, "joints": points.tolist(), "joints_vis": [1] * 16}
        lists["train" if number < 6 else "valid"].append(entry)
    write_mpii(root, people)
    for part, entries in lists.items():
        (root / f"{part}.json").write_text(json.dumps(entries))


def people_of_human36m(root: Path) -> None:
    placings = np.zeros((4, 11, 6))
    placings[..., :3] = (np.pi / 2, 0, 0)
    placings[..., 3:] = (0, -5000, 1000)
    root.mkdir()
    write_metadata(root / "metadata.xml", placings, np.tile(LENS, (4, 1)))
    grey = np.full((100, 100, 3), 90, np.uint8)
    for seed, subject in enumerate(("S1", "S5", "S6", "S7", "S8", "S9", "S11")):
        poses = root / subject / "MyPoseFeatures" / "D3_Positions" / "Walking.cdf"
        # Of the test subjects those frames that the protocols read.
        frames = (60, 64) if subject in TEST_SUBJECTS else (1, 2)
        write_cdf(poses, room_poses(frames[-1], seed))
        for view in VIEWS:
            sequence = f"{subject}_Walking.{view}"
            for frame in frames:
                name = f"{sequence}_{frame:06d}.jpg"
                write_image(root / "images" / subject / sequence / name, grey)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The four data sets, each with a few people or videos."""
    root = tmp_path_factory.mktemp("data")
    (root / "mpii").mkdir()
    people_of_mpii(root / "mpii")
    people_of_human36m(root / "human36m")
    write_penn_action(root / "penn-action", ("squat", "bowl"), videos=2, frames=11)
    names = [f"S001C00{c}P00{p}R001A00{a}" for c in (1, 2) for p in (1, 3) for a in (1, 2)]
    write_ntu(root / "ntu", names, frames=FRAMES)
    return root


@pytest.fixture
def shortened(tmp_path, data, monkeypatch):
    """Writes a shipped recipe with every frame in place of a few of thousands."""
    monkeypatch.setenv("POSEACT_DATA", str(data))

    def write(name: str) -> tuple[Path, dict]:
        text = (ROOT / "recipes" / f"{name}.yaml").read_text()
        text = text.replace("every: 640,", "every: 60,")
        text = re.sub(r"every: (40|10|5)\b", "every: 1", text)
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        preset = yaml.safe_load(text)["network"]["preset"]
        changes = {
            "network.changes": SPNET if preset.startswith("spnet") else CVPR18,
            "steps": 2,
            "validate_every": 2,
            "clip_length": FRAMES if len(STAGES[name]) > 1 else 1,
        }
        return path, changes

    return write


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.slow
def test_a_recipe_runs_and_fills_its_table(name, shortened, data, tmp_path):
    path, changes = shortened(name)
    reports = train(path, tmp_path / "run", changes=changes, machine=QUIET)
    assert [report.weights.stem for report in reports] == [f"{name}{s}" for s in STAGES[name]]
    assert all(report.finished for report in reports)
    scored = {metric for report in reports for s in report.scores.values() for metric in s}
    assert scored & {"pckh", "mpjpe", "accuracy"}
    weights = {name: str(reports[-1].weights)}
    found = reproduce([TABLES[name]], data, tmp_path / "table", weights=weights)
    for line in found.rows[TABLES[name]]:
        assert (line.result is not None) == (line.row.preset == name)
        if line.result is not None:
            assert np.isfinite(line.result.value)
            assert weights[name].rpartition("/")[2] in line.result.protocol


def test_the_table_says_what_is_missing(tmp_path, data):
    run = CliRunner().invoke(app, ["reproduce", "--data", str(tmp_path), "--out", str(tmp_path)])
    assert run.exit_code == 2, "nothing was measured"
    for name in published.TABLES:
        assert f"not run: data not found at {tmp_path / name}" in run.output
    rows = json.loads((tmp_path / "reproduce.json").read_text())["tables"]
    assert [row["published"] for row in rows["mpii"]] == [89.1, None]
    assert all(row["ours"] is None for table in rows.values() for row in table)
    with pytest.raises(PoseActError, match="no table 'coco'"):
        reproduce(["coco"], data)
    with pytest.raises(PoseActError, match="limit=0"):
        reproduce([], data, limit=0)


def test_weights_that_were_asked_for_must_be_there(tmp_path, data):
    with pytest.raises(PoseActError, match=r"Weights of cvpr18-pen were given, .* cvpr18-penn"):
        reproduce([], data, tmp_path, weights={"cvpr18-pen": "small-open"})
    with pytest.raises(PoseActError, match="missing"):
        reproduce([], data, tmp_path, weights={"cvpr18-penn": str(tmp_path / "missing")})


def test_a_row_of_other_weights_is_not_run(tmp_path, data):
    poseact.save(poseact.create_model("tiny"), tmp_path / "tiny.safetensors")
    weights = {"cvpr18-mpii": str(tmp_path / "tiny.safetensors")}
    found = reproduce(["mpii"], data, tmp_path / "out", weights=weights)
    for line in found.rows["mpii"]:
        assert line.result is None
        assert "holds weights of tiny, not of cvpr18-mpii" in line.reason


# One of each paper: what the others add to their recipes above is their size.
@pytest.mark.parametrize("preset", ["cvpr18-mpii", "spnet-penn"])
@pytest.mark.slow(covers=True)
def test_published_networks_fill_their_tables(preset, shared, data, tmp_path):
    keras_file, checkpoint = tmp_path / "weights.h5", tmp_path / "weights.safetensors"
    write_keras_file(shared, FIXTURES[preset], keras_file)
    command = ["import-keras", str(keras_file), "--preset", preset, "-o", str(checkpoint)]
    assert CliRunner().invoke(app, command).exit_code == 0
    table = TABLES[preset]
    found = reproduce([table], data, tmp_path / "out", weights={preset: str(checkpoint)}, limit=1)
    for line in found.rows[table]:
        if line.row.preset == preset:
            assert line.result is not None, line.reason
            assert "a quick look: 1 of" in line.result.protocol
