"""The action model without a pose network, for poses of other sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.models.action import ActionModel, PoseStream, to_person_square
from poseact.models.base import Network
from poseact.models.config import NetworkConfig, check_heads
from poseact.models.multitask import MultitaskNetwork
from poseact.models.outputs import Action
from poseact.models.window_heads import WindowHeads


@dataclass(frozen=True)
class SequenceConfig(NetworkConfig):
    """Shape of a :class:`SequenceNetwork`."""

    coordinates: int = 2
    """D, coordinates per joint: 2, or 3 with depth."""
    action_blocks: int = 4
    """Prediction blocks of the stream."""
    pose_filters: int = 8
    """Filters of its first, narrowest convolution."""
    pose_width: int = 56
    """Half the width of its action blocks."""
    heads: Literal["blocks", "temporal", "prototypes"] = "blocks"
    """Kind of the action heads."""
    head_width: int = 96
    """Width of temporal heads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads(self.heads)
        if not self.labels or self.coordinates not in (2, 3):
            raise PoseActError(
                f"labels={self.labels!r} and coordinates={self.coordinates} were given for a "
                "network of sequences; give at least 2 labels, and 2 or 3 coordinates."
            )

    def lowest(self) -> dict[str, int]:
        return {"pose_width": 2}

    @property
    def dims(self) -> int:
        return self.coordinates

    def build(self) -> SequenceNetwork:
        return SequenceNetwork(self)


class SequenceNetwork(Network):
    """A pose stream on sequences of joints: that of CVPR'18, or window heads."""

    def __init__(self, config: SequenceConfig) -> None:
        super().__init__(config)
        self.config = config
        if config.heads == "blocks":
            self.action_model = ActionModel(
                PoseStream(
                    dims=config.dims,
                    filters=config.pose_filters,
                    width=config.pose_width,
                    num_actions=config.num_actions,
                    num_blocks=config.action_blocks,
                )
            )
        else:
            self.action_model = WindowHeads(
                *(config.heads, config.num_joints, config.dims),
                *(None, config.head_width, config.num_actions),
            )

    if TYPE_CHECKING:

        def __call__(self, joints: Tensor, confidence: Tensor) -> dict[str, list[Action]]: ...  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def num_blocks(self) -> int:
        """Prediction blocks of the stream."""
        return self.config.action_blocks

    def forward(self, joints: Tensor, confidence: Tensor) -> dict[str, list[Action]]:
        return self.recognise(joints, confidence)

    def recognise(
        self,
        joints: Tensor,
        confidence: Tensor,
        appearance: Tensor | None = None,  # noqa: ARG002 - as of the networks that read it
    ) -> dict[str, list[Action]]:
        """Actions of clips.

        Args:
            joints: ``(B, T, J, D)``; x to the right and y down in any common unit, z in [0, 1]
                with the root at 0.5.
            confidence: ``(B, T, J)``; 0 where a joint is not known.
            appearance: Not read.
        """
        if isinstance(self.action_model, WindowHeads):
            return self.action_model(joints, confidence, None)
        square = to_person_square(joints, confidence)
        return self.action_model(square * confidence.unsqueeze(-1), None)


ActionNetwork = MultitaskNetwork | SequenceNetwork
"""Networks that may recognise actions in sequences."""
