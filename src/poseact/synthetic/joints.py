"""The joints that the generator labels, defined in ``labels.yaml``."""

from functools import cache

import numpy as np

from poseact.skeleton import PA20, Skeleton
from poseact.synthetic.body import Posed, template
from poseact.synthetic.families import description

_LABELS = description("labels")
_FACE = tuple(_LABELS["face"])

SYNTHETIC = Skeleton("synthetic", (*PA20.joints, "spine", *_FACE), PA20.limbs)
"""What the generator labels; pelvis and thorax are the middles of hips and shoulders."""

_RIG = _LABELS["rig"] | {
    f"{side}_{joint}": f"{bone}.{side[0].upper()}"
    for side in ("left", "right")
    for joint, bone in _LABELS["rig_of_sides"].items()
}


def flesh_mm() -> np.ndarray:
    """``(J,)`` tolerance of the visibility of every joint in mm."""
    names = (name.removeprefix("left_").removeprefix("right_") for name in SYNTHETIC.joints)
    return np.array([float(_LABELS["flesh"][name]) for name in names])


def joints_of(posed: Posed) -> np.ndarray:
    """``(J, 3)`` positions of the joints of ``SYNTHETIC`` in mm, in world axes."""
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
    head = body[y[body] > _LABELS["chin"]]
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
