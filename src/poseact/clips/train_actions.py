"""From clips to an action recogniser, in steps that a stopped run takes up where it left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from poseact._utils.device import on_device
from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact._utils.interrupt import StopRequest
from poseact._utils.worker_pool import check_workers
from poseact.actions.action_names import BACKGROUND
from poseact.actions.clip_inputs import ActionNetwork, window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.action_data import (
    ActionData,
    OnStage,
    check_joints,
    check_parts,
    is_filmed,
    read_checked,
    read_filmed,
    read_posed,
    told_copies,
    write_split,
)
from poseact.clips.check_clips import require_trainable
from poseact.clips.copies import join_recordings
from poseact.clips.folder import find_clips
from poseact.data.filmed_clips import FilmedClip
from poseact.data.split import check_share, split_by_recording
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.evaluation.action_figures import CurvePoint
from poseact.evaluation.action_report import Measured, ReportFiles, write_action_report
from poseact.evaluation.action_scores import ActionScores
from poseact.evaluation.calibration import Calibration, calibrate
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.media import VIDEO_SUFFIXES
from poseact.models.base import Network
from poseact.models.multitask import MultitaskNetwork
from poseact.recipe import load_recipe
from poseact.training.finetune import FinetunePlan, finetune
from poseact.training.heads import HeadRecipe, check_windows, train_heads
from poseact.weights.checkpoint import load, save

VALIDATION = 0.2
"""Share of the training recordings that the calibration is learnt from."""

PROTOCOLS = {
    "multi clip": ActionProtocol("multi"),
    "single clip": ActionProtocol("centre"),
}

CURVE_COUNTS = (2, 5, 10, 20, 50, 100, 200)
"""Clips of each class at the points of a learning curve, as far as there are more."""


@dataclass(frozen=True)
class TrainPlan:
    """How actions are trained.

    Attributes:
        streams: ``both`` pose and appearance, or the ``pose`` alone; None for both where there are
            videos.
        weights: Of the pose network: name of shipped weights or a checkpoint file. Beside sequences
            without video, the weights that gave them, if any; videos are then predicted with them.
        kind: Format of sequences without video; None to guess it.
        frames: T of the windows; None for the default of
            :func:`~poseact.training.heads.train_heads`, as for the next two.
        fps: Of the windows.
        epochs: Of each training.
        seed: Of the split and of all chance in training.
        test: Share of the recordings that are kept for the test.
        curve: Train also on fewer clips, for the learning curve.
        recipe: Further settings of the trainings.
        finetune: Recipe of pose data; with it the whole network is trained at last, see
            :func:`~poseact.training.finetune.finetune`.
        finetune_plan: How; None for the defaults.
    """

    streams: Literal["both", "pose"] | None = None
    weights: str | Path | None = None
    kind: str | None = None
    frames: int | None = None
    fps: float | None = None
    epochs: int | None = None
    seed: int = 0
    test: float = 0.3
    curve: bool = True
    recipe: HeadRecipe | None = None
    finetune: Path | None = None
    finetune_plan: FinetunePlan | None = None

    def check(self) -> None:
        """Refuse what cannot be done, before anything is.

        Raises:
            PoseActError: A number is out of range, or the recipe cannot be read.
        """
        check_windows(**self.windows())
        check_share(self.test)
        if self.finetune is not None:
            load_recipe(self.finetune)

    def training(self) -> dict[str, Any]:
        """Arguments of every training."""
        return {**self.windows(), "recipe": self.recipe}

    def windows(self) -> dict[str, Any]:
        """What is given of the windows and rounds."""
        given = {"frames": self.frames, "fps": self.fps, "epochs": self.epochs}
        return {name: value for name, value in given.items() if value is not None}


@dataclass
class TrainReport:
    """Where the results of a training lie.

    Attributes:
        out: The folder.
        weights: ``actions.safetensors``.
        split: ``split.csv``: which clip was in which part.
        files: The report; None where the run was stopped before.
        scores: By protocol, of the test clips.
        notes: On clips that were left out or look strange.
        interrupted: Whether the run was stopped; the same call goes on.
    """

    out: Path
    weights: Path
    split: Path
    files: ReportFiles | None = None
    scores: dict[str, ActionScores] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False


class _Stopped(Exception):
    """The step in hand is given up; what it has done so far is on disk."""


def train_actions(
    source: str | Path,
    out: str | Path = "poseact-actions",
    plan: TrainPlan | None = None,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    device: str | None = None,
    on_stage: OnStage | None = None,
) -> TrainReport:
    """Train an action recogniser on clips of one's own, and measure it.

    The clips are split by recording. The features of videos are read once and kept. A first
    training without a part of the training clips gives the temperature and the threshold of
    "unknown" on that part; the heads that are saved are trained on all training clips, and scored
    on the test clips, by which nothing is chosen.

    Args:
        source: Folder of videos, see :func:`~poseact.clips.folder.find_clips`, or sequences of
            poses, see :func:`~poseact.data.sequences.read_sequences`.
        out: Folder for the results; what was done there before is not done again.
        plan: How.
        cache: Folder for the features of videos; None for ``cache`` in ``out``.
        workers: Processes that read videos.
        device: Where videos are read; by default CUDA where there is one.
        on_stage: Called as the steps proceed.

    Raises:
        PoseActError: The data cannot be read or are too few, they do not fit the plan, or the
            results cannot be written.
    """
    plan, out, source = plan or TrainPlan(), Path(out), Path(source)
    plan.check()
    check_workers(workers)
    on_device(device, lambda chosen: torch.zeros(1, device=chosen))
    empty = source.is_dir() and not any(source.iterdir())
    if empty or not source.exists() or source.suffix.lower() in VIDEO_SUFFIXES:
        raise PoseActError(
            f"{source} is no folder of clips; give one that holds a folder of videos for each "
            "action, or sequences of poses."
        )
    open_folder(out)
    report = TrainReport(out, out / "actions.safetensors", out / "split.csv")
    with StopRequest() as stop:
        reading = {"cache": Path(cache or out / "cache"), "workers": workers, "device": device}
        run = _Workflow(source, report, plan, stop, on_stage or (lambda *_: None), reading)
        try:
            run.all(run.read())
        except _Stopped:
            report.interrupted = True
    return report


@dataclass
class _Workflow:
    """A training under way."""

    source: Path
    report: TrainReport
    plan: TrainPlan
    stop: StopRequest
    on_stage: OnStage
    reading: dict[str, Any]
    pose_network: Network | None = None

    def all(self, data: ActionData) -> None:
        """Every step after the reading, one after the other."""
        notes = self.report.notes = [*data.notes, *told_copies(data)]
        sequences = join_recordings(data.sequences, data.copies)
        require_trainable(sequences)
        train, test = split_by_recording(sequences, self.plan.test, self.plan.seed)
        check_parts(train, test)
        write_split(self.report.split, {"train": train, "test": test})
        calibration = self.calibration(train)
        network = self.train("heads", train)
        if calibration is not None:
            network.card = calibration.on(network.card)
        curve = self.curve(train, test) if self.plan.curve else []
        if self.plan.finetune is not None:
            network, test = self.end_to_end(network, data, train, test)
        scores = self.report.scores
        for name, protocol in PROTOCOLS.items():
            scores[name] = evaluate(network, test, protocol, on_clips=self.told(f"test, {name}"))
        self.save(network, train, test)
        if curve:
            curve.append(_curve_point(train, scores["multi clip"]))
        self.report.files = write_action_report(
            self.report.out,
            Measured(
                f"Actions of {self.source.name}",
                self.facts(network, train, test),
                scores,
                test,
                data.videos,
                Counter(str(sequence.label) for sequence in train),
                calibration,
                network.card.unknown_below,
                curve,
                notes=notes,
            ),
        )

    def read(self) -> ActionData:
        """The sequences; features of videos are taken from the cache where they are there."""
        if self.plan.kind is not None or not is_filmed(self.source):
            if self.plan.finetune is not None:
                raise PoseActError(
                    f"A training end to end was asked for, but {self.source} holds no videos; "
                    "leave it out."
                )
            if self.plan.streams == "both":
                raise PoseActError(
                    f"Both streams were asked for, but {self.source} holds no videos to see an "
                    "appearance in; ask for the stream of poses alone."
                )
            data = read_posed(self.source, self.plan.kind)
            check_joints(self.plan.weights, data.sequences[0])
            return data
        self.pose_network = load(self.plan.weights or DEFAULT_WEIGHTS)
        data = read_checked(
            self.source,
            self.pose_network,
            on_stage=self.on_stage,
            stop=self.stop,
            **self.reading,
        )
        if data.interrupted:
            raise _Stopped
        return data

    def end_to_end(
        self,
        network: ActionNetwork,
        data: ActionData,
        train: Sequence[PoseSequence],
        test: Sequence[PoseSequence],
    ) -> tuple[ActionNetwork, Sequence[PoseSequence]]:
        """The whole network trained on, and the test clips as it reads them."""
        if not isinstance(network, MultitaskNetwork) or self.plan.finetune is None:
            raise PoseActError(
                "Only a network of both streams can be trained end to end; leave --finetune out."
            )
        labels = network.config.labels
        clips = [FilmedClip(data.videos[s.name], s, labels.index(str(s.label))) for s in train]
        result = finetune(
            network,
            clips,
            load_recipe(self.plan.finetune),
            self.report.out / "training",
            plan=self.plan.finetune_plan,
            on_step=lambda done, total, _: self.on_stage("training, end to end", done, total),
        )
        if not result.finished:
            raise _Stopped
        self.report.notes.append(result.describe())
        if not result.kept:
            return network, test
        again = read_filmed(
            find_clips(self.source),
            result.network,
            on_stage=self.on_stage,
            stop=self.stop,
            **self.reading,
        )
        if again.interrupted:
            raise _Stopped
        read = {sequence.name: sequence for sequence in again.sequences}
        return result.network, [read.get(sequence.name, sequence) for sequence in test]

    def calibration(self, train: Sequence[PoseSequence]) -> Calibration | None:
        """Learnt from a part of the training clips, by heads trained on the others."""
        # A part that the data set states divides training from test, not the training clips.
        free = [replace(sequence, part=None) for sequence in train]
        fitted, held_out = split_by_recording(free, VALIDATION, self.plan.seed)
        labels = {sequence.label for sequence in fitted}
        held_out = [sequence for sequence in held_out if sequence.label in labels]
        if not held_out or len(labels) < 2:
            self.report.notes.append(
                "No action has two recordings to train on, so the probabilities are not "
                "calibrated, and no motion is called unknown; film each action several times."
            )
            return None
        network = self.train("calibration", fitted)
        return calibrate(network, held_out, background=BACKGROUND)

    def curve(
        self, train: Sequence[PoseSequence], test: Sequence[PoseSequence]
    ) -> list[CurvePoint]:
        """Accuracy after training on fewer clips."""
        most = max(Counter(sequence.label for sequence in train).values())
        points = []
        for count in CURVE_COUNTS:
            if count < most:
                part = _at_most(train, count, self.plan.seed)
                name = f"{count} clips"
                network = self.train(name, part)
                scores = evaluate(network, test, on_clips=self.told(f"test, {name}"))
                points.append(_curve_point(part, scores))
        return points

    def train(self, name: str, sequences: Sequence[PoseSequence]) -> ActionNetwork:
        """Train heads; a training that was finished before is read from disk."""
        network = self.pose_network if isinstance(self.pose_network, MultitaskNetwork) else None
        streams = self.plan.streams or ("pose" if network is None else "both")
        if streams == "both" and network is None:
            raise PoseActError(
                f"The weights {self.plan.weights} give no appearance for the second stream; "
                "give those of a multitask network, or ask for the stream of poses alone."
            )
        trained = train_heads(
            sequences,
            streams=streams,
            pose_network=network,
            seed=self.plan.seed,
            on_progress=lambda done, total, _: self.on_stage(f"training, {name}", done, total),
            stop=self.stop,
            out=self.report.out / "training" / name.replace(" ", "-"),
            **self.plan.training(),
        )
        if not trained.finished:
            raise _Stopped
        return trained.network

    def told(self, stage: str) -> Callable[[int, int], None]:
        """A callback that tells of a step and ends it when the user asks for it."""

        def tell(done: int, total: int) -> None:
            self.on_stage(stage, done, total)
            if self.stop:
                raise _Stopped

        return tell

    def save(
        self, network: ActionNetwork, train: Sequence[PoseSequence], test: Sequence[PoseSequence]
    ) -> None:
        """Write the weights, with what they were trained on and what they reach."""
        card = network.card
        accuracy = {
            name: {stream: round(scores.stream(stream).accuracy, 4) for stream in scores.streams}
            for name, scores in self.report.scores.items()
        }
        provenance = {
            "weights": f"poseact train-actions, seed {self.plan.seed}",
            "data": f"{self.source.name}: {len(train)} clips for training, {len(test)} for test",
            "accuracy": accuracy,
            "pose": card.provenance if self.pose_network else None,
        }
        card = replace(card, provenance=provenance)
        read_by = self.plan.weights or (DEFAULT_WEIGHTS if self.pose_network else None)
        if not isinstance(network, MultitaskNetwork):
            pose_weights = None if read_by is None else str(read_by)
            card = replace(card, pose_weights=pose_weights, licence="unknown")
        network.card = card
        save(network, self.report.weights)

    def facts(
        self, network: ActionNetwork, train: Sequence[PoseSequence], test: Sequence[PoseSequence]
    ) -> dict[str, str]:
        """The first table of the report."""
        config, fps = network.config, window_fps(network)
        recordings = [len({s.recording or s.name for s in part}) for part in (train, test)]
        return {
            "data": str(self.source),
            "actions": str(len(config.labels)),
            "training": f"{len(train)} clips of {recordings[0]} recordings",
            "test": f"{len(test)} clips of {recordings[1]} other recordings",
            "windows": f"{config.frames} frames at {fps:g} fps ({config.frames / fps:.1f} s)",
            "joints": f"{len(config.skeleton)} in {config.dims}D ({config.skeleton.name})",
            "pose weights": str(self.plan.weights or DEFAULT_WEIGHTS)
            if self.pose_network
            else "none: sequences of poses",
            "seed": str(self.plan.seed),
            "weights": str(self.report.weights),
        }


def _at_most(sequences: Sequence[PoseSequence], count: int, seed: int) -> list[PoseSequence]:
    """So many sequences of each label, drawn at random; larger draws hold the smaller ones."""
    rng = np.random.default_rng(seed)
    kept: set[int] = set()
    for label in sorted({str(sequence.label) for sequence in sequences}):
        members = [i for i, sequence in enumerate(sequences) if sequence.label == label]
        kept.update(rng.permutation(members)[:count].tolist())
    return [sequence for i, sequence in enumerate(sequences) if i in kept]


def _curve_point(train: Sequence[PoseSequence], scores: ActionScores) -> CurvePoint:
    most = max(Counter(sequence.label for sequence in train).values())
    accuracy = {}
    for name in scores.streams:
        found = scores.stream(name)
        accuracy[name] = (found.accuracy, *found.interval)
    return CurvePoint(most, len(train), accuracy)
