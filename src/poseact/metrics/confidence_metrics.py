"""Scores of probabilities."""

from __future__ import annotations

import numpy as np

ECE_BINS = 15
"""Bins of the expected calibration error."""


def calibration_error(
    probability: np.ndarray,
    right: np.ndarray,
    weights: np.ndarray | None = None,
    bins: int = ECE_BINS,
) -> float:
    """Expected calibration error: how far a probability is, on average, from how often it is right.

    Over bins of equal width of the probability, |mean probability - accuracy| weighted by their
    number of items (Guo et al., ICML 2017, equation 5).

    Args:
        probability: ``(N,)`` in [0, 1].
        right: ``(N,)`` boolean.
        weights: ``(N,)`` how much each item counts; None for all the same.
        bins: Their number.
    """
    weights = np.ones(len(probability)) if weights is None else weights
    which = np.clip(np.ceil(probability * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(which, weights * (probability - right), bins)
    return float(np.abs(gaps).sum() / weights.sum())


def auroc(score: np.ndarray, right: np.ndarray) -> float:
    """Area under the ROC curve: how often a right item scores higher than a wrong one.

    Ties count half; NaN where all items are right or all wrong.

    Args:
        score: ``(N,)``.
        right: ``(N,)`` boolean.
    """
    wrong = np.sort(score[~right])
    below = np.searchsorted(wrong, score[right], "left")
    upto = np.searchsorted(wrong, score[right], "right")
    pairs = len(wrong) * int(right.sum())
    return float((below + upto).sum() / (2 * pairs)) if pairs else float("nan")
