"""Check of a data set on disk: which files are present or missing, and whether labels match."""

import dataclasses
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact._utils.report import Picture, Section, write_report
from poseact.data.images import ImageSource
from poseact.data.official.distributions import DISTRIBUTIONS, Files, Labelled, Reading
from poseact.data.sample import PoseSample, evenly_spaced
from poseact.data.video import FrameSource, LabelledVideo
from poseact.media import write_image
from poseact.media.crop import crop_matrix, person_square, transform_points, warp_image
from poseact.media.drawing import draw_label, draw_pose, picture_grid
from poseact.skeleton import PA17

REPORT, PICTURE = "report.json", "samples.png"

# Number of pictures per kind of labels whose existence is checked.
_LOOKED_FOR = 1000

_SHOWN = 9
_COLUMNS = 3
_TILE = 320
# A wider margin than the network's.
_MARGIN = 1.6
# A skeleton with the whole spine, which data sets define differently.
_SKELETON = PA17


@dataclass(frozen=True)
class Count:
    """A number of items found, with the official number.

    Attributes:
        what: Is counted.
        found: Their number.
        official: The official number; several where the data set grew, none if not known.
    """

    what: str
    found: int
    official: tuple[int, ...]

    @property
    def complete(self) -> bool | None:
        """Whether the official number was found; None if that is unknown."""
        return self.found in self.official if self.official else None


@dataclass(frozen=True)
class DataReport:
    """Result of :func:`check_data`.

    Attributes:
        name: The data set.
        root: Folder of the data set.
        counts: Files, and what was read of them.
        source: Where the official numbers come from.
        problems: A sentence for everything that is missing or cannot be read.
        remarks: Sentences on what was measured.
        shown: Samples in the picture.
        picture: Where it is; None if no picture could be read.
    """

    name: str
    root: Path
    counts: list[Count]
    source: str
    problems: list[str]
    remarks: list[str]
    shown: list[str]
    picture: Path | None

    @property
    def readable(self) -> bool:
        """Whether any labels could be read."""
        return bool(self.shown)

    def write_json(self, path: Path) -> None:
        """Write the whole report.

        Raises:
            PoseActError: The file cannot be written.
        """
        content = dataclasses.asdict(self) | {"readable": self.readable}
        counts = [
            {**dataclasses.asdict(count), "complete": count.complete} for count in self.counts
        ]
        write_json(path, content | {"counts": counts})

    def sections(self) -> list[Section]:
        rows = [("what", "found", "official")]
        rows += [(c.what, str(c.found), " or ".join(map(str, c.official))) for c in self.counts]
        pictures = [] if self.picture is None else [Picture(self.picture, ", ".join(self.shown))]
        return [
            Section("Files and labels", [f"Official numbers: {self.source}."], rows, pictures),
            *([Section("Problems", self.problems)] if self.problems else []),
            *([Section("Measured", self.remarks)] if self.remarks else []),
        ]


def check_data(
    name: str,
    root: Path,
    out: Path = Path("poseact-data-check"),
    *,
    on_step: Callable[[str], None] = lambda _text: None,
) -> DataReport:
    """Check a copy of the official distribution of a data set.

    Args:
        name: One of :data:`poseact.data.official.distributions.DISTRIBUTIONS`.
        root: Folder of the data set.
        out: Folder for ``report.json``, ``report.html``, ``report.md``, and for ``samples.png``:
            nine samples with their joints.
        on_step: Called with what is looked at next.

    Returns:
        What was found, also where nothing could be read.

    Raises:
        PoseActError: There is no such data set or folder, or the results cannot be written.
    """
    if name not in DISTRIBUTIONS:
        raise PoseActError(
            f"The data set {name} was given, but only {', '.join(DISTRIBUTIONS)} can be checked; "
            "give one of these."
        )
    if not root.is_dir():
        raise PoseActError(f"{root} is not a folder; give the folder of the data set {name}.")
    distribution = DISTRIBUTIONS[name]
    check = _Check(root, on_step)
    for files in distribution.files:
        check.count(files)
    for reading in distribution.readings:
        check.read(reading)
    check.measure(distribution.measure)
    chosen = check.chosen()
    tiles = check.tiles(chosen)
    picture = out / PICTURE if tiles else None
    if picture is not None:
        write_image(picture, picture_grid(tiles, _COLUMNS))
    report = DataReport(
        name=name,
        root=root,
        counts=check.counts,
        source=distribution.source,
        problems=check.problems,
        remarks=check.remarks,
        shown=[sample.name for sample in chosen],
        picture=picture,
    )
    report.write_json(out / REPORT)
    write_report(out, f"{name} in {root}", report.sections())
    return report


class _Check:
    """Collects counts, problems and samples."""

    def __init__(self, root: Path, on_step: Callable[[str], None]) -> None:
        self.root = root
        self.on_step = on_step
        self.counts: list[Count] = []
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._found: list[Labelled] = []

    def count(self, files: Files) -> None:
        """Count files and report missing ones."""
        self.on_step(files.what)
        paths = {path for pattern in files.patterns for path in self.root.glob(pattern)}
        self.counts.append(Count(files.what, len(paths), files.official))
        if not paths:
            places = " or ".join(files.patterns)
            self.problems.append(f"{self.root} has no {places}, {files.what}: {files.advice}.")

    def read(self, reading: Reading) -> None:
        """Read labels if their files exist, and check that their pictures do."""
        if next(self.root.glob(reading.when), None) is None:
            return
        self.on_step(reading.name)
        labelled: Labelled = []
        with self._noting():
            labelled = reading.read(self.root, _SKELETON)
        self.counts.append(Count(reading.name, len(labelled), reading.official))
        for part, official in reading.parts:
            videos = sum(isinstance(v, LabelledVideo) and v.part == part for v in labelled)
            self.counts.append(Count(f"{reading.name} to {part}", videos, (official,)))
        if labelled:
            self._found.append(labelled)
            looked_at = evenly_spaced(labelled, _LOOKED_FOR)
            there = sum(_picture_of(item).exists() for item in looked_at)
            what = f"pictures or videos of {len(looked_at)} of these"
            self.counts.append(Count(what, there, (len(looked_at),)))

    def measure(self, measure: Callable[[Path], str | None]) -> None:
        with self._noting():
            remark = measure(self.root)
            self.remarks += [] if remark is None else [remark]

    def chosen(self) -> list[PoseSample]:
        """Nine samples spread over everything that was read; of a video, its middle frame."""
        chosen = []
        for part, labelled in enumerate(self._found):
            share = _SHOWN // len(self._found) + (part < _SHOWN % len(self._found))
            for item in evenly_spaced(labelled, share):
                with self._noting():
                    is_video = isinstance(item, LabelledVideo)
                    chosen += item.samples([len(item) // 2]) if is_video else [item]
        return chosen

    def tiles(self, samples: Sequence[PoseSample]) -> list[np.ndarray]:
        """Pictures of samples with their joints; unreadable ones are left out."""
        tiles = []
        for sample in samples:
            self.on_step(sample.name)
            with self._noting():
                tiles.append(_tile(sample))
        return tiles

    @contextmanager
    def _noting(self) -> Generator[None]:
        """Within the block, an error is added to the problems."""
        try:
            yield
        except PoseActError as error:
            self.problems.append(str(error))


def _picture_of(item: PoseSample | LabelledVideo) -> ImageSource | FrameSource:
    return item.frames if isinstance(item, LabelledVideo) else item.image


def _tile(sample: PoseSample) -> np.ndarray:
    square = person_square(sample.box, _MARGIN)
    matrix = crop_matrix(square)
    crop = warp_image(sample.image.read(), matrix, _TILE)
    joints = transform_points(matrix, sample.joints[:, :2]) * _TILE
    drawn = draw_pose(crop, joints, sample.valid.astype(float), sample.skeleton)
    return draw_label(drawn, sample.name)
