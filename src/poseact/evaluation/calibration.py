"""Calibration of action probabilities, and the threshold of "unknown"."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import torch
from scipy.optimize import fminbound
from torch import Tensor

from poseact.actions.clip_inputs import read_windows, window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.evaluation.action_evaluation import ActionProtocol, targets_of
from poseact.evaluation.action_scores import expected_calibration_error
from poseact.models.card import Card
from poseact.models.sequence import ActionNetwork
from poseact.models.window_heads import WindowHeads

KEPT = 0.95
"""Share of the known motions that shall be named rather than called unknown."""

TEMPERATURES = (0.05, 20.0)
"""Search range of the temperature."""


@dataclass(frozen=True)
class Calibration:
    """Result of a calibration on held-out clips.

    Attributes:
        temperature: Divisor of the logits.
        unknown_below: Probability of the best action below which a motion is called unknown.
        kept: Share of the windows of known motions that are named with this threshold.
        clips: Number of held-out clips.
        ece_before: Expected calibration error of the windows without the temperature.
        ece_after: The same with the temperature.
        nll_before: Mean negative log-probability of the true action in nats, without it.
        nll_after: The same with the temperature.
    """

    temperature: float
    unknown_below: float
    kept: float
    clips: int
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float

    def on(self, card: Card) -> Card:
        """The card with this temperature and threshold."""
        return replace(card, temperature=self.temperature, unknown_below=self.unknown_below)


def calibrate(
    network: ActionNetwork,
    sequences: Sequence[PoseSequence],
    *,
    readers: Sequence[ActionNetwork] | None = None,
    kept: float = KEPT,
    background: str | None = None,
) -> Calibration:
    """Fit temperature, threshold and familiarity, and set them on the network.

    All are found on windows, as a live stream sees them; the windows of a clip together count as
    one clip. A clip's own answer is the mean of its windows' log-probabilities, of which a common
    temperature can be taken before or after.

    Args:
        network: Its card is replaced.
        sequences: Labelled clips that it was not trained on.
        readers: A network like it for each clip that was not trained on this one; None for the
            network itself.
        kept: Share of the known motions that shall be named.
        background: Label of motions that are none of the actions; they do not affect the
            threshold.

    Raises:
        PoseActError: A clip cannot be scored.
    """
    network.card = replace(network.card, temperature=1.0, unknown_below=None)
    network.eval()
    truth = targets_of(network, sequences)
    per_clip = [
        read_windows(reader, s, ActionProtocol().ends(s, reader.config.frames, window_fps(reader)))
        for reader, s in zip(readers or [network] * len(sequences), sequences, strict=True)
    ]
    fused = [reading.log_probabilities["fused"].double().numpy() for reading in per_clip]
    counts = np.array([len(windows) for windows in fused])
    raw = np.concatenate(fused)
    targets, weights = np.repeat(truth, counts), np.repeat(1 / counts, counts)
    temperature = fit_temperature(raw, targets, weights)
    calibrated = tempered(raw, temperature)
    known = np.array([network.config.labels[k] != background for k in targets])
    certainty = np.exp(calibrated.max(1))
    looks = [reading.looks for reading in per_clip if reading.looks is not None]
    threshold = 0.0
    if known.any() and looks and isinstance(network.action_model, WindowHeads):
        # Few are rejected as improbable: unknown motion is mainly recognised as unfamiliar.
        threshold = reject_threshold(certainty[known], weights[known], (1 + 3 * kept) / 4)
        right = known & (raw.argmax(1) == targets)
        scores = fit_familiarity(
            network.action_model, torch.cat(looks), right if right.any() else known, kept
        )
        named = (scores >= 0) & (certainty >= threshold)
        kept = float(np.average(named[known], weights=weights[known]))
    elif known.any():
        threshold = reject_threshold(certainty[known], weights[known], kept)
    found = Calibration(
        temperature,
        threshold,
        kept,
        len(sequences),
        expected_calibration_error(raw, targets, weights),
        expected_calibration_error(calibrated, targets, weights),
        _mean_loss(raw, targets, weights),
        _mean_loss(calibrated, targets, weights),
    )
    network.card = found.on(network.card)
    return found


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide ``(N, A)`` log-probabilities by a temperature and normalise them."""
    scaled = log_probabilities / temperature
    return scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)


def fit_temperature(
    log_probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> float:
    """The temperature with the lowest cross-entropy (temperature scaling, Guo et al., ICML 2017).

    The targets are smoothed by Platt's rule (1999): N correct predictions give a probability of
    (N + 1) / (N + 2), so that a few correct clips do not lead to full confidence.

    Args:
        log_probabilities: ``(N, A)``.
        targets: ``(N,)`` the true actions.
        weights: ``(N,)`` weights, whose sum is the effective number of predictions.
    """
    count, actions = weights.sum(), log_probabilities.shape[1]
    sure = (count + 1) / (count + 2)
    smooth = np.full_like(log_probabilities, (1 - sure) / (actions - 1))
    smooth[np.arange(len(targets)), targets] = sure

    def loss(log_temperature: float) -> float:
        answers = tempered(log_probabilities, float(np.exp(log_temperature)))
        return float(-(weights[:, None] * smooth * answers).sum() / count)

    low, high = np.log(TEMPERATURES)
    return float(np.exp(fminbound(loss, low, high)))


def fit_familiarity(
    heads: WindowHeads, looks: Tensor, usual: np.ndarray, kept: float
) -> np.ndarray:
    """Set the limit of familiarity so that a share of the known windows passes.

    The limit is that of a normal distribution with their median and their median deviation: some
    clips look strange to networks that have learned from a part of the clips, and would stretch the
    limit of a network that has learned from all.

    Args:
        heads: Their numbers are replaced.
        looks: ``(N, 2)`` of windows.
        usual: ``(N,)`` which of them are of known motions and classified correctly.
        kept: Share of these that shall be familiar.

    Returns:
        ``(N,)`` the familiarity of all.
    """
    chosen = looks[torch.from_numpy(usual)]
    # What does not count is divided by a number that makes it vanish.
    shares = chosen.new_tensor((1.0, max(heads.energy_share, 1e-6)))
    spread = chosen.std(0, correction=0).clamp_min(1e-6) / shares
    heads.known_looks.copy_(torch.stack((chosen.mean(0), spread)))
    heads.least_familiar.zero_()
    scores = heads.familiarity(looks.to(heads.known_looks.device)).cpu().numpy()
    middle = np.median(scores[usual])
    deviation = np.median(np.abs(scores[usual] - middle)) / NormalDist().inv_cdf(0.75)
    least = float(middle - NormalDist().inv_cdf(min(kept, 0.999)) * deviation)
    heads.least_familiar.fill_(least)
    return scores - least


def reject_threshold(certainty: np.ndarray, weights: np.ndarray, kept: float) -> float:
    """The highest threshold that a share of the predictions reaches.

    Args:
        certainty: ``(N,)``, such as the probability of the best action.
        weights: ``(N,)`` how much each counts.
        kept: Share of the predictions that shall reach the threshold.
    """
    order = np.argsort(-certainty, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    reached = np.searchsorted(share, kept - 1e-12)
    return float(certainty[order[min(reached, len(order) - 1)]])


def _mean_loss(log_probabilities: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    of_truth = log_probabilities[np.arange(len(targets)), targets]
    return float(-np.average(of_truth, weights=weights))
