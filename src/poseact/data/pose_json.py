"""The JSON form of a table of poses, see :class:`~poseact.data.pose_table.PoseTable`."""

import json
import math
from collections.abc import Iterable
from itertools import groupby
from typing import Any, TextIO

from poseact.actions.frame_pose import FramePose

# Decimals in JSON: a hundredth of a px and a tenth of a mm are below what a network can resolve.
_PIXEL_DECIMALS = 2
_DEPTH_DECIMALS = {"mm": 1, "relative": 4, None: 0}
_CONFIDENCE_DECIMALS = 4
_TIME_DECIMALS = 6


def write_pose_json(
    stream: TextIO,
    facts: dict[str, Any],
    depth_unit: str | None,
    items: Iterable[tuple[str, FramePose]],
) -> None:
    """Write one JSON object with a line per frame.

    Args:
        stream: The open file.
        facts: What is known of all poses, as JSON values; among them the skeleton.
        depth_unit: As of the table.
        items: Source and pose of every person, in order.
    """
    head = json.dumps(facts, ensure_ascii=False, indent=1)
    stream.write(head.removesuffix("\n}") + ',\n "frames": [')
    separator = "\n"
    for (source, frame, time), poses in groupby(
        items, key=lambda item: (item[0], item[1].frame, item[1].time)
    ):
        record = {
            "source": source,
            "frame": frame,
            "time": _number(time, _TIME_DECIMALS),
            "people": [_person(pose, facts["skeleton"]["joints"], depth_unit) for _, pose in poses],
        }
        stream.write(separator + "  " + json.dumps(record, ensure_ascii=False))
        separator = ",\n"
    stream.write("\n ]\n}\n")


def _person(pose: FramePose, joint_names: list[str], depth_unit: str | None) -> dict[str, Any]:
    depth_decimals = _DEPTH_DECIMALS[depth_unit]
    joints = {}
    for name, place, confidence, visible in zip(
        joint_names,
        pose.joints.tolist(),
        pose.confidence.tolist(),
        pose.visible.tolist(),
        strict=True,
    ):
        joints[name] = {
            "x": _number(place[0], _PIXEL_DECIMALS),
            "y": _number(place[1], _PIXEL_DECIMALS),
            "z": _number(place[2], depth_decimals) if depth_unit else None,
            "confidence": _number(confidence, _CONFIDENCE_DECIMALS),
            "visible": visible,
        }
    return {
        "person": pose.person,
        "box": [_number(edge, _PIXEL_DECIMALS) for edge in pose.box],
        "joints": joints,
    }


def _number(value: float, decimals: int) -> float | None:
    return round(value, decimals) if math.isfinite(value) else None
