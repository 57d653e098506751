"""Penn Action (Zhang et al., 2013) and NTU RGB+D (Shahroudy et al., 2016): accuracy of actions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from poseact.data.ntu import read_ntu_videos
from poseact.data.penn_action import read_penn_action
from poseact.data.video import LabelledVideo
from poseact.evaluation.protocols.result import OnStep, Result, limited
from poseact.evaluation.video_evaluation import ClipProtocol, evaluate_videos
from poseact.models.base import Network

# The authors' crops are 1.5 times the longest side of the visible joints.
AUTHORS_MARGIN = 1.5


@dataclass(frozen=True)
class PennAction:
    """Accuracy on the official test videos.

    Attributes:
        clips: How clips are chosen and cropped.
    """

    clips: ClipProtocol

    @property
    def data(self) -> str:
        return "penn-action"

    def run(
        self, network: Network, root: Path, *, limit: int | None, weights: str, on_step: OnStep
    ) -> Result:
        videos = read_penn_action(root, network.config.skeleton, part="test")
        return scored(network, videos, self.clips, "Penn Action test", limit, weights, on_step)


@dataclass(frozen=True)
class NtuRgbd:
    """Accuracy on the official test videos of the 60 actions.

    Attributes:
        split: ``xsub``: other performers than in training. ``xview``: another camera.
        clips: How clips are chosen and cropped.
    """

    split: Literal["xsub", "xview"]
    clips: ClipProtocol

    @property
    def data(self) -> str:
        return "ntu"

    def run(
        self, network: Network, root: Path, *, limit: int | None, weights: str, on_step: OnStep
    ) -> Result:
        videos = read_ntu_videos(
            root, network.config.skeleton, part="test", protocol=self.split, classes=60
        )
        name = {"xsub": "cross-subject", "xview": "cross-view"}[self.split]
        return scored(network, videos, self.clips, f"NTU RGB+D {name}", limit, weights, on_step)


def scored(
    network: Network,
    videos: Sequence[LabelledVideo],
    clips: ClipProtocol,
    data: str,
    limit: int | None,
    weights: str,
    on_step: OnStep,
) -> Result:
    """Accuracy of the fused answer and of each stream."""
    chosen, some = limited(videos, limit)
    scores = evaluate_videos(
        network,
        chosen,
        clips,
        frames=network.config.frames,
        data=f"{data}{some}",
        weights=f"weights {weights}",
        on_video=on_step,
    )
    parts = {name: 100 * scores.stream(name).accuracy for name in scores.streams}
    return Result(100 * scores.stream().accuracy, "%", scores.protocol, parts)
