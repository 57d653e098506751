"""Recognition over time: answers window by window, and the segments they form."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from poseact.actions.action_names import BACKGROUND
from poseact.actions.clip_inputs import read_windows, window_fps
from poseact.actions.frame_pose import PersonReading
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.windows import MAX_IN_GAP, window_ends, windows_before
from poseact.skeleton import Skeleton

if TYPE_CHECKING:
    from poseact.models.sequence import ActionNetwork

UNKNOWN = "unknown"
"""Label of motions that are none of the actions, or uncertain."""

# Window edges that differ by less than this, in s, are treated as one.
_EDGE_DECIMALS = 6


class WindowAnswer(NamedTuple):
    """The answer of one window.

    Attributes:
        start: Time of its first frame in s, but not before the first frame of the clip.
        end: Time of its last frame in s.
        probabilities: ``(A,)`` calibrated.
        familiarity: Below 0 the motion is unknown.
    """

    start: float
    end: float
    probabilities: np.ndarray
    familiarity: float = 0.0


class Segment(NamedTuple):
    """A time interval of one action.

    Attributes:
        start: Start in s.
        end: End in s.
        label: One of the network's labels, or ``UNKNOWN``.
        probability: Mean calibrated probability of the action; of the best action if unknown.
    """

    start: float
    end: float
    label: str
    probability: float


class Name(NamedTuple):
    """The action of an answer, or ``UNKNOWN``, and the probability of the best action."""

    label: str
    probability: float


class RecentFrames:
    """The latest frames of one person, as many as a window can use.

    The first frame is kept for good, because the frames of a window are counted from it: so the
    windows here are those of the whole sequence, to the last bit.

    Args:
        skeleton: Skeleton of the poses.
        span: Seconds from the first to the last frame of a window.
        appearance: Whether to keep the appearance features.
    """

    def __init__(self, skeleton: Skeleton, span: float, appearance: bool) -> None:
        self._skeleton = skeleton
        self._span = span
        self._appearance = appearance
        self._frames: deque[tuple[float, np.ndarray, np.ndarray, np.ndarray | None]] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def first(self) -> float:
        return self._frames[0][0]

    @property
    def last(self) -> float:
        return self._frames[-1][0]

    def add(self, time: float, reading: PersonReading) -> None:
        """Add the next frame, and drop frames that no later window can use."""
        appearance = reading.appearance.astype(np.float16) if self._appearance else None
        self._frames.append((time, reading.pose.joints, reading.pose.confidence, appearance))
        # Of two frames before a window, only the later one can be the nearest.
        while len(self._frames) > 2 and self._frames[2][0] <= time - self._span:
            del self._frames[1]

    def sequence(self, name: str) -> PoseSequence:
        times, joints, confidence, appearance = zip(*self._frames, strict=True)
        return PoseSequence(
            name,
            self._skeleton,
            np.array(times, np.float64),
            np.stack(joints),
            np.stack(confidence),
            np.stack(appearance) if self._appearance else None,
        )


class WindowReader:
    """Answers the windows of a video while it is read, in constant memory.

    The answers are those of :func:`answer_windows` on all its frames.

    Args:
        network: In eval mode.
        name: Name of the video, for errors.
    """

    def __init__(self, network: ActionNetwork, name: str) -> None:
        self._network, self._name = network, name
        frames, fps = network.config.frames, window_fps(network)
        self._span = window_span(network)
        self._step = max(frames // 2, 1) / fps
        self._recent = recent_frames(network)
        self._count = self._passed = 0
        self._answers: list[WindowAnswer] = []

    @property
    def last(self) -> float:
        return self._recent.last

    @property
    def end(self) -> float:
        """End of the last frame in s, assuming that it lasts as long as the average frame."""
        if self._count < 2:
            return self._recent.last + 1 / window_fps(self._network) if self._count else 0.0
        first, last = self._recent.first, self._recent.last
        return last + (last - first) / (self._count - 1)

    def add(self, time: float, reading: PersonReading) -> None:
        """Add the next frame.

        Raises:
            PoseActError: The network reads other joints.
        """
        if self._recent:
            first = self._recent.first + self._span
            # As in window_ends: the last window ends with the clip, and none just before it.
            (count,) = windows_before(np.array([time]), first, self._step).tolist()
            numbers = np.arange(self._passed, min(count, self._passed + MAX_IN_GAP))
            self._answer(first + self._step * numbers)
            self._passed = max(count, self._passed)
        self._recent.add(time, reading)
        self._count += 1

    def finish(self) -> list[WindowAnswer]:
        """All answers; the last window ends with the last frame. Empty without frames."""
        if self._recent:
            self._answer(np.array([self._recent.last]))
        return self._answers

    def _answer(self, ends: np.ndarray) -> None:
        if len(ends):
            sequence = self._recent.sequence(self._name)
            self._answers += _answers_at(self._network, sequence, ends)


def window_span(network: ActionNetwork) -> float:
    """Seconds from the first to the last frame of a window."""
    return (network.config.frames - 1) / window_fps(network)


def recent_frames(network: ActionNetwork) -> RecentFrames:
    """An empty buffer for the network's windows."""
    appearance = "appearance" in getattr(network.config, "streams", ())
    return RecentFrames(network.config.skeleton, window_span(network), appearance)


def answer_windows(network: ActionNetwork, sequence: PoseSequence) -> list[WindowAnswer]:
    """Answer the windows that cover a sequence, at steps of half a window.

    Args:
        network: In eval mode.
        sequence: In the network's skeleton.

    Raises:
        PoseActError: The network reads other joints.
    """
    ends = window_ends(sequence.times, network.config.frames, window_fps(network))
    return _answers_at(network, sequence, ends)


def _answers_at(
    network: ActionNetwork, sequence: PoseSequence, ends: np.ndarray
) -> list[WindowAnswer]:
    readings = read_windows(network, sequence, ends)
    answers = readings.log_probabilities["fused"].exp().numpy()
    starts = np.maximum(ends - window_span(network), sequence.times[0])
    return [
        WindowAnswer(float(start), float(end), probabilities, familiarity)
        for start, end, probabilities, familiarity in zip(
            starts, ends, answers, readings.familiarity.tolist(), strict=True
        )
    ]


def name_answer(
    network: ActionNetwork, probabilities: np.ndarray, familiarity: float = 0.0
) -> Name:
    """The most probable action.

    It is ``UNKNOWN`` below the threshold of the network's card, where the motion is not familiar,
    and where it is the background.

    Args:
        network: Gives the labels.
        probabilities: ``(A,)`` calibrated.
        familiarity: Of the motion, see :func:`~poseact.actions.clip_inputs.read_windows`.
    """
    best = int(probabilities.argmax())
    label, probability = network.config.labels[best], float(probabilities[best])
    unsure = familiarity < 0 or probability < (network.card.unknown_below or 0.0)
    return Name(UNKNOWN if unsure or label == BACKGROUND else label, probability)


def find_segments(
    network: ActionNetwork, windows: Sequence[WindowAnswer], end: float | None = None
) -> list[Segment]:
    """Join windows to segments.

    Time is cut at the edges of windows, but not into pieces shorter than half the distance of two
    windows. Every piece has the mean log-probabilities, normalised again, of the windows over its
    middle. Neighbours of one label are one segment.

    Args:
        network: Gives the labels and the threshold.
        windows: In order, of one sequence.
        end: When the last frame ends, in s, and with it the last segment; by default when it
            begins, as the last window does.
    """
    if not windows:
        return []
    starts, ends = (
        np.round([getattr(window, edge) for window in windows], _EDGE_DECIMALS)
        for edge in ("start", "end")
    )
    probabilities = np.stack([window.probabilities for window in windows]).astype(np.float64)
    logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    familiarity = np.array([window.familiarity for window in windows])
    cells = []
    for start, stop in pairwise(_cuts(starts, ends)):
        middle = (start + stop) / 2
        away = np.maximum(np.maximum(starts - middle, middle - ends), 0)
        over = away == away.min()
        mean = logs[over].mean(0)
        sure = np.exp(mean - np.logaddexp.reduce(mean))
        name = name_answer(network, sure, float(familiarity[over].mean()))
        cells.append(Segment(start, stop, *name))
    if end is not None:
        cells[-1] = cells[-1]._replace(end=end)
    return [_joined(list(group)) for _, group in groupby(cells, key=lambda cell: cell.label)]


def _cuts(starts: np.ndarray, ends: np.ndarray) -> list[float]:
    """All window edges in order, at least two."""
    edges = np.unique(np.concatenate((starts, ends))).tolist()
    first, inner, last = edges[0], edges[1:-1], edges[-1]
    least = np.diff(ends).max() / 2 if len(ends) > 1 else 0.0
    cuts = [first]
    for edge in inner:
        if edge - cuts[-1] >= least <= last - edge:
            cuts.append(edge)
    return [*cuts, last]


def _joined(cells: list[Segment]) -> Segment:
    lengths = np.array([cell.end - cell.start for cell in cells])
    weights = lengths if lengths.any() else None
    probability = np.average([cell.probability for cell in cells], weights=weights)
    return Segment(cells[0].start, cells[-1].end, cells[0].label, float(probability))
