"""Evaluation of trained actions on labelled clips, with its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact._utils.interrupt import StopRequest
from poseact.actions.clip_inputs import action_network, check_skeleton
from poseact.clips.action_data import (
    ActionData,
    OnStage,
    is_filmed,
    no_progress,
    only_part,
    read_filmed,
    read_posed,
)
from poseact.clips.blanking import BLANKED, Background
from poseact.clips.extract import DEFAULT_CACHE, ReadingOptions
from poseact.clips.folder import find_clips
from poseact.data.split import Item
from poseact.evaluation.action_evaluation import ActionProtocol, evaluate, targets_of
from poseact.evaluation.action_report import Measured, ReportFiles, write_action_report
from poseact.evaluation.action_scores import ActionScores
from poseact.models.base import Network
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import ActionNetwork
from poseact.weights.checkpoint import load


@dataclass(frozen=True)
class ActionEvaluation:
    """Results of an evaluation and their files.

    Attributes:
        out: The folder.
        scores: Scores of the clips; None if reading the videos was interrupted.
        files: The report.
        groups: Scores of the clips of each group.
        notes: On clips that were left out or look strange.
    """

    out: Path
    scores: ActionScores | None = None
    files: ReportFiles | None = None
    groups: Mapping[str, ActionScores] | None = None
    notes: Sequence[str] = ()


def eval_actions(
    weights: str | Path,
    source: str | Path,
    out: str | Path = "poseact-eval",
    *,
    protocol: ActionProtocol | None = None,
    kind: str | None = None,
    split: str | Path | None = None,
    part: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    background: Background = "keep",
    cache: str | Path = DEFAULT_CACHE,
    reading: ReadingOptions | None = None,
    on_stage: OnStage | None = None,
) -> ActionEvaluation:
    """Score trained actions on labelled clips; a clip that cannot be scored is an error.

    Args:
        weights: File that ``train_actions`` wrote.
        source: Folder of videos or sequences of poses, as of ``train_actions``.
        out: Folder for the results.
        protocol: How clips are scored; multi clip by default.
        kind: Format of sequences without video; guessed by default.
        split: ``split.csv`` of a training; only its clips of the part (``test`` by default) are
            scored.
        part: Without a split, the part given by the data set; by default all clips.
        groups: Groups of actions by name, each also scored separately.
        background: ``blank`` makes everything around the person grey before a video is read, so
            that no scene can be recognised.
        cache: Folder for the features of videos.
        reading: How videos are read; None for the defaults.
        on_stage: Called with the progress of every stage.

    Raises:
        PoseActError: Weights or clips cannot be read or do not fit each other, split or groups are
            not of these clips, a clip cannot be scored, or the results cannot be written.
    """
    network = action_network(load(weights))
    report = on_stage or no_progress
    source, out, groups = Path(source), Path(out), groups or {}
    choice = _Choice(network, None if split is None else Path(split), part, groups)
    if kind is None and is_filmed(source):
        with StopRequest() as stop:
            data = read_filmed(
                *(choice.of(find_clips(source)), _pose_network(network), Path(cache)),
                background=background,
                reading=reading or ReadingOptions(),
                on_stage=report,
                stop=stop,
            )
        if data.interrupted:
            return ActionEvaluation(out, notes=data.notes)
    else:
        data = _posed(source, kind, background)
    data = replace(data, sequences=choice.of(data.sequences))
    for sequence in data.sequences:
        check_skeleton(network, sequence)
    scores = evaluate(
        network, data.sequences, protocol, on_clips=lambda done, total: report("clips", done, total)
    )
    blanked = f"; {BLANKED}" if background == "blank" else ""
    scores = replace(scores, protocol=f"{scores.protocol}{blanked}; weights {Path(weights).name}")
    files = write_action_report(
        out,
        Measured(
            f"Scores of {Path(weights).name} on {source.name}",
            {"weights": str(weights), "data": str(source), "clips": str(len(scores.clips))},
            {scores.protocol.partition(":")[0]: scores},
            data.sequences,
            data.videos,
            unknown_below=network.card.unknown_below,
            groups=groups,
            notes=data.notes,
        ),
    )
    of_groups = {name: scores.only(labels) for name, labels in groups.items()}
    return ActionEvaluation(out, scores, files, of_groups, data.notes)


def _posed(source: Path, kind: str | None, background: Background) -> ActionData:
    """Sequences of poses, which have no background to blank."""
    if background != "keep":
        raise PoseActError(
            f"{source} holds poses, which have no background; give videos, or leave out "
            "--background."
        )
    return read_posed(source, kind)


def _pose_network(network: ActionNetwork) -> Network:
    """The network that reads the poses for an action network."""
    if isinstance(network, MultitaskNetwork):
        return network
    if network.card.pose_weights is None:
        raise PoseActError(
            "The weights recognise actions from poses and do not name the pose network to use with "
            "videos; give pose sequences instead."
        )
    return load(network.card.pose_weights)


@dataclass(frozen=True)
class _Choice:
    """Which clips are scored, chosen before their videos are read."""

    network: ActionNetwork
    split: Path | None
    part: str | None
    groups: Mapping[str, Sequence[str]]

    def of(self, clips: Sequence[Item]) -> list[Item]:
        """The clips to be scored."""
        chosen = self._part(clips)
        targets_of(self.network, chosen)
        labels = self.network.config.labels
        for name, actions in self.groups.items():
            unknown = [action for action in actions if action not in labels]
            if unknown or not any(clip.label in actions for clip in chosen):
                what = f"{', '.join(unknown)}, unknown to the weights" if unknown else "no clip"
                raise PoseActError(
                    f"The group {name} of {', '.join(actions)} has {what}; give actions that the "
                    f"scored clips show, of {', '.join(labels)}."
                )
        return chosen

    def _part(self, clips: Sequence[Item]) -> list[Item]:
        if self.split is not None:
            return only_part(clips, self.split, self.part or "test")
        if self.part is None:
            return list(clips)
        kept = [clip for clip in clips if clip.part == self.part]
        if not kept:
            raise PoseActError(
                f"No clip of the data belongs to the part {self.part!r}; give the split.csv of a "
                "training, or no part."
            )
        return kept
