"""Base class of the networks, and what a checkpoint says about one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from poseact.models.config import NetworkConfig
    from poseact.models.outputs import Prediction


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about its weights besides the numbers.

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


class Network(nn.Module):
    """A network that knows its configuration and its card.

    Calling it with frames ``(B, T, 3, H, W)`` gives a :class:`~poseact.Prediction`.

    Attributes:
        config: Its shape, joints and labels.
        card: Where its weights come from.
        folded: Whether it is a copy for inference made by :func:`poseact.fold_batch_norm`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.card = Card()
        self.folded = False

    if TYPE_CHECKING:

        def __call__(self, frames: Tensor, num_blocks: int | None = None) -> Prediction: ...

    @property
    def num_blocks(self) -> int:
        """K, the number of pose prediction blocks."""
        raise NotImplementedError

    def action_parts(self) -> list[nn.Module]:
        """The modules that actions alone depend on; empty without labels."""
        raise NotImplementedError

    def current_name(self, name: str) -> str:
        """Today's name of a tensor that an earlier version may have saved under another."""
        return name
