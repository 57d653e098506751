"""Results of pose evaluation: predictions, and metrics with their protocols."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np


class PosePredictions(NamedTuple):
    """Predicted poses of N labelled people.

    Attributes:
        joints: ``(N, J, 2)`` px of the picture.
        depth_mm: ``(N, J)`` behind the root; NaN for a 2D network.
        confidence: ``(N, J)``.
        unreadable: Samples whose picture could not be read, with the reason; their values are NaN.
    """

    joints: np.ndarray
    depth_mm: np.ndarray
    confidence: np.ndarray
    unreadable: dict[str, str]


@dataclass(frozen=True)
class Curve:
    """Share of correct joints by threshold.

    Attributes:
        unit: Of the thresholds, such as ``torso`` or ``mm``.
        thresholds: Evenly spaced from 0.
        values: Fractions.
    """

    unit: str
    thresholds: list[float]
    values: list[float]


@dataclass(frozen=True)
class Metric:
    """One metric on one data set.

    Attributes:
        label: Name in tables.
        unit: ``fraction`` or ``mm``.
        mean: Mean over all labelled joints, unless the protocol says otherwise.
        per_joint: Mean by joint or limb; joints without labels are absent.
        people: Number of scored people.
        excluded: Number of people left out, see the protocol.
        protocol: What exactly is measured.
        curve: For metrics that count hits within a threshold.
    """

    label: str
    unit: str
    mean: float
    per_joint: dict[str, float]
    people: int
    excluded: int
    protocol: str
    curve: Curve | None = None


@dataclass(frozen=True)
class PoseScores:
    """Scores of one data set.

    Attributes:
        data: Name of the data set.
        protocol: Everything needed to repeat the measurement, as one string.
        people: Number of labelled people whose picture could be read.
        unreadable: The other samples by name, with the reason.
        metrics: By key, such as ``pck``.
    """

    data: str
    protocol: str
    people: int
    unreadable: dict[str, str]
    metrics: dict[str, Metric]

    def means(self) -> dict[str, float]:
        return {key: metric.mean for key, metric in self.metrics.items()}

    def to_json(self) -> dict[str, Any]:
        """All scores as JSON values; NaN becomes None."""
        content = asdict(self)
        for metric in content["metrics"].values():
            metric["mean"] = metric["mean"] if np.isfinite(metric["mean"]) else None
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PoseScores:
        """Inverse of :meth:`to_json`."""
        metrics = {}
        for key, values in content["metrics"].items():
            mean = float("nan") if values["mean"] is None else values["mean"]
            curve = Curve(**values["curve"]) if values["curve"] else None
            metrics[key] = Metric(**{**values, "mean": mean, "curve": curve})
        return cls(**{**content, "metrics": metrics})
