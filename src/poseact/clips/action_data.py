"""Labelled sequences for training or evaluation, from videos or from pose files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from poseact._utils.csv_rows import escaped, rows_of, unescaped
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, walk_files
from poseact._utils.interrupt import StopRequest
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.blanking import Background
from poseact.clips.check_clips import check_clips, require_trainable
from poseact.clips.copies import Copy
from poseact.clips.extract import ReadingOptions, extract
from poseact.clips.findings import Finding
from poseact.clips.folder import CLIPS_TABLE, Clip, find_clips
from poseact.data.sequences.registry import read_sequences
from poseact.data.split import Item
from poseact.media import VIDEO_SUFFIXES
from poseact.models.base import Network
from poseact.weights.checkpoint import load

OnStage = Callable[[str, int, int], None]
"""Called with the name of a stage, the items done and their total."""


def no_progress(*_: object) -> None:
    """An ``OnStage`` that reports nothing."""


SPLIT_COLUMNS = ("clip", "label", "recording", "part")


@dataclass(frozen=True)
class ActionData:
    """Sequences with their sources.

    Attributes:
        sequences: Labelled.
        videos: The video of each sequence by name; empty for pose files.
        notes: On clips that were left out or look strange, one sentence each.
        copies: Pairs of clips from different recordings that show the same scene.
        interrupted: Whether reading was interrupted.
    """

    sequences: list[PoseSequence]
    videos: dict[str, Path] = field(default_factory=dict[str, Path])
    notes: list[str] = field(default_factory=list[str])
    copies: list[Copy] = field(default_factory=list[Copy])
    interrupted: bool = False


def is_filmed(source: Path) -> bool:
    """Whether a source is a folder of videos, rather than sequences of poses."""
    if not source.is_dir():
        return False
    return (source / CLIPS_TABLE).is_file() or any(
        path.suffix.lower() in VIDEO_SUFFIXES for path in walk_files(source)
    )


def read_checked(
    source: Path,
    network: Network,
    cache: Path,
    *,
    reading: ReadingOptions,
    on_stage: OnStage,
    stop: StopRequest,
) -> ActionData:
    """As :func:`read_filmed`, with the clips checked for faults and copies."""
    check = check_clips(
        source,
        network,
        cache,
        reading=reading,
        on_step=lambda step: on_stage("poses", step.files, step.of),
        stop=stop,
    )
    if check.interrupted:
        return ActionData([], interrupted=True)
    data = _filmed(find_clips(source), check.sequences, check.findings, interrupted=False)
    return replace(data, copies=check.copies)


def read_filmed(
    clips: Sequence[Clip],
    network: Network,
    cache: Path,
    *,
    background: Background = "keep",
    reading: ReadingOptions,
    on_stage: OnStage,
    stop: StopRequest,
) -> ActionData:
    """Read the clips of videos with a pose network.

    Args:
        clips: As :func:`~poseact.clips.folder.find_clips` finds them.
        network: Reads the poses.
        cache: Folder for the features.
        background: How it is treated, see :func:`~poseact.clips.extract.extract`.
        reading: How they are read.
        on_stage: Called as videos are done.
        stop: Checked after every frame.

    Raises:
        PoseActError: None of them can be used.
    """
    read = extract(
        clips,
        network,
        cache,
        background=background,
        reading=reading,
        on_step=lambda step: on_stage("poses", step.files, step.of),
        stop=stop,
    )
    return _filmed(clips, read.sequences, read.findings, read.interrupted)


def _filmed(
    clips: Sequence[Clip],
    sequences: list[PoseSequence],
    findings: Sequence[Finding],
    interrupted: bool,
) -> ActionData:
    """The usable clips as data."""
    notes = [finding.message for finding in findings]
    if not sequences and not interrupted:
        raise PoseActError(f"None of the {len(clips)} clips can be used. {' '.join(notes[:3])}")
    videos = {clip.name: clip.path for clip in clips}
    return ActionData(sequences, videos, notes, interrupted=interrupted)


def read_posed(source: Path, kind: str | None = None) -> ActionData:
    """Sequences of poses, see :func:`~poseact.data.sequences.read_sequences`.

    Raises:
        PoseActError: They cannot be read, or have no labels.
    """
    sequences = read_sequences(source, kind)
    labelled = [sequence for sequence in sequences if sequence.label is not None]
    if not labelled:
        raise PoseActError(
            f"None of the {len(sequences)} sequences of {source} has a label; put them into one "
            "folder per action, for instance."
        )
    left_out = len(sequences) - len(labelled)
    notes = [f"{left_out} sequences without a label are left out."] if left_out else []
    return ActionData(labelled, notes=notes)


def check_joints(weights: str | Path | None, sequence: PoseSequence) -> None:
    """Refuse weights whose network cannot have produced the sequences.

    Raises:
        PoseActError: They find other joints.
    """
    if weights is None:
        return
    skeleton = load(weights).config.skeleton
    if skeleton.joints != sequence.skeleton.joints:
        raise PoseActError(
            f"The weights {weights} predict the joints of {skeleton.name}, but the sequences have "
            f"those of {sequence.skeleton.name}; give the weights that produced the sequences, "
            "or none."
        )


def check_parts(train: Sequence[PoseSequence], test: Sequence[PoseSequence]) -> None:
    """Refuse a split that cannot be used for training and test.

    Raises:
        PoseActError: There is no test clip, or one whose action has no training clip.
    """
    require_trainable(train)
    labels = {sequence.label for sequence in train}
    if not test:
        raise PoseActError(
            "No action has two recordings, so no clip is left for the test; give at least 2 "
            "recordings of an action, or use --instant."
        )
    for sequence in test:
        if sequence.label not in labels:
            raise PoseActError(
                f"The action {sequence.label} of the test clip {sequence.name} has no training "
                "clip; give more recordings of it, or record each action on its own."
            )


def copies_note(data: ActionData) -> list[str]:
    """A note on clips of different recordings that show the same scene, if there are any."""
    if not data.copies:
        return []
    names = ", ".join(sorted({name for c in data.copies for name in (c.first, c.second)})[:5])
    count = len(data.copies)
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    return [
        f"{pairs} of clips from different recordings {'looks' if count == 1 else 'look'} the same "
        f"(among them {names}); each pair is treated as one recording, so that no test clip is a "
        "copy of a training clip."
    ]


def write_split(path: Path, parts: dict[str, Sequence[PoseSequence]]) -> None:
    """Write the part of each clip.

    Args:
        path: CSV to write, with ``SPLIT_COLUMNS``.
        parts: Clips by part.

    Raises:
        PoseActError: The file cannot be written.
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(SPLIT_COLUMNS)
            for part, sequences in parts.items():
                for s in sequences:
                    facts = (s.name, s.label or "", s.recording or "", part)
                    writer.writerow(map(escaped, facts))

    atomic_write(path, write)


def only_part(clips: Sequence[Item], split: Path, part: str = "test") -> list[Item]:
    """The clips or sequences of one part of a split that :func:`write_split` wrote.

    Raises:
        PoseActError: The file is not a split, or some of its clips are missing.
    """
    try:
        with split.open(encoding="utf-8-sig", newline="") as file:
            _, rows = rows_of(file)
            wanted = [unescaped(row["clip"]) for _, row in rows if row["part"] == part]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise PoseActError(
            f"{split} could not be read as a split ({error}); give the split.csv of train-actions."
        ) from error
    by_name = {clip.name: clip for clip in clips}
    missing = [name for name in wanted if name not in by_name]
    if missing or not wanted:
        raise PoseActError(
            f"{split} lists {len(wanted)} {part} clips, of which {len(missing)} are not there "
            f"({', '.join(missing[:3])}); give the data that it was made from."
        )
    return [by_name[name] for name in wanted]
