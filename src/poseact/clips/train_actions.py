"""The workflow from a folder of clips to an action recogniser with a report; it can be resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import window_fps
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.action_data import (
    ActionData,
    OnStage,
    check_parts,
    copies_note,
    read_filmed,
    write_split,
)
from poseact.clips.check_clips import require_trainable
from poseact.clips.copies import join_recordings
from poseact.clips.extract import ReadingOptions
from poseact.clips.folder import find_clips
from poseact.clips.head_workflow import FOLDS, HeadWorkflow, OnRow, Stopped, started
from poseact.clips.learning_curve import CURVE_COUNTS, at_most, curve_point
from poseact.clips.train_plan import ActionTraining, TrainPlan
from poseact.data.pixel_windows import VideoClip
from poseact.data.split import split_by_recording
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate
from poseact.evaluation.action_figures import CurvePoint
from poseact.evaluation.action_report import Measured, write_action_report
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import ActionNetwork
from poseact.recipe import load_recipe
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.training.finetune import finetune
from poseact.training.heads import TrainedActions
from poseact.weights.checkpoint import save

PROTOCOLS = {
    "multi clip": ActionProtocol("multi"),
    "single clip": ActionProtocol("centre"),
}


def train_actions(
    source: str | Path,
    out: str | Path = "poseact-actions",
    plan: TrainPlan | None = None,
    *,
    cache: str | Path | None = None,
    workers: int = 1,
    device: str | None = None,
    runtime: str | None = None,
    precision: str = DEFAULT_PRECISION,
    on_stage: OnStage | None = None,
    on_row: OnRow | None = None,
) -> ActionTraining:
    """Train an action recogniser on the user's own clips, and evaluate it.

    The clips are split by recording. Features of videos are extracted once and cached. The heads
    that are saved are trained on all training clips and evaluated on the test clips, which are used
    for no other decision. In the same pass, further heads each leave out a part of the
    training recordings; the temperature of the probabilities and the limits of "unknown" are fitted
    on their answers for that part.

    Args:
        source: Folder of videos, see :func:`~poseact.clips.folder.find_clips`, or sequences of
            poses, see :func:`~poseact.data.sequences.registry.read_sequences`.
        out: Folder for the results; an interrupted run in it is resumed.
        plan: Settings; None for the defaults.
        cache: Folder for the features of videos; by default ``cache`` in ``out``.
        workers: Number of processes that read videos.
        device: Device for feature extraction; by default CUDA if available.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.
        on_stage: Called with the progress of every stage.
        on_row: Called with the name of a training of heads and what each of its epochs measured.

    Raises:
        PoseActError: The data cannot be read or are too few, they do not fit the plan, or the
            results cannot be written.
    """
    reading = ReadingOptions(workers, device, runtime, precision)
    how = (plan or TrainPlan(), reading, on_stage, on_row)
    with started(_Workflow, source, out, *how, cache=cache) as run:
        try:
            run.all(run.read())
        except Stopped:
            run.report.interrupted = True
    return run.report


@dataclass
class _Workflow(HeadWorkflow):
    report: ActionTraining = field(init=False)

    def __post_init__(self) -> None:
        files = (self.out / "actions.safetensors", self.out / "split.csv")
        self.report = ActionTraining(self.out, *files, notes=self.notes)

    def all(self, data: ActionData) -> None:
        """Run all stages after reading the data."""
        self.notes += [*data.notes, *copies_note(data)]
        sequences = join_recordings(data.sequences, data.copies)
        require_trainable(sequences)
        if self.plan.instant and not any(s.part == "test" for s in sequences):
            train, test = sequences, []
        else:
            train, test = split_by_recording(sequences, self.plan.test, self.plan.seed)
            check_parts(train, test)
        trained = self.train("heads", train, FOLDS)
        network, readers = trained.network, None
        calibration = self.calibration(trained)
        if not test:
            readers, test = self.unseen(trained, train)
        curve = self.curve(train, test) if self.plan.curve and readers is None else []
        if self.plan.finetune is not None:
            network, test = self.end_to_end(network, data, train, test)
        scores = self.report.scores
        for name, protocol in PROTOCOLS.items():
            scores[name] = evaluate(
                *(network, test, protocol),
                readers=readers,
                on_clips=self.reporting(f"test, {name}"),
            )
        # Last of all, so that weights of an earlier run never lie beside a split of this one.
        write_split(self.report.split, {"train": train, "test": [] if readers else test})
        self.save(network, train, test)
        if curve:
            curve.append(curve_point(train, scores["multi clip"]))
        self.on_stage("report", 0, 1)
        files = self.report.files = write_action_report(
            self.report.out,
            Measured(
                f"Actions of {self.source.name}",
                self.facts(network, train, test),
                scores,
                test,
                data.videos if self.plan.pictures else {},
                Counter(str(sequence.label) for sequence in train),
                calibration,
                network.card.unknown_below,
                curve,
                notes=self.notes,
            ),
        )
        self.on_stage("report", 1, 1)
        written = (self.report.split, self.report.weights, files.markdown, files.html, files.json)
        if lost := [path for path in written if not path.is_file()]:
            raise PoseActError(
                f"{', '.join(map(str, lost))} was removed during the run; run it again."
            )

    def end_to_end(
        self,
        network: ActionNetwork,
        data: ActionData,
        train: Sequence[PoseSequence],
        test: Sequence[PoseSequence],
    ) -> tuple[ActionNetwork, Sequence[PoseSequence]]:
        """Train the whole network; return it and the test clips with its features."""
        if not isinstance(network, MultitaskNetwork) or self.plan.finetune is None:
            raise PoseActError(
                "Only a network of both streams can be trained end to end; leave --finetune out."
            )
        labels = network.config.labels
        clips = [VideoClip(data.videos[s.name], s, labels.index(str(s.label))) for s in train]
        result = finetune(
            network,
            clips,
            load_recipe(self.plan.finetune),
            self.report.out / "training",
            plan=self.plan.finetune_plan,
            on_step=lambda done, total, _: self.on_stage("training, end to end", done, total),
            stop=self.stop,
        )
        if not result.finished:
            raise Stopped
        self.notes.append(result.describe())
        if not result.kept:
            return network, test
        names = {sequence.name for sequence in test}
        again = read_filmed(
            [clip for clip in find_clips(self.source) if clip.name in names],
            result.network,
            self.cache,
            reading=self.reading,
            on_stage=self.on_stage,
            stop=self.stop,
        )
        if again.interrupted:
            raise Stopped
        read = {sequence.name: sequence for sequence in again.sequences}
        return result.network, [read.get(sequence.name, sequence) for sequence in test]

    def unseen(
        self, trained: TrainedActions, train: list[PoseSequence]
    ) -> tuple[list[ActionNetwork], list[PoseSequence]]:
        """If all clips are for training: each with a network that was not trained on it."""
        if not trained.unseen:
            self.notes.append(
                "No action has two recordings, so the scores are those of the clips that were "
                "learned and say little; film each action several times."
            )
            return [trained.network] * len(train), train
        readers, clips = zip(*trained.unseen, strict=True)
        for reader in readers:
            reader.card = trained.network.card
        return list(readers), list(clips)

    def curve(
        self, train: Sequence[PoseSequence], test: Sequence[PoseSequence]
    ) -> list[CurvePoint]:
        most = max(Counter(sequence.label for sequence in train).values())
        points: list[CurvePoint] = []
        for count in CURVE_COUNTS:
            if count < most:
                part = at_most(train, count, self.plan.seed)
                name = f"{count} clips"
                network = self.train(name, part).network
                scores = evaluate(network, test, on_clips=self.reporting(f"test, {name}"))
                points.append(curve_point(part, scores))
        return points

    def save(
        self, network: ActionNetwork, train: Sequence[PoseSequence], test: Sequence[PoseSequence]
    ) -> None:
        """Write the weights with their provenance and scores."""
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
