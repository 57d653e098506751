"""Angles of a recorded motion are those that the body was posed with."""

from __future__ import annotations

import numpy as np
import pytest
from recorded_angles import angles_of

from poseact.synthetic.angles import ANGLES
from poseact.synthetic.body import Body, Shape, template


def test_joints_give_their_angles_back():
    wanted = {
        **dict.fromkeys(ANGLES, 0.0),
        "left_arm_elevation": 70.0,
        "left_arm_plane": 40.0,
        "left_elbow_flexion": 80.0,
        "left_arm_twist": 35.0,
        "right_arm_elevation": 120.0,
        "left_hip_flexion": 60.0,
        "left_hip_abduction": 15.0,
        "left_knee_flexion": 70.0,
        "left_hip_twist": 20.0,
        "right_knee_flexion": 40.0,
    }
    body = Body(Shape({"caucasian-male-young": 1.0}))
    joints = body.joint_places(np.array(list(wanted.values())), np.eye(3))
    names = {
        "shoulder": "upperarm01",
        "elbow": "lowerarm01",
        "wrist": "wrist",
        "hip": "upperleg01",
        "knee": "lowerleg01",
        "ankle": "foot",
        "toe": "ball",
    }
    places = {
        f"{side}_{ours}": joints[template().joint(f"{rig}.{side[0].upper()}")][None]
        for side in ("left", "right")
        for ours, rig in names.items()
    }
    # The trunk is upright here, so that the limbs' angles are exact.
    shoulders = (places["left_shoulder"] + places["right_shoulder"]) / 2
    hips = (places["left_hip"] + places["right_hip"]) / 2
    places["spine"] = (hips + shoulders * [1, 1, 0] + hips * [0, 0, 1]) / 2
    places["spine"][:, 2] = hips[:, 2]
    for side in ("left", "right"):
        shift = np.array([0, 0, hips[0, 2] - shoulders[0, 2]])
        for joint in ("shoulder", "elbow", "wrist"):
            places[f"{side}_{joint}"] = places[f"{side}_{joint}"] + shift
    places["neck"] = np.add(shoulders, (0, 50, hips[0, 2] - shoulders[0, 2]))
    places["head"] = places["neck"] + [0, 100, 0]
    found, _ = angles_of(places)
    for name in ANGLES:
        if name.split("_", 1)[-1].startswith(("arm_elev", "arm_twist", "elbow", "hip", "knee")):
            assert found[name][0] == pytest.approx(wanted[name], abs=3), name
