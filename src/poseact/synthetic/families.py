"""Families of poses, defined in ``families.yaml``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from poseact._utils.yaml_text import parse_yaml

Part = Literal["train", "validation"]

Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """One kind of pose.

    Attributes:
        name: What people do.
        angles: Ranges in degrees by name.
        pitch: How far the pelvis tips forward; 90 lies on the belly, -90 on the back.
        roll: How far it tips to the right.
        level: Two joints of the rig, without their side, that rest on the floor: the pitch is
            chosen for it.
        lift: Height above the floor in mm.
        weight: How often it is drawn, relative to the others.
    """

    name: str
    angles: Mapping[str, Range] = field(default_factory=dict[str, Range])
    pitch: Range = (-6, 10)
    roll: Range = (-5, 5)
    level: tuple[str, str] | None = None
    lift: Range = (0, 0)
    weight: float = 1.0


@cache
def families(part: Part) -> tuple[Family, ...]:
    """The families of a part; the two parts have none in common."""
    return tuple(Family(**fields) for fields in description("families")[part])


@cache
def angles_at_ease() -> dict[str, Range]:
    """Ranges in degrees of the angles that a family does not specify."""
    return description("families")["at_ease"]


@cache
def description(name: str) -> dict[str, Any]:
    """Content of ``NAME.yaml`` beside this module."""
    return parse_yaml((files("poseact.synthetic") / f"{name}.yaml").read_text("utf-8"))
