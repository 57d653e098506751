"""Inspection of a recipe's data: augmented samples as pictures, and label faults."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from poseact._utils.csv_rows import escaped
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.report import Picture, Section, write_report
from poseact.data.augment import AugmentRanges, augmented_crop
from poseact.data.faults import Fault, find_faults
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.media import write_image
from poseact.media.drawing import draw_label, draw_pose, picture_grid
from poseact.recipe import Recipe, load_recipe
from poseact.skeleton import Skeleton

# Side of one picture of the grid in px.
_TILE = 256
# Faults of each kind in a summary.
_EXAMPLES = 3

_FAULT_COLUMNS = ("data set", "sample", "kind", "reason")


@dataclass(frozen=True)
class SourceReport:
    """One data set of a recipe.

    Attributes:
        name: ``train`` or ``validation`` and the name in the recipe.
        root: Its folder.
        samples: Number of labelled people.
        joints: Mean number of labelled joints per person.
        faults: Faults of the labels.
    """

    name: str
    root: Path
    samples: int
    joints: float
    faults: list[Fault]

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(fault.kind for fault in self.faults))

    @property
    def examples(self) -> list[Fault]:
        return [
            fault
            for kind in self.counts
            for fault in [fault for fault in self.faults if fault.kind == kind][:_EXAMPLES]
        ]


@dataclass(frozen=True)
class InspectReport:
    """Results of :func:`inspect_recipe`.

    Attributes:
        sources: One entry per data set.
        grid: Picture of augmented training samples.
        faults_csv: Table of all faults.
    """

    sources: list[SourceReport]
    grid: Path
    faults_csv: Path


def inspect_recipe(
    recipe: Path,
    out: Path = Path("poseact-inspect"),
    *,
    count: int = 48,
    read_images: bool = True,
    on_source: Callable[[str], None] = lambda _name: None,
) -> InspectReport:
    """Draw augmented training samples of a recipe and list the faults of all its labels.

    Args:
        recipe: The YAML file.
        out: Folder for ``augmented.png``, ``faults.csv``, ``report.html`` and ``report.md``.
        count: Number of samples in the picture, drawn evenly from the training data sets.
        read_images: Decode every picture, to find damaged ones, labels outside the picture and
            duplicates.
        on_source: Called with the name of each data set before it is read.

    Returns:
        What was found and where it was written.

    Raises:
        PoseActError: The recipe or a label file is wrong, no picture can be read, or the results
            cannot be written.
    """
    loaded = load_recipe(recipe)
    if count < 1:
        raise PoseActError(f"{count} samples were asked for; give a number of 1 or more.")
    reports, training = [], []
    for part, specs in (("train", loaded.train), ("validation", loaded.validation)):
        for name, spec in specs.items():
            on_source(f"{part}: {name}")
            samples = _samples(spec, loaded.skeleton)
            faults = find_faults(samples, read_images)
            joints = float(np.mean([sample.valid.sum() for sample in samples]))
            reports.append(
                SourceReport(f"{part}: {name}", spec.folder, len(samples), joints, faults)
            )
            if part == "train":
                training.append((name, samples))
    grid, faults_csv = out / "augmented.png", out / "faults.csv"
    write_image(grid, _grid(loaded, training, count))
    atomic_write(faults_csv, lambda path: _write_faults(path, reports))
    write_report(out, f"Data of {loaded.name}", _sections(reports, grid))
    return InspectReport(reports, grid, faults_csv)


def _sections(reports: list[SourceReport], grid: Path) -> list[Section]:
    rows = [("data set", "people", "labelled joints", "faults")]
    for report in reports:
        numbers = (str(report.samples), f"{report.joints:.1f}", str(len(report.faults)))
        rows.append((report.name, *numbers))
    examples = [
        Section(report.name, [f"{fault.sample}: {fault.reason}." for fault in report.examples])
        for report in reports
        if report.faults
    ]
    picture = Picture(grid, "Augmented training samples.")
    return [Section("Data sets", [], rows, [picture]), *examples]


def _samples(spec: SourceSpec, skeleton: Skeleton) -> list[PoseSample]:
    """The people of a data set; of action videos only the middle frames."""
    if not spec.reads_videos:
        return spec.read(skeleton)
    return [video.samples([len(video) // 2])[0] for video in spec.read_videos(skeleton)]


def _grid(recipe: Recipe, training: list[tuple[str, list[PoseSample]]], count: int) -> np.ndarray:
    tiles = []
    for index in range(count):
        name, samples = training[index % len(training)]
        rng = np.random.default_rng((recipe.seed, index))
        sample = samples[rng.integers(len(samples))]
        tile = _tile(sample, recipe.augment, recipe.image_size, rng)
        if tile is not None:
            tiles.append(draw_label(tile, name))
    if not tiles:
        raise PoseActError(
            f"None of {count} pictures of {recipe.name} could be read; check the folders of its "
            "data sets."
        )
    columns = int(np.ceil(np.sqrt(1.5 * len(tiles))))
    return picture_grid(tiles, columns)


def _tile(
    sample: PoseSample, ranges: AugmentRanges, size: int, rng: np.random.Generator
) -> np.ndarray | None:
    """One augmented crop with its joints; None without a readable picture or a finite box."""
    if not np.isfinite(sample.box).all():
        return None
    try:
        image = sample.image.read()
    except PoseActError:  # It is among the faults.
        return None
    crop = augmented_crop(image, sample, ranges.draw(rng), size)
    enlarged = cv2.resize(crop.image, (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    return draw_pose(enlarged, crop.joints * _TILE, crop.valid.astype(float), sample.skeleton)


def _write_faults(path: Path, reports: list[SourceReport]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_FAULT_COLUMNS)
        for report in reports:
            for fault in report.faults:
                facts = (report.name, fault.sample, fault.kind, fault.reason)
                writer.writerow(map(escaped, facts))
