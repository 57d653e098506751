"""The joints that the generator labels, in the flesh of the MakeHuman body."""

from __future__ import annotations

from functools import cache

import numpy as np

from poseact.skeleton import PA20, Skeleton
from poseact.synthetic.body import Posed, template

# Each joint and the rig's joint that lies there; by the conventions of LSP and MPII the hip is the
# head of the thigh bone and the neck is the middle of the neck.
_RIG = {
    "neck": "neck02",
    "spine": "spine02",
    **{
        f"{side}_{joint}": f"{bone}.{side[0].upper()}"
        for side in ("left", "right")
        for joint, bone in {
            "shoulder": "upperarm01",
            "elbow": "lowerarm01",
            "wrist": "wrist",
            "hand": "finger3-1",
            "hip": "upperleg01",
            "knee": "lowerleg01",
            "ankle": "foot",
            "foot": "ball",
        }.items()
    },
}
_CHIN = 6.3  # dm in the mesh
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")

SYNTHETIC = Skeleton("synthetic", (*PA20.joints, "spine", *_FACE), PA20.limbs)
"""What the generator labels; pelvis and thorax are the middles of hips and shoulders."""

# How deep in the flesh a joint may lie, in mm, and still count as seen from the front of it.
_FLESH = {
    **dict.fromkeys(("pelvis", "thorax", "spine", "left_hip", "right_hip"), 180.0),
    **dict.fromkeys(("neck", "left_shoulder", "right_shoulder"), 130.0),
    **dict.fromkeys(("left_knee", "right_knee", "left_ankle", "right_ankle"), 90.0),
    **dict.fromkeys(("left_elbow", "right_elbow", "head", "left_foot", "right_foot"), 80.0),
    **dict.fromkeys(("left_wrist", "right_wrist", "left_hand", "right_hand"), 60.0),
    **dict.fromkeys(_FACE, 25.0),
}


def flesh_mm() -> np.ndarray:
    """``(J,)`` tolerance of the visibility of every joint in mm."""
    return np.array([_FLESH[name] for name in SYNTHETIC.joints])


def joints_of(posed: Posed) -> np.ndarray:
    """``(J, 3)`` places of the joints of ``SYNTHETIC`` in mm, in the axes of the body's world."""
    base = template()
    places = {name: posed.joints[base.joint(rig)] for name, rig in _RIG.items()}
    places["pelvis"] = (places["left_hip"] + places["right_hip"]) / 2
    places["thorax"] = (places["left_shoulder"] + places["right_shoulder"]) / 2
    places |= {name: posed.vertices[row] for name, row in _head_rows().items()}
    return np.stack([places[name] for name in SYNTHETIC.joints])


@cache
def _head_rows() -> dict[str, int]:
    """Vertices at the top of the head, the nose, the eyes and the ears."""
    base = template()
    x, y, z = base.vertices.T
    body = base.group("body")
    head = body[y[body] > _CHIN]
    rows = {
        "head": head[y[head].argmax()],
        "nose": head[z[head].argmax()],
        "left_ear": head[x[head].argmax()],
        "right_ear": head[x[head].argmin()],
    }
    for side in ("left", "right"):
        eye = base.group(f"helper-{side[0]}-eye")
        rows[f"{side}_eye"] = eye[z[eye].argmax()]
    return {name: int(row) for name, row in rows.items()}
