"""Motion capture in BVH: rotations, units, axes, names."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.sequence_files import RIG, write_bvh
from poseact._utils.errors import PoseActError
from poseact.data.sequences.bvh import LEG_MM
from poseact.data.sequences.registry import read_sequences
from poseact.skeleton import PA16


def place(sequence, joint):
    """``(N, D)``."""
    return sequence.joints[:, sequence.skeleton.index(joint)]


def test_bvh_turns_in_their_order(tmp_path):
    # The left arm turns about y so that it points forward, and about the arm's own x after that.
    turns = {"LeftArm": (0, 0, -90), "LeftForeArm": (90, 0, 0), "Hips": (0, 0, 0)}
    (sequence,) = read_sequences(write_bvh(tmp_path / "reach.bvh", turns=turns))
    assert sequence.skeleton == PA16
    assert sequence.fps == pytest.approx(50)
    assert (sequence.confidence == 1).all()
    shoulder = place(sequence, "left_shoulder")[0]
    # Forward is towards the camera; the forearm then points upwards.
    np.testing.assert_allclose(place(sequence, "left_elbow")[0] - shoulder, (0, 0, -300), atol=0.01)
    np.testing.assert_allclose(
        place(sequence, "left_wrist")[0] - shoulder, (0, -250, -300), atol=0.01
    )
    # Someone who faces the camera has the left side on the right of the picture.
    assert place(sequence, "left_hip")[0, 0] > place(sequence, "right_hip")[0, 0]
    np.testing.assert_allclose(place(sequence, "pelvis")[0, :2], (50, -850), atol=0.01)
    top = place(sequence, "head")[0] - place(sequence, "neck")[0]
    np.testing.assert_allclose(top, (0, -220, -20), atol=0.01)


def test_bvh_channels_turn_one_after_the_other(tmp_path):
    # Z, then X about the turned axis: the arm that points along x ends where Rz(90) Rx(90) y does.
    turns = {"RightUpLeg": (90, 90, 0)}
    (sequence,) = read_sequences(write_bvh(tmp_path / "kick.bvh", turns=turns))
    thigh = place(sequence, "right_knee")[0] - place(sequence, "right_hip")[0]
    np.testing.assert_allclose(thigh, (0, 0, 420), atol=0.01)


@pytest.mark.parametrize("scale", [0.01, 0.3937, 10])
@pytest.mark.parametrize("up", ["y", "z"])
def test_bvh_units_and_axes_do_not_matter(tmp_path, up, scale):
    turns = {"LeftArm": (0, 20, -60), "RightLeg": (10, 80, 5), "Spine": (3, 30, 10)}
    (expected,) = read_sequences(write_bvh(tmp_path / "a.bvh", turns=turns))
    (found,) = read_sequences(write_bvh(tmp_path / "b.bvh", turns=turns, up=up, scale=scale))
    np.testing.assert_allclose(found.joints, expected.joints, atol=0.02)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"mixamorig:{name}",
        lambda name: name.replace("Left", "L_").replace("Right", "R_"),
        lambda name: f"{name[4:]}.L" if name.startswith("Left") else name,
    ],
)
def test_bvh_names_of_other_rigs(tmp_path, rename):
    (expected,) = read_sequences(write_bvh(tmp_path / "a.bvh"))
    (found,) = read_sequences(write_bvh(tmp_path / "b.bvh", rename=rename))
    np.testing.assert_array_equal(found.joints, expected.joints)


def test_bvh_without_known_names(tmp_path):
    file = write_bvh(tmp_path / "robot.bvh", rename=lambda name: f"bone {hash(name)}")
    (sequence,) = read_sequences(file)
    ends = sum(name not in {parent for _, parent, _ in RIG} for name, *_ in RIG)
    assert len(sequence.skeleton) == len(RIG) + ends
    assert sequence.skeleton.flip_indices == tuple(range(len(RIG) + ends))
    np.testing.assert_allclose(sequence.joints[0, 0], (50, -900, 0), atol=0.01)
    (smaller,) = read_sequences(file, unit_mm=1)
    np.testing.assert_allclose(smaller.joints * 10, sequence.joints, atol=0.01)
    (turned,) = read_sequences(file, up="z")
    np.testing.assert_allclose(turned.joints[0, 0], (50, -70, 0), atol=0.01)


def test_bvh_damaged(tmp_path):
    file = write_bvh(tmp_path / "a.bvh")
    whole = file.read_text()
    for text in (
        *("", "HIERARCHY\n", whole[:300], whole[:-60], whole.replace("Frames: 3", "Frames: 4")),
        *(whole.replace("OFFSET 0.0 20.0", "OFFSET 20.0"), whole.replace("Frame Time: 0.02", "")),
        *(whole.replace("Time: 0.02", "Time: 0"), whole.replace("Zrotation", "Wrotation")),
    ):
        file.write_text(text)
        with pytest.raises(PoseActError, match="cut short or not BVH"):
            read_sequences(file)
    with pytest.raises(PoseActError, match="y or z"):
        read_sequences(file, up="x")


def test_bvh_genuine(shared):
    sequences = read_sequences(shared / "data/makehuman/motions")
    assert len(sequences) == 9
    for sequence in sequences:
        assert sequence.skeleton == PA16
        assert place(sequence, "neck")[:, 1].mean() < place(sequence, "left_ankle")[:, 1].mean()
        lengths = [
            np.linalg.norm(place(sequence, f"{side}_{a}") - place(sequence, f"{side}_{b}"), axis=-1)
            for side in ("left", "right")
            for a, b in (("hip", "knee"), ("knee", "ankle"))
        ]
        assert np.sum(lengths, 0).mean() / 2 == pytest.approx(LEG_MM, rel=1e-3)
        assert np.abs(sequence.joints[..., 2]).max() < 1000
