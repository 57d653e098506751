"""Facts about the weights of a checkpoint."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Card:
    """Facts about the weights of a checkpoint: labels, provenance, licence, calibration.

    Attributes:
        preset: Name of the preset that the configuration started from.
        fps: Frames per second of the clips it was trained on; None for pose networks.
        provenance: Where the weights come from: data, code, scores.
        licence: Terms of use of the weights.
        temperature: What the action logits are divided by, so that the probabilities are
            calibrated.
        unknown_below: Calibrated probability of the best action under which a motion is called
            unknown; None to name every motion.
        pose_weights: For actions read from poses alone, the weights that give the poses.
    """

    preset: str = "custom"
    fps: float | None = None
    provenance: dict[str, Any] = field(default_factory=lambda: {"weights": "untrained"})
    licence: str = "MIT"
    temperature: float = 1.0
    unknown_below: float | None = None
    pose_weights: str | None = None
