"""Faults of clips that were read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from poseact.clips.features import ClipFeatures
from poseact.clips.folder import Clip

NOBODY_BELOW = 0.03
"""Clips whose poses are less certain are taken to show nobody.

With the shipped weights, pictures without contrast and noise have 0.001 to 0.012, and people in
postures that the network hardly knows, such as folded up on the floor, from 0.08 on.
"""


@dataclass(frozen=True)
class Finding:
    """A fault of a clip or an action.

    Attributes:
        clip: Name of the clip; None for an action.
        kind: Kind of the fault, such as ``unreadable``.
        severity: ``error`` if the clip cannot be used, else ``warning``.
        message: One sentence.
    """

    clip: str | None
    kind: str
    severity: Literal["error", "warning"]
    message: str


def no_frame(clip: Clip) -> Finding:
    """The finding of a clip beyond the end of its video."""
    until = "on" if math.isinf(clip.end) else f"to {clip.end:g} s"
    message = (
        f"The video {clip.path} has no frame from {clip.start:g} s {until}; give seconds within it."
    )
    return Finding(clip.name, "empty", "error", message)


def people_findings(clip: Clip, features: ClipFeatures) -> Iterator[Finding]:
    """The findings on the people of a clip; an error if nobody is in view."""
    name = clip.name
    if features.sharpness < NOBODY_BELOW:
        message = f"Nobody was found in {name}; leave it out, or film the whole body from closer."
        yield Finding(name, "nobody", "error", message)
        return
    if features.people == 0:
        message = (
            f"The person in {name} was detected with low confidence; check that the whole body is "
            "visible and large enough."
        )
        yield Finding(name, "unsure", "warning", message)
    if features.people > 1 and clip.person is None:
        message = (
            f"{features.people} people are in view in {name}; of the largest, the one who moves "
            "most is followed, unless clips.csv names another in its column person."
        )
        yield Finding(name, "several people", "warning", message)
