"""Check of clips before training: unreadable files, few recordings, copies, nobody in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact._utils.interrupt import StopRequest
from poseact.actions.action_names import BACKGROUND
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.copies import ClipLook, Copy, find_copies
from poseact.clips.extract import (
    DEFAULT_CACHE,
    Extraction,
    OnExtractStep,
    ReadingOptions,
    extract,
)
from poseact.clips.findings import Finding
from poseact.clips.folder import CLIPS_TABLE, Clip, find_clips
from poseact.data.split import Labelled
from poseact.inference.predictor import DEFAULT_WEIGHTS
from poseact.models.base import Network

SHORT_SECONDS = 1.0
"""Clips below this length are reported as short."""

SLOW_FPS = 8.0
"""Clips below this frame rate are reported as slow."""

GAP_SECONDS = 0.5
"""A longer time between two frames is reported as a gap."""

FEW_RECORDINGS = 5
"""Actions with fewer recordings are reported."""


@dataclass(frozen=True)
class ClipFacts:
    """Properties of a clip.

    Attributes:
        name: Of the clip.
        label: Its action.
        recording: The recording it was cut from.
        frames: Number of frames.
        seconds: Length.
        fps: Average frames per second.
        width: Width of the upright pictures in px.
        height: Their height in px.
        people: Number of people detected in view; None if the poses were not read.
    """

    name: str
    label: str
    recording: str
    frames: int
    seconds: float
    fps: float
    width: int
    height: int
    people: int | None = None


@dataclass
class CheckReport:
    """Result of :func:`check_clips`.

    Attributes:
        folder: The folder that was checked.
        clips: The readable clips.
        findings: Errors and warnings.
        copies: Pairs of clips from different recordings that show the same scene.
        sequences: Poses of the clips, if they were read; not part of the JSON.
        interrupted: Whether the check was interrupted.
    """

    folder: Path
    clips: list[ClipFacts] = field(default_factory=list[ClipFacts])
    findings: list[Finding] = field(default_factory=list[Finding])
    copies: list[Copy] = field(default_factory=list[Copy])
    sequences: list[PoseSequence] = field(default_factory=list[PoseSequence])
    interrupted: bool = False

    @property
    def errors(self) -> list[Finding]:
        """Findings about clips that cannot be used."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """Findings about clips that may be faulty."""
        return [finding for finding in self.findings if finding.severity == "warning"]

    def by_label(self) -> dict[str, list[ClipFacts]]:
        """The clips of each action, in alphabetical order."""
        labels = sorted({clip.label for clip in self.clips})
        return {label: [c for c in self.clips if c.label == label] for label in labels}

    def write_json(self, path: Path) -> None:
        """Write everything as JSON, atomically.

        Raises:
            PoseActError: The file cannot be written.
        """
        facts = asdict(replace(self, sequences=[]))
        del facts["sequences"]
        write_json(path, facts)


def check_clips(
    folder: str | Path,
    weights: str | Path | Network | None = DEFAULT_WEIGHTS,
    cache_dir: str | Path = DEFAULT_CACHE,
    *,
    reading: ReadingOptions | None = None,
    on_step: OnExtractStep | None = None,
    stop: StopRequest | None = None,
) -> CheckReport:
    """Check a folder of clips before training on it.

    Every video is decoded once, for its facts, for small pictures by which copies are found (see
    :func:`~poseact.clips.copies.find_copies`), and for the poses, which training finds in
    ``cache_dir`` afterwards.

    Args:
        folder: As :func:`~poseact.clips.folder.find_clips` reads it.
        weights: Weights of the pose network; None reads no poses.
        cache_dir: Folder for the extracted features.
        reading: How videos are read; None for the defaults.
        on_step: Called as frames and videos are done.
        stop: None listens to SIGINT and SIGTERM here.

    Raises:
        PoseActError: The folder holds no clips, or its table is invalid. Faults of a single clip
            are findings instead.
    """
    folder = Path(folder)
    clips = find_clips(folder)
    read = extract(
        clips,
        weights,
        cache_dir,
        look=True,
        reading=reading,
        on_step=on_step,
        stop=stop,
    )
    return judge_clips(folder, clips, read)


def judge_clips(folder: Path, clips: Sequence[Clip], read: Extraction) -> CheckReport:
    """The findings of :func:`check_clips` on clips that were read.

    Args:
        folder: Where they lie.
        clips: All of them.
        read: What was read of them, with looks.
    """
    looks = read.looks
    report = CheckReport(
        folder,
        [_facts(clip, look, read.people.get(clip.name)) for clip, look in looks.items()],
        read.findings,
        sequences=read.sequences,
        interrupted=read.interrupted,
    )
    for facts, look in zip(report.clips, looks.values(), strict=True):
        report.findings += _of_one(facts, float(np.diff(look.times).max(initial=0)))
    _compare(looks, report)
    if not report.interrupted:
        report.findings += _of_labels(clips, report) + _of_folders(clips, folder)
    return report


def require_trainable(items: Sequence[Labelled]) -> None:
    """Refuse clips that no recogniser can be trained on.

    Raises:
        PoseActError: There are fewer than two of them, or they are all of one action.
    """
    labels = sorted({item.label for item in items if item.label is not None})
    if len(items) < 2:
        what = f"only one clip, {items[0].name}," if items else "no clip"
        raise PoseActError(
            f"There is {what} to train on; give several recordings of two or more actions."
        )
    if len(labels) < 2:
        raise PoseActError(
            f"All {len(items)} clips are of one action, {', '.join(labels) or 'unnamed'}; "
            f"give clips of a second one, or of other motions in a folder {BACKGROUND}."
        )


def _facts(clip: Clip, look: ClipLook, people: int | None) -> ClipFacts:
    span, count = look.times[-1] - look.times[0], len(look.times)
    fps = (count - 1) / span if count > 1 else 1.0
    seconds = round(span + 1 / fps, 3)
    size = look.width, look.height
    rate = round(fps, 3)
    return ClipFacts(clip.name, clip.label, clip.recording, count, seconds, rate, *size, people)


def _of_one(facts: ClipFacts, longest_gap: float) -> list[Finding]:
    said = []
    if facts.seconds < SHORT_SECONDS:
        said.append(("short", f"is {facts.seconds:.2g} s long; it is repeated to fill a window"))
    if facts.fps < SLOW_FPS:
        said.append(("slow", f"has {facts.fps:.2g} frames per second; fast motions blur"))
    if longest_gap > GAP_SECONDS and facts.fps >= SLOW_FPS:
        said.append(("gap", f"has no frames for {longest_gap:.2g} s"))
    return [Finding(facts.name, kind, "warning", f"{facts.name} {what}.") for kind, what in said]


def _compare(looks: Mapping[Clip, ClipLook], report: CheckReport) -> None:
    by_name = {clip.name: clip for clip in looks}
    pictures = {clip.name: look.thumbnails.array() for clip, look in looks.items()}
    for copy in find_copies(pictures):
        first, second = by_name[copy.first], by_name[copy.second]
        if first.recording == second.recording:
            continue
        report.copies.append(copy)
        how = "the mirror image of" if copy.mirrored else "a copy or another take of"
        labels = "" if first.label == second.label else f", under {first.label} and {second.label}"
        message = (
            f"{second.name} looks like {how} {first.name}{labels}; leave one out, or give both one "
            f"recording in {CLIPS_TABLE}."
        )
        report.findings.append(Finding(second.name, "copy", "warning", message))


def _of_labels(clips: Sequence[Clip], report: CheckReport) -> list[Finding]:
    """Findings about actions, counted on their usable clips."""
    found = []
    failed = {finding.clip for finding in report.errors}
    usable = [clip for clip in clips if clip.name not in failed]
    try:
        require_trainable(usable)
    except PoseActError as error:
        found.append(Finding(None, "not trainable", "error", str(error)))
    for label in sorted({clip.label for clip in clips}):
        count = len({clip.recording for clip in usable if clip.label == label})
        if count < FEW_RECORDINGS:
            recordings = f"{count or 'no'} usable recording{'s' if count > 1 else ''}"
            untested = ", so it cannot be tested" if count == 1 else ""
            message = (
                f"The action {label} has {recordings}{untested}; give at least {FEW_RECORDINGS}."
            )
            found.append(Finding(None, "few", "warning", message))
    return found


def _of_folders(clips: Sequence[Clip], folder: Path) -> list[Finding]:
    if (folder / CLIPS_TABLE).is_file():
        return []
    used = {clip.path.relative_to(folder).parts[0] for clip in clips}
    return [
        Finding(
            None,
            "no clips",
            "warning",
            f"The folder {path} holds no video; put some there, or remove it.",
        )
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.name.startswith(".") and path.name not in used
    ]
