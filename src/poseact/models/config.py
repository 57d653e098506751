"""What every network's configuration has in common."""

from __future__ import annotations

from dataclasses import dataclass, fields

from poseact.errors import PoseActError
from poseact.models.base import Network
from poseact.skeleton import Skeleton


@dataclass(frozen=True)
class NetworkConfig:
    """Typed description from which a network is built; see the subclasses for its shape.

    Raises:
        PoseActError: A value is out of range.
    """

    skeleton: Skeleton
    """Joints, in the order of the outputs."""
    labels: tuple[str, ...] = ()
    """Action names, in the order of the outputs; none for a pure pose network."""
    image_size: int = 256
    """Side of the square crop in px that the network was designed for."""
    frames: int = 1
    """Clip length T that it was designed for; any other works."""

    def __post_init__(self) -> None:
        if self.num_joints < 2:
            raise PoseActError(
                f"A skeleton of {self.num_joints} joints was given; give one of at least 2 joints."
            )
        if self.num_actions == 1:
            raise PoseActError(
                f"One action label was given ({self.labels[0]!r}); give none, or at least 2."
            )
        if len(set(self.labels)) != self.num_actions:
            raise PoseActError(f"The labels {self.labels} repeat; give each action once.")
        for field in fields(self):
            value = getattr(self, field.name)
            lowest = 0 if field.name == "context_maps" else 1
            if isinstance(value, int) and not isinstance(value, bool) and value < lowest:
                raise PoseActError(f"{field.name}={value} was given; give {lowest} or more.")

    @property
    def num_joints(self) -> int:
        """J."""
        return len(self.skeleton)

    @property
    def num_actions(self) -> int:
        """A; 0 for a pure pose network."""
        return len(self.labels)

    @property
    def dims(self) -> int:
        """Coordinates per joint: 2, or 3 with depth."""
        raise NotImplementedError

    def build(self) -> Network:
        """A network of this shape with fresh weights."""
        raise NotImplementedError


def checked_blocks(num_blocks: int | None, available: int) -> int:
    """How many prediction blocks to run.

    Raises:
        PoseActError: More than there are, or less than one.
    """
    if num_blocks is None:
        return available
    if not 1 <= num_blocks <= available:
        raise PoseActError(
            f"num_blocks={num_blocks} was given, but this network has {available} prediction "
            f"blocks; give a number from 1 to {available}."
        )
    return num_blocks
