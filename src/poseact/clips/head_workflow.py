"""Base of the workflows that read clips and train action heads on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch

from poseact._utils.device import on_device
from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder, walk_files
from poseact._utils.interrupt import StopRequest
from poseact.actions.action_names import BACKGROUND
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.action_data import (
    ActionData,
    OnStage,
    check_joints,
    is_filmed,
    no_progress,
    read_checked,
    read_posed,
)
from poseact.clips.extract import ReadingOptions
from poseact.clips.train_plan import TrainPlan
from poseact.evaluation.calibration import Calibration, calibrate
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.media import VIDEO_SUFFIXES
from poseact.models.base import Network
from poseact.models.multitask import MultitaskNetwork
from poseact.training.epoch_record import Row
from poseact.training.heads import TrainedActions, train_heads
from poseact.weights.checkpoint import load

OnRow = Callable[[str, Row], None]

FOLDS = 3
"""Parts of the training recordings for cross-fitting the calibration."""


class Stopped(Exception):
    """The run was interrupted; finished steps are on disk."""


@dataclass
class HeadWorkflow:
    """A run that reads clips, trains heads and calibrates them.

    Attributes:
        source: Folder of videos, or sequences of poses.
        out: Folder for the results.
        plan: Settings of the trainings.
        stop: Request to end the run.
        on_stage: Called with the progress of every stage.
        on_row: Called with what each epoch measured.
        reading: How videos are read.
        cache: Folder for the features of videos.
        notes: On clips and on the calibration.
        pose_network: The network that read the videos.
    """

    source: Path
    out: Path
    plan: TrainPlan
    stop: StopRequest
    on_stage: OnStage
    on_row: OnRow
    reading: ReadingOptions
    cache: Path
    notes: list[str] = field(default_factory=list[str])
    pose_network: Network | None = None

    def read(self) -> ActionData:
        """The labelled sequences; features of videos come from the cache where possible."""
        if self.plan.kind is not None or not is_filmed(self.source):
            if self.plan.finetune is not None:
                raise PoseActError(
                    f"Training end to end was asked for, but {self.source} holds no videos; "
                    "leave out --finetune."
                )
            if self.plan.streams == "both":
                raise PoseActError(
                    f"Both streams were asked for, but {self.source} holds no videos, which the "
                    "appearance stream needs; use the pose stream alone."
                )
            data = read_posed(self.source, self.plan.kind)
            check_joints(self.plan.weights, data.sequences[0])
            return data
        self.pose_network = load(self.plan.weights or DEFAULT_WEIGHTS)
        data = read_checked(
            self.source,
            self.pose_network,
            self.cache,
            reading=self.reading,
            on_stage=self.on_stage,
            stop=self.stop,
        )
        if data.interrupted:
            raise Stopped
        return data

    def calibration(self, trained: TrainedActions) -> Calibration | None:
        """Calibrate on the training clips, each scored by heads that were not trained on it."""
        if not trained.unseen:
            self.notes.append(
                "No action has two training recordings, so probabilities are not calibrated and no "
                "motion is called unknown; film each action several times."
            )
            return None
        readers, clips = zip(*trained.unseen, strict=True)
        return calibrate(trained.network, clips, readers=readers, background=BACKGROUND)

    def train(self, name: str, sequences: Sequence[PoseSequence], folds: int = 0) -> TrainedActions:
        """Train heads, or read them from disk if that training was finished before."""
        network = self.pose_network if isinstance(self.pose_network, MultitaskNetwork) else None
        streams = self.plan.streams or ("pose" if network is None else "both")
        if streams == "both" and network is None:
            raise PoseActError(
                f"The weights {self.plan.weights} give no features for the appearance stream; use "
                "weights of a multitask network, or the pose stream alone."
            )

        def report(done: int, total: int, row: Row) -> None:
            self.on_stage(f"training, {name}", done, total)
            self.on_row(name, row)

        trained = train_heads(
            sequences,
            streams=streams,
            pose_network=network,
            seed=self.plan.seed,
            folds=folds,
            instant=self.plan.instant,
            on_progress=report,
            stop=self.stop,
            out=self.out / "training" / name.replace(" ", "-"),
            recipe=self.plan.recipe,
            **self.plan.windows(),
        )
        if not trained.finished:
            raise Stopped
        return trained

    def reporting(self, stage: str) -> Callable[[int, int], None]:
        """A callback that reports progress and ends the stage after a stop request."""

        def report(done: int, total: int) -> None:
            self.on_stage(stage, done, total)
            if self.stop:
                raise Stopped

        return report


W = TypeVar("W", bound=HeadWorkflow)


@contextmanager
def started(
    kind: type[W],
    source: str | Path,
    out: str | Path,
    plan: TrainPlan,
    reading: ReadingOptions,
    on_stage: OnStage | None,
    on_row: OnRow | None,
    *,
    cache: str | Path | None,
) -> Iterator[W]:
    """A workflow that ends at SIGINT or SIGTERM.

    Args:
        kind: Of workflow.
        source: Folder of videos, or sequences of poses.
        out: Folder for the results, which is made.
        plan: Settings of the trainings.
        reading: How videos are read.
        on_stage: Called with the progress of every stage, if given.
        on_row: Called with what each epoch measured, if given.
        cache: Folder for the features of videos; by default ``cache`` in ``out``.

    Raises:
        PoseActError: Plan, source or options cannot be used, before any work is done.
    """
    out, source = Path(out), Path(source)
    plan.check()
    on_device(reading.device, lambda chosen: torch.zeros(1, device=chosen))
    empty = source.is_dir() and not walk_files(source)
    if empty or not source.exists() or source.suffix.lower() in VIDEO_SUFFIXES:
        raise PoseActError(
            f"{source} is not a folder of clips; give a folder with a folder of videos per "
            "action, or pose sequences."
        )
    open_folder(out)
    callbacks = (on_stage or no_progress, on_row or no_progress)
    with StopRequest() as stop:
        yield kind(source, out, plan, stop, *callbacks, reading, Path(cache or out / "cache"))
