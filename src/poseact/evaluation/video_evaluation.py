"""Evaluation of actions from the pixels of labelled videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from poseact._utils.errors import PoseActError
from poseact.data.dataset import Unit, joined_box, read_unit
from poseact.data.sample import labelled_box
from poseact.data.video import LabelledVideo, action_numbers
from poseact.data.video_windows import all_windows, centre_window
from poseact.evaluation.action_scores import ActionScores
from poseact.evaluation.pose_evaluation import evaluating
from poseact.inference.predictor import Predictor
from poseact.media.crop import (
    PERSON_MARGIN,
    Square,
    crop_matrix,
    person_square,
    to_frames,
    warp_image,
)
from poseact.models.base import Network
from poseact.runtime.interface import DEFAULT_PRECISION

Clips = Literal["single", "multi"]
Boxes = Literal["truth", "estimated"]

OnVideo = Callable[[int, int], None]
"""Called with the number of videos done and their total."""


@dataclass(frozen=True)
class ClipProtocol:
    """How the action of a video is scored (CVPR 2018; counted in frames, as the authors do).

    Attributes:
        clips: ``single``: one clip in the middle. ``multi``: clips over the whole video, whose
            log-probabilities are averaged, as the authors multiply probabilities.
        flip: Also average with the mirrored clips.
        boxes: ``truth``: the crop is around the labelled boxes of a clip's first, middle and last
            frame. ``estimated``: around the poses that the network itself finds in these frames.
        stride: Every s-th frame is used; less in videos too short for it.
        margin: Side of the crop as a factor of the box's longest side.

    Raises:
        PoseActError: There is no such choice.
    """

    clips: Clips = "single"
    flip: bool = False
    boxes: Boxes = "truth"
    stride: int = 1
    margin: float = PERSON_MARGIN

    def __post_init__(self) -> None:
        for name, choices in (("clips", get_args(Clips)), ("boxes", get_args(Boxes))):
            if getattr(self, name) not in choices:
                raise PoseActError(
                    f"{name}={getattr(self, name)!r} was given; give one of {', '.join(choices)}."
                )
        if self.stride < 1:
            raise PoseActError(f"stride={self.stride} was given; give 1 or more.")

    def windows(self, length: int, frames: int) -> list[list[int]]:
        """Numbers of the T frames of each window of a video."""
        if self.clips == "single":
            return [centre_window(length, frames, self.stride)]
        return all_windows(length, frames, self.stride)

    def describe(self, frames: int) -> str:
        chosen = {
            "single": f"single clip of {frames} frames in the middle",
            "multi": f"multi clip: {frames} frames from every {self.hop(frames)}",
        }[self.clips]
        boxes = {"truth": "labelled", "estimated": "estimated"}[self.boxes]
        return (
            f"{chosen}, every {self.stride} frames{', each also mirrored' if self.flip else ''}, "
            f"mean of the log-probabilities of the last block; crops of {self.margin:g} times the "
            f"{boxes} boxes of first, middle and last frame; shorter videos are looped"
        )

    def hop(self, frames: int) -> int:
        """Frames between the starts of two windows."""
        return max(frames // 2 + self.stride - 1, 1)


def evaluate_videos(
    network: Network,
    videos: Sequence[LabelledVideo],
    protocol: ClipProtocol,
    *,
    frames: int,
    data: str,
    weights: str = "weights as given",
    on_video: OnVideo | None = None,
) -> ActionScores:
    """Predict the actions of videos from their pixels and score them.

    Args:
        network: A network with labels on any device; its mode is restored.
        videos: In the network's skeleton, each with an action that the network knows.
        protocol: Which clips and crops are read.
        frames: T.
        data: Description of the videos for the protocol string.
        weights: Description of the weights for the protocol string.
        on_video: Called after every video.

    Raises:
        PoseActError: A video cannot be read, or its action is not among the labels; a video that
            cannot be scored would flatter the scores.
    """
    labels = network.config.labels
    targets = action_numbers(videos, labels)
    finder = None
    if protocol.boxes == "estimated":
        finder = Predictor(network, people="one", precision=DEFAULT_PRECISION)
    answers: dict[str, list[np.ndarray]] = {}
    with evaluating(network), torch.inference_mode():
        for done, video in enumerate(videos, 1):
            for stream, answer in _answer(network, video, protocol, frames, finder).items():
                answers.setdefault(stream, []).append(answer)
            if on_video is not None:
                on_video(done, len(videos))
    return ActionScores(
        f"{data}: {len(videos)} videos, {len(labels)} actions; {protocol.describe(frames)}; "
        f"{weights}",
        labels,
        tuple(video.name for video in videos),
        np.array(targets),
        {stream: np.stack(rows) for stream, rows in answers.items()},
    )


def _answer(
    network: Network,
    video: LabelledVideo,
    protocol: ClipProtocol,
    frames: int,
    finder: Predictor | None,
) -> dict[str, np.ndarray]:
    """``(A,)`` log-probabilities of a video by stream."""
    found: dict[str, list[np.ndarray]] = {}
    for numbers in protocol.windows(len(video), frames):
        unit = tuple(video.samples(numbers))
        images = read_unit(unit)
        square = _square(unit, images, protocol.margin, finder)
        for flipped in (False, True) if protocol.flip else (False,):
            matrix = crop_matrix(square, flip=flipped)
            crops = np.stack([warp_image(i, matrix, network.config.image_size) for i in images])
            device = next(network.parameters()).device
            clip = to_frames(torch.from_numpy(crops).to(device)).transpose(0, 1)
            for stream, blocks in network(clip).actions.items():
                answer = blocks[-1].log_probabilities[0].double().cpu().numpy()
                found.setdefault(stream, []).append(answer)
    means = {stream: np.mean(answers, axis=0) for stream, answers in found.items()}
    return {stream: mean - np.logaddexp.reduce(mean) for stream, mean in means.items()}


def _square(
    unit: Unit, images: Sequence[np.ndarray], margin: float, finder: Predictor | None
) -> Square:
    places = (0, len(unit) // 2, -1)
    if finder is None:
        return person_square(joined_box([unit[place].box for place in places]), margin)
    boxes = []
    for place in places:
        (pose,) = finder.image(images[place])
        joints = pose.joints[:, :2]
        boxes.append(labelled_box(joints, np.asarray(np.isfinite(joints).all(-1))))
    return person_square(joined_box(boxes), margin)
