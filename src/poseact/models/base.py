"""Base class of the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from poseact.models.card import Card

if TYPE_CHECKING:
    from poseact.models.config import NetworkConfig
    from poseact.models.outputs import Prediction


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
        """The modules that only actions depend on; empty without labels."""
        raise NotImplementedError

    def current_name(self, name: str) -> str:
        """Current name of a tensor that an earlier version may have saved under another name."""
        return name
