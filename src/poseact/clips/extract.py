"""Extraction of features from clips, cached, in one or more processes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from poseact._utils.errors import PoseActError
from poseact._utils.files import open_folder
from poseact._utils.interrupt import StopRequest
from poseact._utils.worker_pool import Tick, check_workers, run_jobs
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.blanking import Background, check_background
from poseact.clips.copies import ClipLook
from poseact.clips.features import (
    ClipFeatures,
    FeatureCache,
    read_features,
    read_kept,
    write_features,
)
from poseact.clips.findings import Finding, no_frame, people_findings
from poseact.clips.folder import Clip, Stretch
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.media import Frame, VideoReader
from poseact.models.base import Network
from poseact.models.multitask import for_actions
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.skeleton import Skeleton
from poseact.weights.checkpoint import load

DEFAULT_CACHE = Path("poseact-actions") / "cache"
"""Default folder of ``poseact train-actions`` for features."""


@dataclass(frozen=True)
class ReadingOptions:
    """How videos are read; poses differ by rounding only.

    Attributes:
        workers: Number of processes that read videos.
        device: Device of the network; CUDA by default if available.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.

    Raises:
        PoseActError: There is less than one worker.
    """

    workers: int = 1
    device: str | None = None
    runtime: str | None = None
    precision: str = DEFAULT_PRECISION

    def __post_init__(self) -> None:
        check_workers(self.workers)

    def start(self, network: Network) -> Predictor:
        """A predictor of a process that reads videos."""
        return Predictor(
            network, device=self.device, runtime=self.runtime, precision=self.precision
        )


@dataclass(frozen=True)
class ExtractStep:
    """Progress of an extraction.

    Attributes:
        files: Videos done, including those that were cached.
        of: Total number of videos.
        frames: Frames read in this run.
    """

    files: int
    of: int
    frames: int


OnExtractStep = Callable[[ExtractStep], None]


@dataclass
class Extraction:
    """Result of an extraction.

    Attributes:
        sequences: Poses of the usable clips, in their order and with their names.
        looks: Frame times and thumbnails of the clips, if asked for.
        findings: Faults of the clips, in their order.
        people: How many people are in view in each clip, by its name.
        frames: Frames read in this run.
        interrupted: Whether the run was interrupted; the next run resumes it.
    """

    sequences: list[PoseSequence] = field(default_factory=list[PoseSequence])
    looks: dict[Clip, ClipLook] = field(default_factory=dict[Clip, ClipLook])
    findings: list[Finding] = field(default_factory=list[Finding])
    people: dict[str, int] = field(default_factory=dict[str, int])
    frames: int = 0
    interrupted: bool = False

    def add_look(self, clip: Clip, look: ClipLook | None) -> None:
        """Add the look at a clip, if it has frames."""
        if look is not None and look.times:
            self.looks[clip] = look

    def add_poses(self, clip: Clip, features: ClipFeatures, skeleton: Skeleton) -> None:
        """Add the poses of a clip if a person is in view, and the findings on the people."""
        found = list(people_findings(clip, features))
        self.findings += found
        if any(finding.severity == "error" for finding in found):
            return
        self.people[clip.name] = features.people
        arrays = (features.times, features.joints, features.confidence, features.appearance)
        facts = (clip.label, clip.recording, clip.part)
        self.sequences.append(PoseSequence(clip.name, skeleton, *arrays, *facts))

    def add_fault(self, clip: Clip, failure: str | None) -> None:
        """Add why a clip has no poses: its video's failure, if any, or that it has no frame."""
        if failure is not None:
            self.findings.append(Finding(clip.name, "unreadable", "error", failure))
        elif clip not in self.looks and not self.interrupted:
            self.findings.append(no_frame(clip))


def extract(
    clips: Sequence[Clip],
    weights: str | Path | Network | None = DEFAULT_WEIGHTS,
    cache_dir: str | Path = DEFAULT_CACHE,
    *,
    background: Background = "keep",
    look: bool = False,
    reading: ReadingOptions | None = None,
    on_step: OnExtractStep | None = None,
    stop: StopRequest | None = None,
) -> Extraction:
    """Extract poses and appearance features of the person in each clip.

    Each video is decoded once, however many clips are cut from it, and only one of its pictures is
    in memory at a time. Features are cached in ``cache_dir``, so that an interrupted run is resumed
    and later runs over the same videos do not extract them again.

    Args:
        clips: As :func:`~poseact.clips.folder.find_clips` finds them.
        weights: Pose network: name of shipped weights, a checkpoint file or a network. None reads
            no poses.
        cache_dir: Folder for the features.
        background: ``blank`` makes everything around the person grey, see
            :func:`~poseact.clips.blanking.read_blanked`.
        look: Also collect frame times and thumbnails for the check. These are not cached, so that
            every video is decoded.
        reading: How videos are read; None for the defaults.
        on_step: Called after frames and videos.
        stop: Checked after every frame; None listens to SIGINT and SIGTERM here.

    Raises:
        PoseActError: The weights cannot be read, the features cannot be written, there is no such
            background, or a worker process died. Faults of a single clip are findings instead.
    """
    reading = reading or ReadingOptions()
    check_background(background)
    network = weights if isinstance(weights, Network | None) else load(weights)
    network = None if network is None else for_actions(network)
    kept, failed = _locate(clips, network, Path(cache_dir), background, reading.precision)
    found = {path: features for path in set(kept.values()) if (features := read_kept(path))}
    missing = {clip: path for clip, path in kept.items() if path not in found}
    jobs = _jobs([clip for clip in clips if clip.path not in failed], missing, background, look)
    files = len({clip.path for clip in clips})
    step = ExtractStep(files - len(jobs), files, 0)
    with nullcontext(stop) if stop is not None else StopRequest() as request:
        start = None if network is None else partial(reading.start, network)
        done, step = _read(jobs, start, reading.workers, request, step, on_step)
        interrupted = bool(request)
    failed |= {video: failure for video, (failure, _) in done.items() if failure is not None}
    extraction = Extraction(frames=step.frames, interrupted=interrupted)
    for clip in clips:
        path = kept.get(clip)
        features = None if path is None else found.get(path) or read_kept(path)
        _, looks = done.get(clip.path, (None, {}))
        extraction.add_look(clip, looks.get(clip.stretch))
        if features is not None and network is not None:
            extraction.add_poses(clip, features, network.config.skeleton)
        else:
            extraction.add_fault(clip, failed.get(clip.path))
    return extraction


def _read(
    jobs: Sequence[_Job],
    start: Callable[[], Predictor] | None,
    workers: int,
    stop: StopRequest,
    step: ExtractStep,
    on_step: OnExtractStep | None,
) -> tuple[dict[Path, _Done], ExtractStep]:
    """Do the jobs; returns what was read of each video, and the last progress."""

    def tell(**changes: int) -> None:
        nonlocal step
        step = replace(step, **changes)
        if on_step is not None:
            on_step(step)

    tell()
    done: dict[Path, _Done] = {}
    threads = None if workers == 1 else max((os.cpu_count() or 1) // workers, 1)
    make = partial(_Extractor, start, threads)
    for job, result in run_jobs(
        make, jobs, workers=workers, stop=stop, on_tick=lambda frames: tell(frames=frames)
    ):
        done[job.video] = result
        tell(files=step.files + 1)
    return done, step


_Done = tuple[str | None, dict[Stretch, ClipLook]]
"""Why a video could not be read, if so, and the looks at its stretches."""


@dataclass(frozen=True)
class _Job:
    """What to read of one video: stretches with the files of their features, and looks."""

    video: Path
    targets: dict[Stretch, Path]
    looks: list[Stretch]
    background: Background


def _locate(
    clips: Sequence[Clip],
    network: Network | None,
    folder: Path,
    background: Background,
    precision: str,
) -> tuple[dict[Clip, Path], dict[Path, str]]:
    """The cache file of each clip, and the videos that could not be read at all."""
    if network is None:
        return {}, {}
    cache = FeatureCache(folder, network, background, precision)
    open_folder(cache.folder)
    digests: dict[Path, str] = {}
    failed: dict[Path, str] = {}
    for path in dict.fromkeys(clip.path for clip in clips):
        try:
            with path.open("rb") as file:
                digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            failed[path] = f"The video {path} could not be read ({error.strerror}); check it."
    kept = {
        clip: cache.path_of(digests[clip.path], clip.stretch)
        for clip in clips
        if clip.path in digests
    }
    return kept, failed


def _jobs(
    clips: Sequence[Clip], missing: Mapping[Clip, Path], background: Background, look: bool
) -> list[_Job]:
    jobs: dict[Path, _Job] = {}
    for clip in clips:
        if clip not in missing and not look:
            continue
        job = jobs.setdefault(clip.path, _Job(clip.path, {}, [], background))
        stretch = clip.stretch
        if clip in missing:
            job.targets[stretch] = missing[clip]
        if look:
            job.looks.append(stretch)
    return list(jobs.values())


class _Extractor:
    def __init__(self, start: Callable[[], Predictor] | None, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._predictor = start and start()

    def __call__(self, job: _Job, tick: Tick) -> _Done:
        """Read a video; returns the reason if it cannot be read, and the looks."""
        try:
            reader = VideoReader(job.video)
        except PoseActError as error:
            return str(error), {}
        looks = {stretch: ClipLook(reader.width, reader.height) for stretch in job.looks}
        with reader:
            frames = _looked_at(reader, looks, tick)
            if self._predictor is not None and job.targets:
                targets = list(job.targets)
                read = read_features(self._predictor, frames, targets, job.background)
                for stretch, features in read:
                    if features is not None:
                        write_features(job.targets[stretch], features)
            last = max((stretch.end for stretch in looks), default=0.0)
            while looks and (frame := next(frames, None)) is not None and frame.time < last:
                pass
        return None, looks


def _looked_at(
    reader: VideoReader, looks: Mapping[Stretch, ClipLook], tick: Tick
) -> Iterator[Frame]:
    """The frames of a video, each added to the looks of its stretches."""
    for frame in reader:
        for stretch, look in looks.items():
            if stretch.start <= frame.time < stretch.end:
                look.add(frame)
        yield frame
        tick()
