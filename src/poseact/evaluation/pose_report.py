"""Tables, figures and pictures of pose scores."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poseact._utils.files import atomic_write
from poseact.data.sample import PoseSample
from poseact.evaluation.pose_results import Metric, PosePredictions, PoseScores
from poseact.media.crop import crop_matrix, person_square, transform_points, warp_image
from poseact.media.drawing import draw_label, draw_pose, picture_grid, side_view_of

TILE_PX = 224
COLUMNS = 6
LABEL_COLOUR = (255, 255, 255)

Rows = list[tuple[str, ...]]


def shown(metric: Metric, value: float | None) -> str:
    """A value of a metric as text, in per cent or mm with one decimal."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{100 * value:.1f}" if metric.unit == "fraction" else f"{value:.1f}"


def heading(metric: Metric) -> str:
    """Label and unit of a metric."""
    return f"{metric.label}, {'%' if metric.unit == 'fraction' else metric.unit}"


def joint_rows(scores: PoseScores) -> Rows:
    """Table by joint with the means in the last row; empty without such metrics."""
    return _rows([metric for key, metric in scores.metrics.items() if key != "pcp"], "joint")


def part_rows(scores: PoseScores) -> Rows:
    """Table of PCP by body part."""
    return _rows([metric for key, metric in scores.metrics.items() if key == "pcp"], "part")


def mean_rows(scores: PoseScores) -> Rows:
    """Table of all metrics: mean, scored people and people left out."""
    rows: Rows = [("metric", "mean", "people", "left out")]
    for metric in scores.metrics.values():
        counts = (str(metric.people), str(metric.excluded))
        rows.append((heading(metric), shown(metric, metric.mean), *counts))
    return rows


def _rows(metrics: Sequence[Metric], first: str) -> Rows:
    columns = [metric for metric in metrics if metric.per_joint]
    if not columns:
        return []
    # The column with the most joints first, so that rows keep the order of the skeleton.
    fullest = sorted(columns, key=lambda metric: -len(metric.per_joint))
    names = dict.fromkeys(name for metric in fullest for name in metric.per_joint)
    return [
        (first, *(heading(metric) for metric in columns)),
        *(
            (name.replace("_", " "), *(shown(m, m.per_joint.get(name)) for m in columns))
            for name in names
        ),
        ("all", *(shown(metric, metric.mean) for metric in columns)),
    ]


def write_figure(path: Path, scores: PoseScores) -> None:
    """Draw bars by joint, and the share of correct joints over the threshold.

    Args:
        path: PNG to write.
        scores: Of one data set.

    Raises:
        PoseActError: The file cannot be written.
    """
    metrics = [metric for key, metric in scores.metrics.items() if key != "pcp"]
    # One unit per panel: bars of per cent and mm cannot be compared.
    bars = [[m for m in metrics if m.per_joint and m.unit == unit] for unit in ("fraction", "mm")]
    curves = [
        [m for m in metrics if m.curve and m.curve.unit == u] for u in ("torso", "head", "mm")
    ]
    panels = [(_bars, group) for group in bars if group] + [(_curve, c) for c in curves if c]
    figure = Figure(figsize=(5.5 * max(len(panels), 1), 4.5), layout="constrained")
    for axes, (draw, group) in zip(
        np.ravel(figure.subplots(1, max(len(panels), 1), squeeze=False)), panels, strict=False
    ):
        draw(axes, group)
    figure.suptitle(scores.data, fontsize=10)
    atomic_write(path, lambda partial: figure.savefig(partial, dpi=110))


def _bars(axes: Axes, metrics: list[Metric]) -> None:
    names = list(dict.fromkeys(name for metric in metrics for name in metric.per_joint))
    places = np.arange(len(names))
    width = 0.8 / len(metrics)
    for number, metric in enumerate(metrics):
        factor = 100 if metric.unit == "fraction" else 1
        values = [factor * metric.per_joint.get(name, np.nan) for name in names]
        offset = (number - (len(metrics) - 1) / 2) * width
        label = f"{metric.label}: {shown(metric, metric.mean)}"
        axes.bar(places + offset, values, width, label=label)
    axes.set_xticks(places, [name.replace("_", " ") for name in names], rotation=90, fontsize=8)
    axes.set_ylabel("%" if metrics[0].unit == "fraction" else "mm")
    if metrics[0].unit == "fraction":
        axes.set_ylim(0, 100)
    axes.set_axisbelow(True)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)


def _curve(axes: Axes, metrics: list[Metric]) -> None:
    for metric in metrics:
        if metric.curve is not None:
            values = [100 * value for value in metric.curve.values]
            axes.plot(metric.curve.thresholds, values, label=metric.label)
            unit = metric.curve.unit
            axes.set_xlabel("distance, mm" if unit == "mm" else f"distance / {unit} size")
    axes.set_ylabel("joints within the distance, %")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def people_grid(
    samples: Sequence[PoseSample],
    predictions: PosePredictions,
    chosen: Sequence[int],
    captions: Sequence[str],
) -> np.ndarray:
    """Draw people side by side, labels as thin white lines, predictions in colour.

    Below each, predictions of a 3D network are drawn from the side, two metres high.

    Returns:
        ``(H, W, 3)`` uint8 RGB.
    """
    tiles = []
    for index, caption in zip(chosen, captions, strict=True):
        sample, joints = samples[index], predictions.joints[index]
        tile = _tile(sample, joints, caption)
        space = np.column_stack((joints, predictions.depth_mm[index]))
        if np.isfinite(space).all():
            tile = np.vstack((tile, side_view_of(space, sample.skeleton, TILE_PX)))
        tiles.append(tile)
    return picture_grid(tiles, COLUMNS)


def _tile(sample: PoseSample, predicted: np.ndarray, caption: str) -> np.ndarray:
    matrix = crop_matrix(person_square(sample.box))
    tile = warp_image(sample.image.read(), matrix, TILE_PX)
    points = transform_points(matrix, predicted) * TILE_PX
    tile = draw_pose(tile, points, np.ones(len(points)), sample.skeleton)
    labels = transform_points(matrix, sample.joints[:, :2].astype(np.float64)) * TILE_PX
    for a, b in sample.skeleton.limb_indices:
        if sample.valid[a] and sample.valid[b]:
            ends = [tuple(np.rint(labels[i]).astype(int).tolist()) for i in (a, b)]
            cv2.line(tile, ends[0], ends[1], LABEL_COLOUR, 1, cv2.LINE_AA)
    return draw_label(tile, caption)
