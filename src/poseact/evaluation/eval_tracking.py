"""Evaluation of the ids of people in videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.csv_rows import number_of, rows_of
from poseact._utils.errors import PoseActError
from poseact.inference.predictor import DEFAULT_WEIGHTS, People, Predictor
from poseact.media import VideoReader
from poseact.metrics import Tracked, TrackScore, overlaps, track_score
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.synthetic.crossing import TRUTH_COLUMNS, TRUTH_TABLE

SEEN = 0.25
"""Less visible people are ignored: neither they nor detections of them count."""

Labels = dict[str, dict[int, np.ndarray]]
"""``(N, 6)`` id, box in px and share seen of the people, by video and frame."""


def eval_tracking(
    folder: str | Path,
    *,
    weights: str | Path = DEFAULT_WEIGHTS,
    people: People = "all",
    device: str | None = None,
    runtime: str | None = None,
    precision: str = DEFAULT_PRECISION,
    fast: bool = False,
    on_video: Callable[[int, int], None] | None = None,
) -> dict[str, TrackScore]:
    """Score the ids of people in videos.

    Args:
        folder: Folder with videos and ``people.csv``, as written by ``poseact make-synthetic
            --scenes``: columns source, frame, person, x0, y0, x1, y1 in px, and optionally
            visible, the visible share of the person.
        weights: Weights of the pose network.
        people: How many people to track.
        device: Where to run; by default CUDA if available.
        runtime: What runs the pose network, see :class:`~poseact.inference.predictor.Predictor`.
        precision: In which it computes, see there.
        fast: Use the person detector's own poses.
        on_video: Called with the videos done and their total.

    Returns:
        A score for each video, by name.

    Raises:
        PoseActError: Weights, labels or a video cannot be read.
    """
    labels = read_labels(Path(folder) / TRUTH_TABLE)
    predictor = Predictor(
        weights, device=device, people=people, runtime=runtime, precision=precision, fast=fast
    )
    scores = {}
    for done, (name, frames) in enumerate(labels.items(), 1):
        truth, found = [], []
        with VideoReader(inside(Path(folder), name)) as video:
            for frame, poses in predictor.video(video):
                rows = [(pose.person, *(pose.person_box or pose.box)) for pose in poses]
                own = np.array(rows, float).reshape(-1, 5)
                counted, kept = counted_people(frames.get(frame.index, np.zeros((0, 6))), own)
                truth.append(counted)
                found.append(kept)
        scores[name] = track_score(truth, found)
        if on_video is not None:
            on_video(done, len(labels))
    return scores


def counted_people(labels: np.ndarray, found: np.ndarray) -> tuple[Tracked, Tracked]:
    """The labelled people who are visible enough, and the found people on no other person.

    Args:
        labels: ``(N, 6)`` id, box in px and share seen.
        found: ``(M, 5)`` id and box in px.
    """
    counted = labels[labels[:, 5] >= SEEN]
    hidden = overlaps(found[:, 1:], labels[labels[:, 5] < SEEN, 1:5]).max(1, initial=0)
    own = overlaps(found[:, 1:], counted[:, 1:5]).max(1, initial=0)
    kept = found[(own > 0) | (hidden == 0)]
    return (counted[:, 0], counted[:, 1:5]), (kept[:, 0], kept[:, 1:])


def read_labels(path: Path) -> Labels:
    """The people of each video and frame.

    Raises:
        PoseActError: The table is missing, lacks a column or holds something else than numbers.
    """
    found: dict[str, dict[int, list[tuple[float, ...]]]] = {}
    if not path.is_file():
        raise PoseActError(
            f"There is no {path.name} in {path.parent}, which says who is where; give a folder "
            "that 'poseact make-synthetic --scenes' made, or one with videos and such a table."
        )
    damaged = f"{path} is no table of people in videos ({{error}}); correct it."
    with one_sentence(damaged), path.open(encoding="utf-8-sig", newline="") as file:
        columns, rows = rows_of(file)
        missing = [name for name in TRUTH_COLUMNS[:-1] if name not in columns]
        if missing:
            raise ValueError(f"it lacks the columns {', '.join(missing)}")
        for _, row in rows:
            numbers = (*(number_of(row[name]) for name in TRUTH_COLUMNS[2:-1]),)
            share = number_of(row.get("visible") or "1")
            frames = found.setdefault(row["source"], {})
            frames.setdefault(int(row["frame"]), []).append((*numbers, share))
    if not found:
        raise PoseActError(f"{path} lists no people; give one row for each person and frame.")
    return {
        name: {frame: np.array(people) for frame, people in frames.items()}
        for name, frames in found.items()
    }
