"""Scores of action recognition: accuracy with its uncertainty, confusion, calibration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.metrics import calibration_error

# Quantile of the normal distribution for a 95 % interval.
_Z95 = 1.959963984540054


class StreamScores(NamedTuple):
    """Scores of one stream on A actions.

    Attributes:
        accuracy: Share of correctly classified clips.
        interval: 95 % interval of the accuracy, see :func:`wilson_interval`.
        balanced_accuracy: Mean accuracy over the classes with clips.
        per_class: Accuracy of the classes with clips.
        confusion: ``(A, A)`` counts; rows are true classes, columns predictions.
        ece: Expected calibration error, see :func:`expected_calibration_error`.
    """

    accuracy: float
    interval: tuple[float, float]
    balanced_accuracy: float
    per_class: dict[str, float]
    confusion: np.ndarray
    ece: float


@dataclass(frozen=True)
class ActionScores:
    """Predictions of N labelled clips, and their scores.

    Attributes:
        protocol: Everything needed to repeat the measurement, as one string.
        labels: The A actions.
        clips: ``N`` names.
        targets: ``(N,)`` the true actions as indices of the labels.
        log_probabilities: ``(N, A)`` by stream.
    """

    protocol: str
    labels: tuple[str, ...]
    clips: tuple[str, ...]
    targets: np.ndarray
    log_probabilities: dict[str, np.ndarray]

    @property
    def majority(self) -> float:
        """Accuracy of always predicting the most frequent action."""
        return float(np.bincount(self.targets).max() / len(self.targets))

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams; a single stream is not repeated as ``fused``."""
        alone = tuple(name for name in self.log_probabilities if name != "fused")
        return alone if len(alone) == 1 else tuple(self.log_probabilities)

    def stream(self, name: str = "fused") -> StreamScores:
        """The scores of one stream.

        Raises:
            PoseActError: There is no such stream.
        """
        if name not in self.log_probabilities:
            raise PoseActError(
                f"The stream {name!r} was asked for; give one of "
                f"{', '.join(self.log_probabilities)}."
            )
        answers = self.log_probabilities[name]
        confusion = np.zeros((len(self.labels),) * 2, np.int64)
        np.add.at(confusion, (self.targets, answers.argmax(1)), 1)
        clips, hits = confusion.sum(1), confusion.diagonal()
        per_class = {
            label: float(hits[k] / clips[k]) for k, label in enumerate(self.labels) if clips[k]
        }
        return StreamScores(
            float(hits.sum() / clips.sum()),
            wilson_interval(int(hits.sum()), int(clips.sum())),
            float(np.mean(list(per_class.values()))),
            per_class,
            confusion,
            expected_calibration_error(answers, self.targets),
        )

    def means(self) -> dict[str, float]:
        """The fused accuracy, and that of each stream if there are several."""
        accuracies = {name: self.stream(name).accuracy for name in self.streams}
        others = {
            f"accuracy_{name}": value for name, value in accuracies.items() if name != "fused"
        }
        return {"accuracy": self.stream().accuracy} | (others if len(accuracies) > 1 else {})

    def only(self, labels: Collection[str]) -> ActionScores:
        """The scores of the clips of some actions; predictions may still be any action.

        Raises:
            PoseActError: No clip is left.
        """
        kept = np.isin(self.targets, [k for k, label in enumerate(self.labels) if label in labels])
        if not kept.any():
            raise PoseActError(
                f"None of the {len(self.clips)} clips shows one of {', '.join(labels)}; "
                f"give some of {', '.join(self.labels)}."
            )
        return ActionScores(
            f"{self.protocol}; only clips of {', '.join(labels)}",
            self.labels,
            tuple(np.array(self.clips)[kept].tolist()),
            self.targets[kept],
            {name: answers[kept] for name, answers in self.log_probabilities.items()},
        )

    def worst(self, count: int) -> list[int]:
        """The clips with the lowest probability of their true action, lowest first."""
        of_truth = self.log_probabilities["fused"][np.arange(len(self.targets)), self.targets]
        return np.argsort(of_truth, kind="stable")[:count].tolist()

    def to_json(self) -> dict[str, Any]:
        """All scores and all probabilities as JSON values."""
        content = asdict(self) | {"targets": self.targets.tolist(), "majority": self.majority}
        content["streams"] = {
            name: self.stream(name)._asdict() | {"confusion": self.stream(name).confusion.tolist()}
            for name in self.streams
        }
        content["log_probabilities"] = {
            name: np.round(answers, 4).tolist() for name, answers in self.log_probabilities.items()
        }
        return content


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson, JASA 1927), valid for small counts too.

    Args:
        hits: Number of successes.
        count: Number of trials, at least 1.
    """
    share, z2 = hits / count, _Z95**2
    middle = share + z2 / (2 * count)
    reach = _Z95 * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    low, high = (middle - reach) / (1 + z2 / count), (middle + reach) / (1 + z2 / count)
    return max(float(low), 0.0), min(float(high), 1.0)


def expected_calibration_error(
    log_probabilities: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """:func:`poseact.metrics.calibration_error` of the best action's probability.

    Args:
        log_probabilities: ``(N, A)``.
        targets: ``(N,)`` the true actions.
        weights: ``(N,)`` how much each answer counts; None for all the same.
    """
    right = log_probabilities.argmax(1) == targets
    return calibration_error(np.exp(log_probabilities.max(1)), right, weights)
