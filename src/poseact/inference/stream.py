"""Live recognition: an answer for everyone in view after every picture."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from poseact._utils.device import single_thread
from poseact._utils.errors import PoseActError
from poseact.actions.answers import RecentFrames, name_answer, recent_frames, window_span
from poseact.actions.clip_inputs import read_last_windows
from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.loading import load_action_readers
from poseact.inference.predictor import People
from poseact.inference.smoothing import PoseSmoother
from poseact.inference.tracking import MAX_GAP_S
from poseact.media import Frame, require_picture
from poseact.media.crop import Box
from poseact.models.base import Network

MOST_PEOPLE = 10
"""Largest number of people that are followed where everyone is asked for."""

LATENCIES = 1000
"""Number of answers that :meth:`Stream.latency` covers."""

# After an answer that took longer than the next picture, time is short for so long.
_LATE_S = 2.0


class StreamAnswer(NamedTuple):
    """Answer of a stream for one person after a picture.

    Attributes:
        pose: In px of the picture, smoothed if the stream smooths; holds number and time of the
            picture, and in ``person`` the id, which is never given twice.
        label: The action of the window that ends with this picture, or ``unknown``.
        probability: Calibrated probability of the best action.
        probabilities: ``(A,)`` of all actions.
        complete: Whether the person has been in view for a whole window; until then the frames
            so far are repeated.
        latency_ms: From the arrival of the picture to the answers.
    """

    pose: FramePose
    label: str
    probability: float
    probabilities: np.ndarray
    complete: bool
    latency_ms: float

    @property
    def box(self) -> Box:
        """Of the person, in px of the picture: tight if a detector has found the person."""
        return self.pose.person_box or self.pose.box


class Latency(NamedTuple):
    """Latency of the latest answers.

    Attributes:
        p50_ms: Median.
        p95_ms: What 95 % stay below.
    """

    p50_ms: float
    p95_ms: float

    def frames(self, fps: float) -> tuple[float, float]:
        """The same in frames of a source of this rate."""
        return self.p50_ms * fps / 1000, self.p95_ms * fps / 1000


class Stream:
    """Recognises the actions of everyone in view, picture by picture.

    A picture costs one pass of the pose network and one of the small action network for each
    person, whatever the length of a window, and now and then one of the detector. The answers are
    those that the whole video gives for the windows that end with each picture. Memory is bounded:
    only the features of one window are kept per person, until the track ends.

    Args:
        weights: File that ``poseact train-actions`` wrote, or such a network.
        num_blocks: Pose blocks to run (default all), to trade accuracy for speed.
        device: Where to run, such as ``"cpu"`` or ``"cuda"``; by default CUDA if available.
        people: ``all`` for everyone in view, at most 10; a number for that many, the largest; or
            ``one`` to assume exactly one person.
        smooth: Smooth the poses over time; actions are recognised from the unsmoothed poses.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.

    Attributes:
        predictor: Reads the poses.
        labels: The A actions.
        window_s: Seconds from the first frame of a window to its last.

    Raises:
        PoseActError: The weights cannot be read or know no actions of sequences, or ``people`` is
            none of these.
    """

    def __init__(
        self,
        weights: str | Path | Network,
        num_blocks: int | None = None,
        device: str | torch.device | None = None,
        people: People = "all",
        smooth: bool = True,
        runtime: str | None = None,
        precision: str | None = None,
    ) -> None:
        limit = MOST_PEOPLE if people == "all" else people
        self.predictor, self.network = load_action_readers(
            *(weights, num_blocks, device, limit, runtime, precision)
        )
        self._smooth = smooth
        self.labels = self.network.config.labels
        self.window_s = window_span(self.network)
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far and start a new video."""
        self._follow = self.predictor.follower()
        self._recent: dict[int, RecentFrames] = {}
        self._smoother = self._new_smoother()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._shape: tuple[int, ...] = ()
        self._time = self._late_until = -math.inf
        self._count = 0

    def _new_smoother(self) -> PoseSmoother | None:
        return PoseSmoother() if self._smooth else None

    def __len__(self) -> int:
        """Number of poses whose features are kept."""
        return sum(map(len, self._recent.values()))

    def push(
        self, image: np.ndarray, time: float | None = None, arrived: float | None = None
    ) -> list[StreamAnswer]:
        """The answers after one more picture, one for everyone in view.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; a change of size starts a new video.
            time: When it was taken, in seconds on any clock; by default now.
            arrived: ``time.perf_counter()`` when it came, from which the latency counts; by default
                now.

        Raises:
            PoseActError: It is no picture, or its time is not later than the last one's.
        """
        now = perf_counter()
        live, arrived = arrived is not None, now if arrived is None else arrived
        time = now if time is None else time
        require_picture(image)
        if not math.isfinite(time) or time <= self._time:
            last = f" after one of {self._time} s" if self._count else ""
            raise PoseActError(
                f"A picture at {time} s was given to a stream{last}; give finite, increasing times."
            )
        interval_ms, self._time = 1000 * (time - self._time), time
        if image.shape != self._shape:
            # Places in px of another picture say nothing of this one.
            self._shape, self._recent, self._smoother = image.shape, {}, self._new_smoother()
        people = self._follow(Frame(self._count, time, image), time < self._late_until)
        self._count += 1
        kept = {one: own for one, own in self._recent.items() if time - own.last <= MAX_GAP_S}
        self._recent = kept
        with single_thread():
            answers = self._answers(people, time)
        latency_ms = 1000 * (perf_counter() - arrived)
        self._latencies.append(latency_ms)
        if live and latency_ms > interval_ms:
            self._late_until = time + _LATE_S
        if self._smoother is not None:
            poses = self._smoother.smooth([answer.pose for answer in answers])
            pairs = zip(answers, poses, strict=True)
            answers = [answer._replace(pose=pose) for answer, pose in pairs]
        return [answer._replace(latency_ms=latency_ms) for answer in answers]

    def _answers(self, people: Sequence[PersonReading], time: float) -> list[StreamAnswer]:
        """Of everyone in view, from one pass of the action network."""
        if not people:
            return []
        recent = [self._with_frame(reading, time) for reading in people]
        sequences = [own.sequence("the stream") for own in recent]
        windows = read_last_windows(self.network, sequences, time)
        probabilities = windows.log_probabilities["fused"].exp().numpy()
        answers: list[StreamAnswer] = []
        for reading, own, answer, familiarity in zip(
            people, recent, probabilities, windows.familiarity.numpy(), strict=True
        ):
            name = name_answer(self.network, answer, float(familiarity))
            complete = time - own.first >= self.window_s
            answers.append(StreamAnswer(reading.pose, *name, answer, complete, math.nan))
        return answers

    def _with_frame(self, reading: PersonReading, time: float) -> RecentFrames:
        """The recent frames of a person, this one included."""
        person = reading.pose.person
        if person not in self._recent:
            self._recent[person] = recent_frames(self.network)
        self._recent[person].add(time, reading)
        return self._recent[person]

    def latency(self) -> Latency:
        """Of the latest answers, up to a thousand; NaN before the first."""
        if not self._latencies:
            return Latency(math.nan, math.nan)
        p50, p95 = np.percentile(np.fromiter(self._latencies, float), (50, 95))
        return Latency(float(p50), float(p95))
