"""The full training, in a process of its own, with its progress."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import Any, Literal

from poseact._utils.boundary import parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact.clips.train_plan import TrainPlan
from poseact.studio.places import Places

State = Literal["none", "running", "done", "cancelled", "failed"]

_END_S = 20.0
"""How long a training may take to save its state and end, before it is killed."""


@dataclass
class Progress:
    """How far the training is.

    Attributes:
        state: ``none`` before the first one.
        plan: Settings that differ from the defaults.
        stages: Items done and their total, by name, in the order of their beginning.
        curves: Loss after each epoch, by name of the training.
        eta_s: Seconds left of the last stage; None before it can be estimated.
        message: Why it failed.
        notes: On clips, after it.
    """

    state: State = "none"
    plan: dict[str, Any] = field(default_factory=dict[str, Any])
    stages: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    curves: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    eta_s: float | None = None
    message: str = ""
    notes: list[str] = field(default_factory=list[str])


class TrainingJob:
    """Starts, watches, cancels and resumes the training of a folder.

    A training that ran when the studio was killed is resumed at the next start.

    Args:
        places: Of the studio.
        on_change: Called from another thread after every step.
        pictures: Whether the report may show pictures of the videos.
        command: The program that trains; it gets its task as JSON in a further argument, and
            reports its progress as lines of JSON.
    """

    def __init__(
        self,
        places: Places,
        on_change: Callable[[], None],
        pictures: bool = True,
        command: Sequence[str] = (sys.executable, "-m", "poseact.studio.training_process"),
    ) -> None:
        self._places, self._on_change, self._command = places, on_change, command
        self._pictures = pictures
        self._file = places.own / "training.json"
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ended = False
        self._stage_began = (0.0, 0)
        self.progress = _kept(self._file)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None

    @property
    def has_pictures(self) -> bool:
        """Whether the report shows pictures of the videos."""
        return self.progress.plan.get("pictures", True)

    def resume_if_killed(self) -> None:
        """Resume a training that the last studio did not finish."""
        if self.progress.state == "running":
            self.start(self.progress.plan)

    def start(self, plan: dict[str, Any]) -> None:
        """Start the training, or resume one that was cancelled.

        Args:
            plan: Fields of :class:`~poseact.clips.train_plan.TrainPlan`.

        Raises:
            PoseActError: One is running, or the plan cannot be carried out.
        """
        if not self._pictures:
            plan = plan | {"pictures": False}
        TrainPlan(**plan).check()
        with self._lock:
            if self._process is not None:
                raise PoseActError("A training is running; cancel it first.")
            self.progress = Progress("running", plan)
            self._keep()
            wanted = {
                "folder": str(self._places.folder),
                "out": str(self._places.training),
                "cache": str(self._places.cache),
                "plan": plan,
            }
            self._process = subprocess.Popen(
                [*self._command, json.dumps(wanted)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Ctrl-C in the terminal is the studio's, which then ends this one in its own way.
                start_new_session=True,
            )
            Thread(target=self._watch, args=(self._process,), daemon=True).start()
        self._on_change()

    def cancel(self) -> None:
        """Stop after the current step; finished steps are kept."""
        process = self._process
        if process is not None and process.stdin is not None:
            # The process takes it for the end of the studio.
            process.stdin.close()

    def end(self) -> None:
        """Stop as the studio ends; the next one resumes it."""
        self._ended = True
        process = self._process
        if process is None:
            return
        self.cancel()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def _watch(self, process: subprocess.Popen[str]) -> None:
        errors: list[str] = []
        reader = Thread(target=errors.extend, args=(process.stderr or (),), daemon=True)
        reader.start()
        end: dict[str, Any] = {}
        for line in process.stdout or ():
            # Others print too.
            with suppress(ValueError, KeyError, TypeError):
                said = parse_json(line)
                if "state" in said:
                    end = said
                else:
                    self._take(said)
            self._on_change()
        process.wait()
        reader.join()
        with self._lock:
            self._process = None
            # Not before: whoever hears of the end may start the next training at once.
            if end:
                self._take(end)
            if self._ended:
                # Kept as running, so that the next studio resumes it.
                return
            if self.progress.state == "running":
                self.progress.state = "failed"
                last = [line.strip() for line in errors if line.strip()][-1:]
                self.progress.message = f"The training ended by itself. {' '.join(last)}"
            self._keep()
        self._on_change()

    def _take(self, said: dict[str, Any]) -> None:
        """Handle one line of the process's output."""
        progress = self.progress
        if "stage" in said:
            name, done, total = said["stage"], said["done"], said["total"]
            if name not in progress.stages:
                self._stage_began = (monotonic(), done)
            progress.stages[name] = (done, total)
            began, first = self._stage_began
            new = done - first
            progress.eta_s = (monotonic() - began) / new * (total - done) if new > 0 else None
        elif "curve" in said:
            if math.isfinite(said["loss"]):
                progress.curves.setdefault(said["curve"], []).append(round(said["loss"], 4))
        elif not (self._ended and said["state"] == "cancelled"):
            # What the end of the studio cancels is kept as running: the next one resumes it.
            progress.state = said["state"]
            progress.message = said.get("message", "")
            progress.notes = said.get("notes", [])
            self._keep()

    def _keep(self) -> None:
        write_json(self._file, asdict(self.progress))


def _kept(file: Path) -> Progress:
    try:
        return Progress(**parse_json(file.read_bytes()))
    except (OSError, TypeError, ValueError):
        return Progress()
