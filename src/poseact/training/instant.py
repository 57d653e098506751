"""Actions without training: prototypes in the space of cached poses and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from poseact.actions.clip_inputs import ClipInputs, check_skeleton, clip_inputs
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import window_ends
from poseact.evaluation.action_evaluation import mirrored
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import ActionNetwork
from poseact.models.window_heads import RANK, Prototypes
from poseact.training.background_set import read_background
from poseact.training.clip_bank import check_sequence
from poseact.training.new_heads import FPS, FRAMES, Streams, build_network, window_heads

WINDOWS = 4
"""Windows of a clip, spread over it, that the prototypes are made of."""

# Shares of the mean variance that every direction and every single value have at least.
_SHRINKAGE = 0.1
_LEAST_SPREAD = 0.1


def train_instant(
    sequences: Sequence[PoseSequence],
    *,
    streams: Streams = "both",
    pose_network: MultitaskNetwork | None = None,
    frames: int = FRAMES,
    fps: float = FPS,
    flip: bool = True,
) -> ActionNetwork:
    """Recognise actions by the nearest prototype, without training.

    Nothing is trained: the prototypes are computed from all clips, which takes well under a second
    for a hundred clips.

    Args:
        sequences: Labelled, of one skeleton; with appearance unless ``streams`` is ``pose``.
        streams: ``both`` needs ``pose_network``.
        pose_network: The network that gave the sequences, see
            :func:`~poseact.training.heads.train_heads`.
        frames: T of the windows.
        fps: Frame rate of the windows.
        flip: Whether mirrored clips count as the same action.

    Raises:
        PoseActError: The sequences do not fit together or to the network, or there are fewer than
            two labels.
    """
    network = build_network(sequences, streams, pose_network, frames, fps, heads="prototypes")
    for sequence in sequences:
        check_skeleton(network, sequence)
        check_sequence(sequence, network.config.labels, network.config.dims, streams == "both")
    place_prototypes(network, describe_clips(network, sequences, flip))
    return network.eval()


class Described(NamedTuple):
    """What the prototypes are made of.

    Attributes:
        values: Descriptions ``(N, F)`` of windows by stream, as many of each clip.
        targets: ``(N,)`` their actions.
        clips: ``(N,)`` the numbers of their clips.
    """

    values: Mapping[str, Tensor]
    targets: Tensor
    clips: Tensor

    def of(self, chosen: Tensor) -> Described:
        """Those of some clips, by a mask ``(C,)``."""
        rows = chosen[self.clips]
        values = {name: part[rows] for name, part in self.values.items()}
        return Described(values, self.targets[rows], self.clips[rows])


@torch.inference_mode()
def describe_clips(
    network: ActionNetwork, sequences: Sequence[PoseSequence], flip: bool = True
) -> Described:
    """Describe windows of labelled sequences that a network can read, and their mirror images."""
    heads, config = window_heads(network), network.config
    values: dict[str, list[Tensor]] = {name: [] for name in heads.prototypes}
    sides = config.skeleton.flip_indices != tuple(range(config.num_joints))
    targets: list[int] = []
    clips: list[int] = []
    for number, sequence in enumerate(sequences):
        for view in (sequence, mirrored(sequence)) if flip and sides else (sequence,):
            inputs = heads.inputs(*spread_windows(network, view))
            for name, described in heads.descriptions(*inputs).items():
                values[name].append(described)
            targets += [config.labels.index(str(sequence.label))] * WINDOWS
            clips += [number] * WINDOWS
    joined = {name: torch.cat(parts) for name, parts in values.items()}
    return Described(joined, torch.tensor(targets), torch.tensor(clips))


@torch.inference_mode()
def place_prototypes(network: ActionNetwork, described: Described) -> None:
    """Fit the prototypes of a network to described clips, and place its background among them."""
    for name, values in described.values.items():
        prototypes = cast(Prototypes, window_heads(network).prototypes[name])
        fit_prototypes(prototypes, values, described.targets)
        if prototypes.background is not None:
            prototypes.background.copy_(prototypes.place(read_background().appearance))


def spread_windows(network: ActionNetwork, sequence: PoseSequence) -> ClipInputs:
    """The same number of windows of every clip; short clips repeat some."""
    config, fps = network.config, network.card.fps or FPS
    ends = window_ends(sequence.times, config.frames, fps)
    chosen = np.linspace(0, len(ends) - 1, WINDOWS).round().astype(int)
    return clip_inputs(sequence, ends[chosen], config.frames, fps, config.dims)


def fit_prototypes(prototypes: Prototypes, values: Tensor, targets: Tensor) -> None:
    """Put prototypes at the means of the actions, in a space where windows of an action vary alike.

    That is linear discriminant analysis (Fisher, 1936) on the leading principal components, with a
    covariance that is shrunk towards a sphere (Friedman, 1989), because there are few clips.

    Args:
        prototypes: Of A actions; their numbers are replaced.
        values: ``(N, F)`` descriptions of windows, as many of each clip.
        targets: ``(N,)`` their actions.
    """
    values = values.double()
    member = torch.nn.functional.one_hot(targets, len(prototypes.places)).double()
    per_action = member.sum(0)
    # Every action weighs the same, however many clips there are of it.
    weight = (member / per_action.clamp_min(1)).sum(1) / (per_action > 0).sum()
    centre = weight @ values
    variance = weight @ (values - centre).square()
    spread = (variance + _LEAST_SPREAD * variance.mean()).clamp_min(1e-12).sqrt()
    offset = (values - centre) / spread
    axes = _principal_axes(weight.sqrt()[:, None] * offset)
    rank = axes.shape[1]
    within = offset @ axes
    means = (member / per_action.clamp_min(1)).T @ within
    rest = within - means[targets]
    scatter = rest.T @ (weight[:, None] * rest)
    noise = scatter.diagonal().mean().clamp_min(1e-6)
    shrunk = (1 - _SHRINKAGE) * scatter + _SHRINKAGE * noise * torch.eye(rank)
    whitening = torch.linalg.inv(torch.linalg.cholesky(shrunk)).T
    for name, found in {
        "centre": centre,
        "spread": spread,
        "axes": axes,
        "whitening": whitening,
        "places": means @ whitening,
    }.items():
        kept: Tensor = getattr(prototypes, name)
        kept.zero_()
        kept[tuple(slice(size) for size in found.shape)] = found.float()
    # An action without clips is never the nearest.
    prototypes.places[per_action == 0] = 1e3


def _principal_axes(values: Tensor) -> Tensor:
    """The leading right singular vectors ``(F, R)`` of ``(N, F)``, R being ``RANK`` or less.

    They are computed from the smaller Gram matrix, which is much cheaper than a decomposition.
    """
    wide = values.shape[0] < values.shape[1]
    squares, vectors = torch.linalg.eigh(values @ values.T if wide else values.T @ values)
    kept = (squares > 1e-10 * squares[-1]).nonzero().squeeze(1)[-RANK:]
    vectors = vectors[:, kept]
    return values.T @ vectors / squares[kept].sqrt() if wide else vectors
