"""Makes a synthetic data set: shards of pictures with labels, the same for the same parameters."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any, cast, get_args

import cv2
import numpy as np

from poseact._utils.boundary import parse_json
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest, leave_signals_to_parent, worker_lost
from poseact.data.synthetic import INDEX
from poseact.media import find_media
from poseact.synthetic.joints import SYNTHETIC
from poseact.synthetic.motion import Part
from poseact.synthetic.random_person import Frame, draw_sequence

VERSION = 2
"""Of what the generator draws: a change of it changes every picture."""

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class SyntheticSpec:
    """What a data set is made of; equal specifications give equal bytes.

    Attributes:
        count: Pictures.
        seed: Of all chance.
        part: ``train`` or ``validation``; they share no body, motion or camera distance.
        size: Longest side of the pictures in px.
        shard_size: Pictures per file.
        clip_length: Frames of one motion with one body and camera in a row.
        backgrounds: Digest of the photos for the background, None for none.
    """

    count: int
    seed: int = 0
    part: Part = "train"
    size: int = 224
    shard_size: int = 500
    clip_length: int = 1
    backgrounds: str | None = None

    def __post_init__(self) -> None:
        if self.part not in get_args(Part):
            raise PoseActError(
                f"The part {self.part!r} was asked for; give one of {', '.join(get_args(Part))}."
            )
        limits = {
            "count": 1,
            "seed": 0,
            "size": 64,
            "clip_length": 1,
            "shard_size": self.clip_length,
        }
        for name, least in limits.items():
            if getattr(self, name) < least:
                raise PoseActError(
                    f"{name} is {getattr(self, name)}, but at least {least} is needed; "
                    f"give a larger one."
                )

    def shards(self) -> list[range]:
        """The numbers of the pictures in each shard; no clip is cut by the end of one."""
        step = self.shard_size // self.clip_length * self.clip_length
        return [range(i, min(i + step, self.count)) for i in range(0, self.count, step)]

    def shard_name(self, shard: int) -> str:
        """File name of a shard."""
        return f"{self.part}-{shard:05d}.tar"


@dataclass(frozen=True)
class SyntheticReport:
    """Where a data set lies.

    Attributes:
        out: The folder.
        index: Its description.
        shards: Whole shards in it.
        images: Pictures in them.
        made: Those of them that this run made.
        interrupted: Whether the run was stopped; it goes on where it stopped when run again.
    """

    out: Path
    index: Path
    shards: int
    images: int
    made: int
    interrupted: bool


OnImages = Callable[[int, int], None]
"""Called with the pictures done, those of earlier runs among them, and those in all."""


class _Stopped(Exception):
    """The shard in hand is given up."""


def make_synthetic(
    out: str | Path,
    *,
    count: int,
    seed: int = 0,
    part: str = "train",
    size: int = 224,
    shard_size: int = 500,
    clip_length: int = 1,
    backgrounds: str | Path | None = None,
    workers: int = 1,
    on_images: OnImages | None = None,
) -> SyntheticReport:
    """Make pictures of a posed body with exact labels, in shards (uncompressed tar files).

    A shard appears whole or not at all and depends only on the specification and its own number,
    so a run that was stopped goes on where it stopped and ends with the same bytes, with any
    number of workers.

    Args:
        out: Folder to make or to complete.
        count: Pictures.
        seed: Of all chance.
        part: ``train`` or ``validation``; they share no body, motion or camera distance.
        size: Longest side of the pictures in px.
        shard_size: Pictures per shard.
        clip_length: Frames of one motion, body and camera in a row.
        backgrounds: Folder of photos without people, of which crops are put behind the person.
        workers: Processes.
        on_images: Called as pictures are done, with the number done and the number in all.

    Raises:
        PoseActError: A parameter is out of range, the folder holds a data set of other parameters,
            or it cannot be written.
    """
    if workers < 1:
        raise PoseActError(f"{workers} workers were asked for; give 1 or more.")
    photos = tuple(find_media(Path(backgrounds))) if backgrounds is not None else ()
    spec = SyntheticSpec(
        count, seed, cast(Part, part), size, shard_size, clip_length, _digest(photos)
    )
    out = Path(out)
    index = _claim(out, spec)
    ranges = spec.shards()
    missing = [s for s in range(len(ranges)) if not (out / spec.shard_name(s)).is_file()]
    before = spec.count - sum(len(ranges[s]) for s in missing)
    run = _Rendering(out, spec, photos, missing, before, on_images or (lambda *_: None))
    with StopRequest() as stop:
        run.alone(stop) if workers == 1 else run.together(stop, workers)
    finished = [s for s in range(len(ranges)) if (out / spec.shard_name(s)).is_file()]
    images = sum(len(ranges[s]) for s in finished)
    return SyntheticReport(
        out, index, len(finished), images, images - before, len(finished) < len(ranges)
    )


@dataclass
class _Rendering:
    out: Path
    spec: SyntheticSpec
    photos: tuple[Path, ...]
    missing: list[int]
    before: int
    on_images: OnImages

    def alone(self, stop: StopRequest) -> None:
        """Make the missing shards in this process."""
        done = self.before
        self._tell(done)

        def step() -> None:
            nonlocal done
            done += 1
            self._tell(done)

        for shard in self.missing:
            try:
                _write_shard(self.out, self.spec, self.photos, shard, step, lambda: bool(stop))
            except _Stopped:
                return

    def together(self, stop: StopRequest, workers: int) -> None:
        """Make them in several processes."""
        context = multiprocessing.get_context("spawn")
        shared = _Shared(context)
        with ProcessPoolExecutor(workers, context, _start_worker, (shared,)) as pool:
            waiting: set[Future[None]] = {
                pool.submit(_work, self.out, self.spec, self.photos, shard)
                for shard in self.missing
            }
            while waiting:
                finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_COMPLETED)
                self._tell(self.before + shared.done.value)
                failed = [f for f in finished if not f.cancelled() and f.exception()]
                if stop or failed:
                    shared.stop.set()
                    pool.shutdown(cancel_futures=True)
                    for future in failed:
                        _raise(future.exception())
                    return

    def _tell(self, done: int) -> None:
        self.on_images(done, self.spec.count)


def _raise(error: BaseException | None) -> None:
    if isinstance(error, BrokenProcessPool):
        raise worker_lost() from error
    if error is not None:
        raise error


class _Shared:
    """What the processes have in common: the wish to stop, and a count of pictures."""

    def __init__(self, context: SpawnContext) -> None:
        self.stop = context.Event()
        self.done = context.Value("q", 0)


class _Worker:
    """What a process of the pool remembers between its shards."""

    shared: _Shared


def _start_worker(shared: _Shared) -> None:
    leave_signals_to_parent()
    cv2.setNumThreads(1)
    _Worker.shared = shared


def _work(out: Path, spec: SyntheticSpec, photos: tuple[Path, ...], shard: int) -> None:
    shared = _Worker.shared

    def step() -> None:
        with shared.done.get_lock():
            shared.done.value += 1

    try:
        _write_shard(out, spec, photos, shard, step, shared.stop.is_set)
    except _Stopped:
        return


def _write_shard(
    out: Path,
    spec: SyntheticSpec,
    photos: tuple[Path, ...],
    shard: int,
    step: Callable[[], None],
    stopped: Callable[[], bool],
) -> None:
    numbers = spec.shards()[shard]

    def write(path: Path) -> None:
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for number, jpeg, labels in _pictures(spec, photos, numbers):
                _add(archive, f"{number:07d}.jpg", jpeg)
                _add(archive, f"{number:07d}.json", json.dumps(labels).encode())
                step()
                if stopped():
                    raise _Stopped

    atomic_write(out / spec.shard_name(shard), write)


def _pictures(
    spec: SyntheticSpec, photos: tuple[Path, ...], numbers: range
) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Number, JPEG and labels of the pictures of a shard."""
    length = spec.clip_length
    for sequence in range(numbers.start // length, -(-numbers.stop // length)):
        # Each sequence has its own source of chance, so shards can be made in any order.
        rng = np.random.default_rng([spec.seed, get_args(Part).index(spec.part), sequence])
        quality = int(rng.integers(60, 96))
        frames = draw_sequence(rng, spec.part, length, spec.size, photos)
        for frame, picture in enumerate(frames):
            number = sequence * length + frame
            if number not in numbers:
                return
            encoded = cv2.imencode(
                ".jpg", picture.rgb[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality)
            )[1]
            labels = _labels(picture) | {
                "sequence": f"{spec.part}-{spec.seed}-{sequence:06d}",
                "frame": frame,
            }
            yield number, encoded.tobytes(), labels


def _labels(picture: Frame) -> dict[str, Any]:
    """What the JSON beside a picture says, see ``docs/synthetic.md``."""
    camera = picture.camera
    height, width = picture.rgb.shape[:2]
    return {
        "joints_px": np.round(picture.joints, 2).tolist(),
        "depth_mm": np.round(picture.depth_mm, 1).tolist(),
        "visible": picture.visible.tolist(),
        "root_depth_mm": round(picture.root_depth_mm, 1),
        "focal_px": [round(value, 3) for value in camera.focal],
        "centre_px": list(camera.centre),
        "size_px": [width, height],
        "box_px": list(picture.box),
        "area_px": picture.area,
        "body": picture.body,
        "motion": picture.motion,
    }


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of time 0 and no owner, so that equal runs give equal bytes
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _digest(photos: tuple[Path, ...]) -> str | None:
    """Tells sets of photos apart by their names and contents."""
    if not photos:
        return None
    total = hashlib.sha256()
    for photo in photos:
        total.update(photo.name.encode() + hashlib.sha256(photo.read_bytes()).digest())
    return total.hexdigest()[:16]


def _claim(out: Path, spec: SyntheticSpec) -> Path:
    """Write the index of a new data set, or check that of an old one."""
    index = out / INDEX
    wanted = {
        "generator": "poseact make-synthetic",
        "version": VERSION,
        "opencv": cv2.__version__.split(".")[0],
        "skeleton": list(SYNTHETIC.joints),
        **asdict(spec),
    }
    if index.is_file():
        try:
            found = parse_json(index.read_bytes())
        except ValueError as error:
            raise PoseActError(
                f"{index} is no JSON; remove the folder or give another one."
            ) from error
        differences = [
            f"{key} {found.get(key) if isinstance(found, dict) else None!r} there, {value!r} asked"
            for key, value in wanted.items()
            if not isinstance(found, dict) or found.get(key) != value
        ]
        if differences:
            raise PoseActError(
                f"{out} holds a data set of other parameters ({'; '.join(differences)}); "
                "give the same ones to complete it, or another folder."
            )
    else:
        text = json.dumps(wanted, indent=2) + "\n"
        atomic_write(index, lambda path: path.write_text(text, "utf-8"))
    return index
