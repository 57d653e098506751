"""Inputs of action networks from sequences, and their answers window by window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import window_indices

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from poseact.models.base import Network
    from poseact.models.sequence import ActionNetwork

_WINDOWS_PER_BATCH = 64


class ClipInputs(NamedTuple):
    """Windows of T frames, the inputs of a network's ``recognise``.

    Attributes:
        joints: ``(B, T, J, D)``.
        confidence: ``(B, T, J)``, sharpened.
        appearance: ``(B, T, J, C)``, or None.
    """

    joints: Tensor
    confidence: Tensor
    appearance: Tensor | None

    def to(self, device: torch.device) -> ClipInputs:
        appearance = None if self.appearance is None else self.appearance.to(device)
        return ClipInputs(self.joints.to(device), self.confidence.to(device), appearance)


def action_network(network: Network) -> ActionNetwork:
    """Return the network if it can recognise actions in sequences.

    Raises:
        PoseActError: It has no labels, or reads only clips of pictures.
    """
    from poseact.models.sequence import ActionNetwork

    if not isinstance(network, ActionNetwork) or not network.config.labels:
        raise PoseActError(
            f"The weights ({network.card.preset}) do not recognise actions in pose sequences; "
            "give a file that 'poseact train-actions' wrote."
        )
    return network


def window_fps(network: ActionNetwork) -> float:
    """Frames per second of the network's windows.

    Raises:
        PoseActError: Its weights do not state it.
    """
    if network.card.fps is None:
        raise PoseActError(
            "The weights do not state the frame rate of their clips; give a file that "
            "'poseact train-actions' wrote."
        )
    return network.card.fps


def clip_inputs(
    sequence: PoseSequence, ends: Sequence[float] | np.ndarray, frames: int, fps: float, dims: int
) -> ClipInputs:
    """Windows of one sequence.

    Args:
        sequence: Its depth is dropped if ``dims`` is 2.
        ends: ``(B,)`` seconds at which the windows end.
        frames: T.
        fps: Of the windows.
        dims: D.

    Raises:
        PoseActError: The sequence is 2D, but D is 3.
    """
    import torch

    from poseact.models.action import sharpen

    if sequence.joints.shape[-1] < dims:
        raise PoseActError(
            f"The sequence {sequence.name} has 2D joints, but the network reads {dims}D; "
            "give sequences with depth, or train a network for 2D."
        )
    rows = np.stack([window_indices(sequence.times, end, frames, fps) for end in ends])
    used, where = np.unique(rows, return_inverse=True)
    where = where.reshape(rows.shape)
    joints = torch.from_numpy(sequence.network_joints()[used][..., :dims])
    confidence = sharpen(torch.from_numpy(sequence.confidence[used]).float(), dims)
    appearance = None
    if sequence.appearance is not None:
        appearance = torch.from_numpy(sequence.appearance[used].astype(np.float32))[where]
    return ClipInputs(joints[where], confidence[where], appearance)


class WindowReadings(NamedTuple):
    """Outputs of a network for W windows.

    Attributes:
        log_probabilities: Calibrated, ``(W, A)`` for each stream's last block.
        looks: ``(W, 2)`` similarity to the training windows, see
            :meth:`~poseact.models.window_heads.WindowHeads.read`; None for heads that cannot tell.
        familiarity: ``(W,)``; unknown below 0, and 0 for heads that cannot tell.
    """

    log_probabilities: dict[str, Tensor]
    looks: Tensor | None
    familiarity: Tensor


def read_windows(
    network: ActionNetwork, sequence: PoseSequence, ends: Sequence[float] | np.ndarray
) -> WindowReadings:
    """Answers of a network for windows of a sequence.

    Args:
        network: In eval mode.
        sequence: In the network's skeleton.
        ends: ``(W,)`` seconds at which the windows end.

    Raises:
        PoseActError: The sequence has other joints than the network reads.
    """
    starts = range(0, len(ends), _WINDOWS_PER_BATCH)
    return _read(
        network,
        (network_inputs(network, sequence, ends[k : k + _WINDOWS_PER_BATCH]) for k in starts),
    )


def read_last_windows(
    network: ActionNetwork, sequences: Sequence[PoseSequence], end: float
) -> WindowReadings:
    """Answers of a network for one window of each of some sequences, in one pass.

    Args:
        network: In eval mode.
        sequences: At least one, in the network's skeleton.
        end: Seconds at which all windows end.

    Raises:
        PoseActError: A sequence has other joints than the network reads.
    """
    import torch

    inputs = [network_inputs(network, sequence, [end]) for sequence in sequences]
    joints, confidence, appearance = zip(*inputs, strict=True)
    together = None if appearance[0] is None else torch.cat(appearance)
    return _read(network, [ClipInputs(torch.cat(joints), torch.cat(confidence), together)])


def network_inputs(
    network: ActionNetwork, sequence: PoseSequence, ends: Sequence[float] | np.ndarray
) -> ClipInputs:
    """Windows of one sequence as the network reads them, see :func:`clip_inputs`.

    Raises:
        PoseActError: The sequence has other joints than the network reads.
    """
    check_skeleton(network, sequence)
    config = network.config
    return clip_inputs(sequence, ends, config.frames, window_fps(network), config.dims)


def _read(network: ActionNetwork, batches: Iterable[ClipInputs]) -> WindowReadings:
    """Answers of a network for batches of windows, at least one."""
    import torch

    from poseact.models.window_heads import WindowHeads

    # Not of a state_dict, which takes longer to collect than the heads to answer.
    device = next(chain(network.parameters(), network.buffers())).device
    heads = network.action_model
    answers: dict[str, list[Tensor]] = {}
    looks: list[Tensor] = []
    for batch in batches:
        with torch.inference_mode():
            if isinstance(heads, WindowHeads):
                outputs, alike = heads.read(*batch.to(device))
                looks.append(alike)
            else:
                outputs = network.recognise(*batch.to(device))
        for stream, blocks in outputs.items():
            scaled = blocks[-1].log_probabilities / network.card.temperature
            answers.setdefault(stream, []).append(scaled.log_softmax(-1).cpu())
    joined = {stream: torch.cat(parts) for stream, parts in answers.items()}
    if not isinstance(heads, WindowHeads):
        return WindowReadings(joined, None, torch.zeros(len(joined["fused"])))
    seen = torch.cat(looks)
    return WindowReadings(joined, seen.cpu(), heads.familiarity(seen).cpu())


def window_answers(
    network: ActionNetwork, sequence: PoseSequence, ends: Sequence[float] | np.ndarray
) -> dict[str, Tensor]:
    """The log-probabilities of :func:`read_windows`."""
    return read_windows(network, sequence, ends).log_probabilities


def check_skeleton(network: ActionNetwork, sequence: PoseSequence) -> None:
    """Refuse a sequence of another skeleton.

    Raises:
        PoseActError: The joints differ from the network's in names or order.
    """
    if sequence.skeleton.joints != network.config.skeleton.joints:
        raise PoseActError(
            f"The sequence {sequence.name} has the joints of {sequence.skeleton.name}, but the "
            f"network reads those of {network.config.skeleton.name}; convert it first."
        )
