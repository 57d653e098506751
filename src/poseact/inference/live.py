"""Live recognition: answers for the pictures of a source, drawn, shown and recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from time import perf_counter

from poseact._utils.errors import PoseActError
from poseact._utils.interrupt import StopRequest
from poseact.actions.answers import Segment
from poseact.actions.timeline import action_colours
from poseact.inference.canvas import Canvas, draw_people, with_strip
from poseact.inference.live_source import LiveFrame, LiveSource
from poseact.inference.preview_window import Window
from poseact.inference.stream import Latency, Stream, StreamAnswer

SHOWN_S = 20.0
"""Seconds of the past in the timeline."""

# The nominal rate of a recording; its frames keep their own times.
_RECORDED_FPS = 30.0


@dataclass(frozen=True)
class LiveReport:
    """Summary of a live job.

    Attributes:
        frames: Pictures answered.
        seconds: From the first picture's arrival to the last answer.
        dropped: Pictures dropped because others came before they were taken.
        reconnections: How often the source was lost and found again.
        latency: Of the latest answers.
        source_fps: Recent rate of the source in pictures per second; None for fewer than two.
        out: The recorded video, if one was.
        interrupted: Whether the user ended it.
    """

    frames: int
    seconds: float
    dropped: int
    reconnections: int
    latency: Latency
    source_fps: float | None
    out: Path | None
    interrupted: bool

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0


class RecentSegments:
    """The actions of a person in the last seconds, in bounded memory.

    Args:
        span: Seconds to keep.
    """

    def __init__(self, span: float = SHOWN_S) -> None:
        self.span = span
        self.segments: list[Segment] = []

    def add(self, time: float, answer: StreamAnswer) -> None:
        """Lengthen the last segment, or begin one where the action has changed."""
        label, probability = answer.label, answer.probability
        last = self.segments[-1] if self.segments else None
        if last is not None:
            self.segments[-1] = last._replace(end=time)
        if last is not None and last.label == label:
            self.segments[-1] = self.segments[-1]._replace(probability=probability)
        else:
            self.segments.append(Segment(time, time, label, probability))
        while self.segments[0].end < time - self.span:
            del self.segments[0]


def run_live(
    stream: Stream,
    source: LiveSource,
    *,
    show: bool = False,
    out: str | Path | None = None,
    on_answers: Callable[[list[StreamAnswer]], None] | None = None,
) -> LiveReport:
    """Recognise the actions in a source until it ends or the user stops it.

    On SIGINT or SIGTERM, or when the window is closed, the job ends after the current picture, and
    the recorded video is complete; a second signal ends it at once. It is complete too when the
    source is lost, and pictures of another size are fitted into it. If the process is killed, what
    was recorded up to the last second stays in ``NAME.unfinished-XXXXXXXX.mp4`` beside ``out``.

    Args:
        stream: Gives the answers.
        source: Not yet opened.
        show: Show the drawn pictures in a window.
        out: MP4 to record the drawn pictures to.
        on_answers: Called after every picture, with the answers for everyone in view.

    Raises:
        PoseActError: The source cannot be opened or was lost for good, or the video or a window
            cannot be made, or the video would replace the source.
    """
    out = None if out is None else Path(out)
    before = _inode(out)
    if before is not None and before == _inode(Path(source.name)):
        raise PoseActError(f"The recording {out} would replace its own source; give another --out.")
    frames, begun, interrupted = 0, None, False
    failure: Exception | None = None
    with StopRequest() as stop, ExitStack() as stack:
        window = stack.enter_context(Window("PoseAct")) if show else None
        recording = Canvas(out, _RECORDED_FPS, recoverable=True) if out else None
        canvas = stack.enter_context(recording) if recording else None
        drawing = _Drawing(stream, window, canvas) if show or out else None
        stack.enter_context(source)
        try:
            for frame in source.frames(lambda: bool(stop)):
                begun = begun or frame.arrived
                # A file that waits to be read arrives when it is taken.
                arrived = frame.arrived if source.live else None
                answers = stream.push(frame.image, frame.time, arrived)
                frames += 1
                if on_answers is not None:
                    on_answers(answers)
                if drawing is not None:
                    drawing.add(frame, answers)
                if stop or (window is not None and not window.is_open):
                    break
        except Exception as error:  # noqa: BLE001 - what was recorded is made a whole video first
            failure = error
        interrupted = bool(stop)
        seconds = perf_counter() - begun if begun else 0.0
    if isinstance(failure, PoseActError) and _inode(out) not in (None, before):
        raise PoseActError(
            f"{failure} The {frames} pictures received so far are in {out}."
        ) from failure
    if failure is not None:
        raise failure
    return LiveReport(
        frames,
        seconds,
        source.dropped,
        source.reconnections,
        stream.latency(),
        source.fps,
        out if frames else None,
        interrupted,
    )


def _inode(path: Path | None) -> tuple[int, int] | None:
    """What a file is known by, whatever its name; None if there is none."""
    # Unlike Path.is_file, it takes addresses that are too long for a name.
    if path is None or not isfile(path):
        return None
    facts = path.stat()
    return facts.st_dev, facts.st_ino


class _Drawing:
    """Draws answers, for a window and a video."""

    def __init__(self, stream: Stream, window: Window | None, canvas: Canvas | None) -> None:
        self._predictor = stream.predictor
        self._colours = action_colours(stream.labels)
        self._recent: dict[int, RecentSegments] = {}
        self._window, self._canvas = window, canvas

    def add(self, frame: LiveFrame, answers: list[StreamAnswer]) -> None:
        """Draw the answers, and the actions of the person who has been there longest."""
        span = (frame.time - SHOWN_S, frame.time)
        self._recent = {
            person: own for person, own in self._recent.items() if own.segments[-1].end >= span[0]
        }
        for answer in answers:
            self._recent.setdefault(answer.pose.person, RecentSegments()).add(frame.time, answer)
        names = {answer.pose.person: answer.label for answer in answers}
        image = draw_people(frame.image, [a.pose for a in answers], self._predictor, names=names)
        shown = min(names, default=min(self._recent, default=None))
        segments = self._recent[shown].segments if shown is not None else []
        image = with_strip(image, segments, self._colours, span, frame.time)
        if self._window is not None:
            self._window.show(image)
        if self._canvas is not None:
            self._canvas.write(image, frame.time)
