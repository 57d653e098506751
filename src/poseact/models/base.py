"""Base class of the networks: what a checkpoint says about one, and the model hub."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelHubMixin, hf_hub_download
from torch import Tensor, nn

if TYPE_CHECKING:
    from poseact.models.config import NetworkConfig
    from poseact.models.outputs import Prediction

CHECKPOINT_NAME = "model.safetensors"


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


class Network(nn.Module, ModelHubMixin):
    """A network that knows its configuration and its card, and can live on the model hub.

    Calling it with frames ``(B, T, 3, H, W)`` gives a :class:`~poseact.Prediction`.

    ``Network.from_pretrained("user/name")`` and ``network.push_to_hub("user/name")`` use one
    ``model.safetensors`` whose header holds everything that ``poseact.load`` needs.

    Attributes:
        config: Its shape, joints and labels.
        card: Where its weights come from.
        folded: Whether it is a copy for inference made by :func:`poseact.fused`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.card = Card()
        self.folded = False
        # The checkpoint's header holds the configuration; the hub only wants a file of this name.
        self._hub_mixin_config = {"library": "poseact", "weights": CHECKPOINT_NAME}

    if TYPE_CHECKING:

        def __call__(self, frames: Tensor, num_blocks: int | None = None) -> Prediction: ...

    @property
    def num_blocks(self) -> int:
        """K, the number of pose prediction blocks."""
        raise NotImplementedError

    def action_parts(self) -> list[nn.Module]:
        """The modules that actions alone depend on; empty without labels."""
        raise NotImplementedError

    # The checkpoint builds networks, so its module imports theirs, and this one must wait.

    def _save_pretrained(self, save_directory: Path) -> None:
        from poseact.weights.checkpoint import save  # noqa: PLC0415

        save(self, save_directory / CHECKPOINT_NAME)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **_: Any,
    ) -> Network:
        from poseact.weights.checkpoint import load  # noqa: PLC0415

        local = Path(model_id) / CHECKPOINT_NAME
        if local.is_file():
            return load(local)
        return load(
            Path(
                hf_hub_download(
                    model_id,
                    CHECKPOINT_NAME,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
            )
        )
