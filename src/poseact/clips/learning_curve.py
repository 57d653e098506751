"""Points of a learning curve: trainings on fewer clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_figures import CurvePoint
from poseact.evaluation.action_scores import ActionScores

CURVE_COUNTS = (2, 5, 10, 20, 50, 100, 200)
"""Clips per class at the points of a learning curve, up to the number of clips."""


def at_most(sequences: Sequence[PoseSequence], count: int, seed: int) -> list[PoseSequence]:
    """At most ``count`` random sequences per label; larger draws contain the smaller ones."""
    rng = np.random.default_rng(seed)
    kept: set[int] = set()
    for label in sorted({str(sequence.label) for sequence in sequences}):
        members = [i for i, sequence in enumerate(sequences) if sequence.label == label]
        kept.update(rng.permutation(members)[:count].tolist())
    return [sequence for i, sequence in enumerate(sequences) if i in kept]


def curve_point(train: Sequence[PoseSequence], scores: ActionScores) -> CurvePoint:
    """Accuracy by stream after a training on these clips."""
    most = max(Counter(sequence.label for sequence in train).values())
    accuracy = {}
    for name in scores.streams:
        found = scores.stream(name)
        accuracy[name] = (found.accuracy, *found.interval)
    return CurvePoint(most, len(train), accuracy)
