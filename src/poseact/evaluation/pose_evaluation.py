"""Prediction and evaluation of poses of labelled people."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from poseact._utils.errors import PoseActError
from poseact.data.sample import PoseSample
from poseact.data.unreadable import UnreadableTally
from poseact.evaluation.pose_results import PosePredictions, PoseScores
from poseact.evaluation.pose_scores import score_poses
from poseact.media.crop import (
    DEPTH_RANGE_MM,
    Square,
    crop_matrix,
    person_square,
    to_frames,
    transform_points,
    warp_image,
)

if TYPE_CHECKING:
    from poseact.data.sources import SourceSpec

MARGIN_TEXT = "window of 1.25 times the longest side of the box"

_PEOPLE = "the labelled people"

OnStep = Callable[[int, int], None]
"""Called with the number of people done and their total."""

SquareOf = Callable[[PoseSample], Square]
"""Gives the crop square of a labelled person."""


def box_square(sample: PoseSample) -> Square:
    """The square around the labelled box, see ``MARGIN_TEXT``."""
    return person_square(sample.box)


class CropPlan(NamedTuple):
    """Squares that predictions are averaged over.

    Attributes:
        squares: Shift along x and y, and size, as factors of the person's square.
        text: For the protocol string.
    """

    squares: tuple[tuple[float, float, float], ...]
    text: str


CROP_PLANS = {
    1: CropPlan(((0, 0, 1),), "single crop"),
    5: CropPlan(
        ((0, 0, 1), (-0.04, 0, 1), (0.04, 0, 1), (0, 0, 0.92), (0, 0, 1.08)),
        "mean of 5 crops (the window itself, moved by 4 % of its side to the left and to the "
        "right, 8 % smaller and 8 % larger)",
    ),
}
"""Test-time crops by their number."""


@torch.inference_mode()
def predict_samples(
    network: nn.Module,
    samples: Sequence[PoseSample],
    image_size: int,
    *,
    flip: bool = False,
    crops: int = 1,
    num_blocks: int | None = None,
    batch: int = 64,
    square_of: SquareOf = box_square,
    on_step: OnStep | None = None,
) -> PosePredictions:
    """Predict the poses of labelled people, each in its square.

    Args:
        network: A pose network on any device; its mode is restored.
        samples: N people, in the network's skeleton.
        image_size: Side of the crops in px.
        flip: Average with the pose in the mirrored crop, mirrored back.
        crops: Number of squares to average over, a key of ``CROP_PLANS``.
        num_blocks: Number of prediction blocks to use; None for all.
        batch: People per batch.
        square_of: The square of each person.
        on_step: Called after every batch.

    Raises:
        PoseActError: More than 1 % of the pictures cannot be read, there is no such
            number of crops, or the network has other joints.
    """
    plan = crop_plan(crops)
    mirrored = (False, True) if flip else (False,)
    shape = (len(samples), len(samples[0].skeleton) if samples else 0)
    joints, depth = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    confidence = np.full(shape, np.nan)
    unreadable: dict[str, str] = {}
    tally = UnreadableTally({_PEOPLE: len(samples)})
    with evaluating(network):
        for start in range(0, len(samples), batch):
            stop = min(start + batch, len(samples))
            images = _read(samples, range(start, stop), unreadable, tally)
            people = list(images)
            squares = [square_of(samples[i]) for i in people]
            views = [
                _view(network, samples, images, squares, offset, flipped, image_size, num_blocks)
                for offset in plan.squares
                for flipped in mirrored
                if images
            ]
            if views:
                found = np.mean(views, axis=0)  # (n, J, 4)
                joints[people], depth[people] = found[..., :2], found[..., 2]
                confidence[people] = found[..., 3]
            if on_step is not None:
                on_step(stop, len(samples))
    return PosePredictions(joints, depth, confidence, unreadable)


def evaluate(
    network: nn.Module,
    samples: Sequence[PoseSample],
    image_size: int,
    *,
    data: str,
    weights: str = "weights as given",
    flip: bool = False,
    crops: int = 1,
    num_blocks: int | None = None,
    batch: int = 64,
    on_step: OnStep | None = None,
) -> PoseScores:
    """Predict and score labelled people.

    ``data`` and ``weights`` describe the samples (see `describe_source`) and the weights for the
    protocol string; the other arguments are those of `predict_samples`.

    Returns:
        All metrics that the labels allow.

    Raises:
        PoseActError: As `predict_samples`; or no metric fits the labels.
    """
    predictions = predict_samples(
        network,
        samples,
        image_size,
        flip=flip,
        crops=crops,
        num_blocks=num_blocks,
        batch=batch,
        on_step=on_step,
    )
    testing = describe_testing(image_size, flip=flip, crops=crops, num_blocks=num_blocks)
    return score_poses(predictions, samples, data=data, testing=f"{testing}; {weights}")


def describe_source(name: str, spec: SourceSpec) -> str:
    """The data part of a protocol string."""
    options = "".join(f", {key} {value}" for key, value in spec.options.items())
    left_out = f", without {len(spec.leave_out)} named ones" if spec.leave_out else ""
    visible = f", people of at least {spec.min_visible} visible joints" if spec.min_visible else ""
    return f"{name} ({spec.adapter}{options}{visible}{left_out})"


def describe_testing(image_size: int, *, flip: bool, crops: int, num_blocks: int | None) -> str:
    """The part of a protocol string on how poses were predicted."""
    block = "last block" if num_blocks is None else f"block {num_blocks}"
    return f"{MARGIN_TEXT}, {image_size} px; {describe_views(flip=flip, crops=crops)}, {block}"


def describe_views(*, flip: bool, crops: int) -> str:
    """The part of a protocol string on averaged crops."""
    mirrored = "mean with the mirrored crop" if flip else "no flip"
    return f"{crop_plan(crops).text}, {mirrored}"


def crop_plan(crops: int) -> CropPlan:
    """The squares of a number of crops.

    Raises:
        PoseActError: There are none for this number.
    """
    if crops not in CROP_PLANS:
        raise PoseActError(
            f"{crops} crops were asked for; choose one of {', '.join(map(str, CROP_PLANS))}."
        )
    return CROP_PLANS[crops]


def _read(
    samples: Sequence[PoseSample],
    places: range,
    unreadable: dict[str, str],
    tally: UnreadableTally,
) -> dict[int, np.ndarray]:
    """Pictures by their place among the samples; those that cannot be read are noted."""
    images = {}
    for place in places:
        try:
            images[place] = samples[place].image.read()
        except PoseActError as error:
            unreadable[samples[place].name] = str(error)
            tally.add([(_PEOPLE, str(error))])
    return images


def _view(
    network: nn.Module,
    samples: Sequence[PoseSample],
    images: dict[int, np.ndarray],
    squares: Sequence[Square],
    offset: tuple[float, float, float],
    flipped: bool,
    image_size: int,
    num_blocks: int | None,
) -> np.ndarray:
    """One crop of each of n people: ``(n, J, 4)`` x and y in px, depth in mm, confidence."""
    matrices = [crop_matrix(_moved(square, offset), flip=flipped) for square in squares]
    crops = np.stack(
        [
            warp_image(image, matrix, image_size)
            for image, matrix in zip(images.values(), matrices, strict=True)
        ]
    )
    device = next(network.parameters(), torch.empty(0)).device
    pose = network(to_frames(torch.from_numpy(crops).to(device)), num_blocks=num_blocks).pose
    points = pose.joints[:, 0].double().cpu().numpy()  # (n, J, D)
    skeleton = samples[next(iter(images))].skeleton
    if points.shape[1] != len(skeleton):
        raise PoseActError(
            f"The network predicts {points.shape[1]} joints, but the labels are {skeleton.name} "
            f"of {len(skeleton)}; read the data in the network's skeleton."
        )
    plane = [
        transform_points(np.linalg.inv(matrix), person)
        for matrix, person in zip(matrices, points[..., :2], strict=True)
    ]
    depth = np.full(points.shape[:2], np.nan)
    if points.shape[-1] == 3:
        depth = (points[..., 2] - 0.5) * DEPTH_RANGE_MM
    confidence = pose.confidence[:, 0].double().cpu().numpy()
    view = np.concatenate((plane, depth[..., None], confidence[..., None]), -1)
    # In the mirrored crop, left and right joints are swapped.
    return view[:, list(skeleton.flip_indices)] if flipped else view


def _moved(square: Square, offset: tuple[float, float, float]) -> Square:
    x, y, side = square
    shift_x, shift_y, scale = offset
    return x + shift_x * side, y + shift_y * side, scale * side


@contextmanager
def evaluating(network: nn.Module) -> Generator[None]:
    """Set eval mode within the block."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
