"""Figures of action recognition: confusion matrix, learning curve, filmstrips."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from poseact._utils.files import atomic_write
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.pixel_windows import read_frames
from poseact.evaluation.action_scores import StreamScores
from poseact.media.crop import Square, crop_matrix, person_square, transform_points, warp_image
from poseact.media.drawing import OUTLINE, draw_pose
from poseact.models.action import SEEN

STRIP_FRAMES = 8
TILE_PX = 144

_COLOURS = {"pose": "#1f77b4", "appearance": "#ff7f0e", "fused": "#2ca02c"}


class CurvePoint(NamedTuple):
    """Accuracy after training on a number of clips.

    Attributes:
        per_class: Largest number of training clips per class.
        clips: Total number of training clips.
        accuracy: By stream, with the bounds of its interval.
    """

    per_class: int
    clips: int
    accuracy: dict[str, tuple[float, float, float]]


def draw_confusion(path: Path, scores: StreamScores, labels: Sequence[str]) -> None:
    """Draw a confusion matrix with counts, shaded by the share of the true class.

    Args:
        path: PNG to write.
        scores: Scores of one stream.
        labels: The A actions.

    Raises:
        PoseActError: The file cannot be written.
    """
    confusion = scores.confusion
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    names = [label.replace("_", " ").strip() for label in labels]
    side = 2.2 + 0.42 * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(len(labels))
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set_xlabel("predicted action")
    axes.set_ylabel("true action")
    for row, column in zip(*np.nonzero(confusion), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        count = str(confusion[row, column])
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=9)
    atomic_write(path, lambda partial: figure.savefig(partial, dpi=110))


def draw_curve(path: Path, points: Sequence[CurvePoint], majority: float) -> None:
    """Draw accuracy with its interval over the number of training clips per class.

    Args:
        path: PNG to write.
        points: At least one, all of the same streams.
        majority: Accuracy of always predicting the most frequent action.

    Raises:
        PoseActError: The file cannot be written.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    counts = [point.per_class for point in points]
    for stream in points[0].accuracy:
        middle, low, high = 100 * np.array([point.accuracy[stream] for point in points]).T
        colour = _COLOURS.get(stream)
        axes.plot(counts, middle, "o-", color=colour, label=stream, markersize=4)
        axes.fill_between(counts, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.axhline(100 * majority, color="grey", linestyle="--", label="most frequent action")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(counts))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(count) for count in counts])
    axes.set_ylim(0, 101)
    axes.set_xlabel("training clips per action, at most")
    axes.set_ylabel("accuracy on the test clips, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    atomic_write(path, lambda partial: figure.savefig(partial, dpi=110))


def filmstrip(sequence: PoseSequence, video: Path | None) -> np.ndarray:
    """Draw a clip as a row of evenly spaced frames.

    Args:
        sequence: Joints in px of the video, or in any unit without one.
        video: The video of the clip; None draws only the poses.

    Returns:
        ``(TILE_PX, F * TILE_PX, 3)`` uint8 RGB of F pictures, at most ``STRIP_FRAMES``.

    Raises:
        PoseActError: The video cannot be read, or has changed.
    """
    rows = np.unique(np.linspace(0, len(sequence) - 1, STRIP_FRAMES).round().astype(int))
    joints = sequence.joints[rows, :, :2].astype(np.float64)
    confidence = sequence.confidence[rows]
    pictures = [None] * len(rows) if video is None else read_frames(video, sequence.times[rows])
    matrix = crop_matrix(_square(joints, confidence, pictures[0]))
    tiles = []
    for picture, points, sure in zip(pictures, joints, confidence, strict=True):
        if picture is None:
            tile = np.full((TILE_PX, TILE_PX, 3), OUTLINE, np.uint8)
        else:
            tile = warp_image(picture, matrix, TILE_PX)
        places = transform_points(matrix, points) * TILE_PX
        tiles.append(draw_pose(tile, places, sure, sequence.skeleton, SEEN))
    return np.hstack(tiles)


def _square(joints: np.ndarray, confidence: np.ndarray, picture: np.ndarray | None) -> Square:
    """The square around all visible joints, else around the picture."""
    points = joints[confidence >= SEEN]
    if len(points) >= 2:
        low, high = points.min(0), points.max(0)
        # Not person_square, whose smallest side is in px: the unit may be metres.
        side = 1.25 * float((high - low).max()) or 1.0
        x, y = ((low + high) / 2).tolist()
        return x, y, side
    height, width = (1, 1) if picture is None else picture.shape[:2]
    return person_square((0, 0, width, height), 1.0)
