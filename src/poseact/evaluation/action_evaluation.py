"""Evaluation of action recognition by the published protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import window_answers, window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import centre_end, window_ends
from poseact.data.split import Labelled
from poseact.evaluation.action_scores import ActionScores
from poseact.models.sequence import ActionNetwork

Crop = Literal["centre", "multi"]


@dataclass(frozen=True)
class ActionProtocol:
    """How a clip of any length is scored (CVPR 2018, action recognition).

    Attributes:
        crop: ``centre``: one window in the middle. ``multi``: windows from the first frame to the
            last, each half a window after the one before, whose log-probabilities are averaged.
        flip: Also average with the mirrored windows.

    Raises:
        PoseActError: There is no such crop.
    """

    crop: Crop = "multi"
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise PoseActError(
                f"The crop {self.crop!r} was given; give one of {', '.join(get_args(Crop))}."
            )

    def ends(self, sequence: PoseSequence, frames: int, fps: float) -> np.ndarray:
        """``(W,)`` seconds at which the windows of a clip end."""
        if self.crop == "centre":
            return np.array([centre_end(sequence.times, frames, fps)])
        return window_ends(sequence.times, frames, fps)

    def describe(self, frames: int, fps: float) -> str:
        windows = {
            "centre": "single clip: the window in the middle",
            "multi": f"multi clip: windows every {max(frames // 2, 1)} frames",
        }[self.crop]
        mirrored = ", each also mirrored" if self.flip else ""
        return (
            f"{windows} of {frames} frames at {fps:g} fps{mirrored}, mean of the log-probabilities "
            "of the last block; shorter clips are looped"
        )


def mirrored(sequence: PoseSequence) -> PoseSequence:
    """Mirror a sequence: negate x and swap left and right joints.

    The position of the mirror is irrelevant to networks that normalise by the person's square.
    """
    swap = list(sequence.skeleton.flip_indices)
    joints = sequence.joints[:, swap].copy()
    joints[..., 0] *= -1
    appearance = sequence.appearance
    return replace(
        sequence,
        joints=joints,
        confidence=sequence.confidence[:, swap],
        appearance=None if appearance is None else appearance[:, swap],
    )


def clip_windows(
    network: ActionNetwork, sequence: PoseSequence, protocol: ActionProtocol
) -> dict[str, np.ndarray]:
    """Calibrated log-probabilities of a clip's windows, ``(W, A)`` by stream.

    Args:
        network: In eval mode.
        sequence: In the network's skeleton.
        protocol: Selects the windows.

    Raises:
        PoseActError: The network cannot read the sequence.
    """
    ends = protocol.ends(sequence, network.config.frames, window_fps(network))
    views = (sequence, mirrored(sequence)) if protocol.flip else (sequence,)
    answers = [window_answers(network, view, ends) for view in views]
    return {
        stream: np.concatenate([answer[stream].double().numpy() for answer in answers])
        for stream in answers[0]
    }


def clip_answer(windows: np.ndarray) -> np.ndarray:
    """Average the ``(W, A)`` log-probabilities of windows to ``(A,)`` of the clip."""
    mean = windows.mean(0)
    return mean - np.logaddexp.reduce(mean)


def targets_of(network: ActionNetwork, clips: Sequence[Labelled]) -> np.ndarray:
    """The true actions as ``(N,)`` indices of the network's labels.

    Raises:
        PoseActError: There is no clip, or one whose label the network does not know. Leaving such
            clips out would improve the scores.
    """
    if not clips:
        raise PoseActError("No clip was given to be scored; give at least one.")
    labels = network.config.labels
    for clip in clips:
        if clip.label not in labels:
            raise PoseActError(
                f"The clip {clip.name} with the label {clip.label!r} cannot be scored by "
                f"a network of the actions {', '.join(labels)}; leave it out or correct its label."
            )
    return np.array([labels.index(str(clip.label)) for clip in clips])


def evaluate(
    network: ActionNetwork,
    sequences: Sequence[PoseSequence],
    protocol: ActionProtocol | None = None,
    *,
    readers: Sequence[ActionNetwork] | None = None,
    on_clips: Callable[[int, int], None] | None = None,
) -> ActionScores:
    """Score a network on labelled clips.

    Args:
        network: Network to score; it is set to eval mode.
        sequences: N labelled clips in its skeleton.
        protocol: Which windows are read; by default multi clip without mirroring.
        readers: A network like it for each clip, such as one that has not learned from this clip;
            None for the network itself.
        on_clips: Called with the clips done and their total.

    Raises:
        PoseActError: A clip cannot be scored.
    """
    protocol = protocol or ActionProtocol()
    targets = targets_of(network, sequences)
    network.eval()
    answers: dict[str, list[np.ndarray]] = {}
    pairs = zip(readers or [network] * len(sequences), sequences, strict=True)
    for done, (reader, sequence) in enumerate(pairs, 1):
        for stream, windows in clip_windows(reader, sequence, protocol).items():
            answers.setdefault(stream, []).append(clip_answer(windows))
        if on_clips is not None:
            on_clips(done, len(sequences))
    return ActionScores(
        f"{protocol.describe(network.config.frames, window_fps(network))}; "
        f"{len(sequences)} clips, {len(network.config.labels)} actions",
        network.config.labels,
        tuple(sequence.name for sequence in sequences),
        targets,
        {stream: np.stack(rows) for stream, rows in answers.items()},
    )
