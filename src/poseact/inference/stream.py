"""Actions live: one pose per picture, one answer per picture."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from poseact._utils.device import single_thread
from poseact._utils.errors import PoseActError
from poseact.actions.answers import name_answer, recent_frames, window_span
from poseact.actions.clip_inputs import window_answers
from poseact.actions.frame_pose import FramePose
from poseact.inference.follow import PersonFollower
from poseact.inference.loading import load_action_readers
from poseact.media import Frame, require_picture
from poseact.models.base import Network

_LATENCIES = 1000


class StreamAnswer(NamedTuple):
    """What a stream says after a picture.

    Attributes:
        pose: Of the person who is followed, in px of the picture; holds number and time of it.
        label: The action of the window that ends with this picture, or ``unknown``.
        probability: Calibrated probability of the best action.
        probabilities: ``(A,)`` of all actions.
        complete: Whether the stream is as long as a window; before, what there is is looped.
        latency_ms: From the arrival of the picture to this answer.
    """

    pose: FramePose
    label: str
    probability: float
    probabilities: np.ndarray
    complete: bool
    latency_ms: float


class Latency(NamedTuple):
    """How long the latest answers took.

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
    """Tells the action of one person picture by picture.

    A picture costs one pass of the pose network and one of the small action network, whatever the
    length of a window. The answers are those that the whole video gives for the windows that end
    with each picture. Memory is bounded: kept are the features of the frames of one window.

    Args:
        weights: File that ``poseact train-actions`` wrote, or such a network.
        num_blocks: Pose blocks to run (default all), to trade accuracy for speed.
        device: Where to run, such as ``"cpu"`` or ``"cuda"``; by default CUDA where there is one.

    Attributes:
        predictor: Reads the poses.
        labels: The A actions.
        window_s: Seconds from the first frame of a window to its last.

    Raises:
        PoseActError: The weights cannot be read or know no actions of sequences.
    """

    def __init__(
        self,
        weights: str | Path | Network,
        num_blocks: int | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.predictor, self.network = load_action_readers(weights, num_blocks, device)
        self.labels = self.network.config.labels
        self.window_s = window_span(self.network)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen, as for another video."""
        self._follower = PersonFollower()
        self._recent = recent_frames(self.network)
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def __len__(self) -> int:
        """Number of frames whose features are kept."""
        return len(self._recent)

    def push(
        self, image: np.ndarray, time: float | None = None, arrived: float | None = None
    ) -> StreamAnswer:
        """The answer after one more picture.

        Args:
            image: ``(H, W, 3)`` uint8 RGB; one of another size than the last begins a new window.
            time: When it was taken, in seconds on any clock; by default now.
            arrived: ``time.perf_counter()`` when it came, from which the latency counts; by default
                now.

        Raises:
            PoseActError: It is no picture, or its time is not later than the last one's.
        """
        now = perf_counter()
        arrived = now if arrived is None else arrived
        time = now if time is None else time
        require_picture(image)
        if not math.isfinite(time) or (self._recent and time <= self._recent.last):
            raise PoseActError(
                f"A picture of the time {time} s was given to a stream after one of "
                f"{self._recent.last if self._recent else time} s; give finite times that rise."
            )
        if image.shape != self._shape:
            # Places in px of another picture say nothing of this one.
            self._follower, self._recent = PersonFollower(), recent_frames(self.network)
            self._shape = image.shape
        reading = self.predictor.follow_frame(Frame(self._count, time, image), self._follower)
        self._count += 1
        self._recent.add(time, reading)
        with single_thread():
            sequence = self._recent.sequence("the stream")
            answer = window_answers(self.network, sequence, [time])["fused"][0].exp().numpy()
        latency_ms = 1000 * (perf_counter() - arrived)
        self._latencies.append(latency_ms)
        complete = time - self._recent.first >= self.window_s
        return StreamAnswer(
            reading.pose, *name_answer(self.network, answer), answer, complete, latency_ms
        )

    def latency(self) -> Latency:
        """Of the latest answers, up to a thousand; NaN before the first."""
        if not self._latencies:
            return Latency(math.nan, math.nan)
        p50, p95 = np.percentile(np.fromiter(self._latencies, float), (50, 95))
        return Latency(float(p50), float(p95))
