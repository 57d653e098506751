"""Human3.6M (Ionescu et al., 2014) as its authors distribute it, and as packed for VideoPose3D.

Poses are the 32 joints of the motion capture in mm of the room, or their pixels as the cameras see
them. Pixels are taken as they are: they are what the cameras project the joints to.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cdflib
import numpy as np
from pydantic import PositiveInt

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.formats.label_files import require_file
from poseact.data.images import ImageFile, ImageSource
from poseact.data.labels_3d import Labels3D, camera_of, samples_3d
from poseact.data.official.human36m_cameras import VIEWS, read_human36m_cameras
from poseact.data.official.human36m_npz import read_positions
from poseact.data.sample import PoseSample
from poseact.data.video import FrameVideo, VideoFrame
from poseact.skeleton import H36M32, H36M32_PAPER, PA16, Skeleton

_POSES = "MyPoseFeatures"

# The release's file of this video is damaged (Pavllo et al., 2019, leave the action out).
_DAMAGED = ("S11", "Directions", "54138969")

# Names of the actions in the release, where other packagings have shorter ones.
_LONG_NAMES = {"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}


class _Take(NamedTuple):
    """One subject performing one action, for N frames.

    Attributes:
        subject: Such as ``S1``.
        action: Such as ``Directions 1``.
        world: ``(N, 32, 3)`` mm in the room.
    """

    subject: str
    action: str
    world: np.ndarray


def read_human36m_official(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    cameras: str = "metadata.xml",
    images: str | None = None,
    subjects: tuple[str, ...] | None = None,
    views: tuple[str, ...] = VIEWS,
    every: PositiveInt = 1,
    paper_names: bool = False,
) -> list[PoseSample]:
    """Read ``S1/MyPoseFeatures/D3_Positions/*.cdf``, and ``D2_Positions`` where it is there.

    Without ``D2_Positions`` the cameras project the joints, which gives the same within 0.001 px.

    Args:
        root: Folder of the subjects' folders.
        skeleton: The skeleton to convert to.
        cameras: ``metadata.xml`` of the data set's software, in the root, or mmpose's
            ``cameras.pkl``.
        images: Folder of extracted frames, in the root, named as for mmpose:
            ``S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg``. None to take them
            from ``S1/Videos/Directions 1.54138969.mp4``; reading one decodes all before it, so
            extract or pack them for training.
        subjects: Such as ``("S9", "S11")``, the usual test set. None for all.
        views: Names of cameras.
        every: Frames ``every``, ``2 * every`` … of each sequence, counted from 1.
        paper_names: Name the joints as the published multitask network does, see ``H36M32_PAPER``.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, and the camera. The one video
        that is damaged in the release is left out.

    Raises:
        PoseActError: A file is missing, damaged or of another shape.
    """
    takes = _takes(root, subjects)
    reading = _Reading(root, images, views, every, H36M32_PAPER if paper_names else H36M32)
    return _samples(takes, reading, read_human36m_cameras(root / cameras), skeleton)


def read_human36m_videopose3d(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "data_3d_h36m.npz",
    cameras: str = "metadata.xml",
    images: str | None = None,
    subjects: tuple[str, ...] | None = None,
    views: tuple[str, ...] = VIEWS,
    every: PositiveInt = 1,
    paper_names: bool = False,
) -> list[PoseSample]:
    """Read VideoPose3D's ``data_3d_h36m.npz``; the cameras project it to pixels.

    ``labels`` is the archive, in the root; its pickle is read without executing code. Everything
    else is as for :func:`read_human36m_official`; the images may have short or long names of
    actions.
    """
    found = read_positions(root / labels, len(H36M32))
    takes = (
        _Take(subject, action, world)
        for subject, by_action in found.items()
        if subjects is None or subject in subjects
        for action, world in by_action.items()
    )
    reading = _Reading(root, images, views, every, H36M32_PAPER if paper_names else H36M32)
    return _samples(takes, reading, read_human36m_cameras(root / cameras), skeleton)


def extracted_frames(root: Path) -> str | None:
    """The folder ``images`` of the root as an option of the readers, or None."""
    return "images" if (root / "images").is_dir() else None


class _Reading(NamedTuple):
    """Options of :func:`read_human36m_official`."""

    root: Path
    images: str | None
    views: tuple[str, ...]
    every: int
    layout: Skeleton


def _takes(root: Path, subjects: tuple[str, ...] | None) -> Iterator[_Take]:
    folders = sorted(root.glob(f"S*/{_POSES}/D3_Positions"))
    if subjects is not None:
        folders = [root / subject / _POSES / "D3_Positions" for subject in subjects]
    files = [file for folder in folders for file in sorted(folder.glob("*.cdf"))]
    if not files:
        raise PoseActError(
            f"{root} holds no S*/{_POSES}/D3_Positions/*.cdf of {subjects or 'any subject'}; give "
            "the folder that holds S1, S5 and so on, with D3_Positions unpacked."
        )
    for file in files:
        yield _Take(file.parts[-4], file.stem, read_cdf_poses(file, 3))


def read_cdf_poses(path: Path, dimensions: int) -> np.ndarray:
    """Read the variable ``Pose`` of a CDF file of Human3.6M.

    Args:
        path: The file.
        dimensions: D, 2 for px or 3 for mm.

    Returns:
        ``(N, 32, D)`` float64.

    Raises:
        PoseActError: The file is missing, damaged or of another shape.
    """
    what = f"a CDF file of Human3.6M with a Pose of {len(H36M32)} joints in {dimensions}D"
    require_file(path, what)
    with one_sentence(f"{path} is not {what} ({{error}}); fetch the file again."):
        poses = np.asarray(cdflib.CDF(str(path)).varget("Pose"), np.float64)
        return poses.reshape(-1, len(H36M32), dimensions)


def _samples(
    takes: Iterator[_Take],
    reading: _Reading,
    cameras: dict[tuple[str, str], Camera],
    skeleton: Skeleton,
) -> list[PoseSample]:
    samples = []
    for take in takes:
        for view in reading.views:
            if (take.subject, take.action, view) != _DAMAGED:
                camera = camera_of(cameras, (take.subject, view), f"{take.action}.{view}")
                samples += _samples_of(take, view, reading, camera, skeleton)
    return samples


def _samples_of(
    take: _Take, view: str, reading: _Reading, camera: Camera, skeleton: Skeleton
) -> list[PoseSample]:
    length = len(take.world)
    numbers = range(reading.every, length + 1, reading.every)
    rows = np.array(numbers, int) - 1
    points = camera.to_camera(take.world[rows].astype(np.float64))
    pixels = _pixels(take, view, reading.root, length)
    pixels = camera.at_origin.project(points) if pixels is None else pixels[rows]
    sequence = f"{take.subject}_{take.action.replace(' ', '_')}.{view}"
    labels = Labels3D(
        [f"{sequence}_{number:06d}" for number in numbers],
        pixels,
        points,
        np.asarray(np.isfinite(pixels).all(-1)),
        np.asarray(np.isfinite(points).all(-1)),
    )
    samples = samples_3d(
        labels,
        reading.layout,
        skeleton,
        images=reading.root,
        cameras=[camera] * len(rows),
        frames=[(sequence, number) for number in numbers],
    )
    pictures = _Pictures(reading, take, view)
    return [replace(sample, image=pictures.of(sample.frame or 0)) for sample in samples]


def _pixels(take: _Take, view: str, root: Path, length: int) -> np.ndarray | None:
    """``(N, 32, 2)`` px of the release; None where it is not there."""
    file = root / take.subject / _POSES / "D2_Positions" / f"{take.action}.{view}.cdf"
    if not file.is_file():
        return None
    pixels = read_cdf_poses(file, 2)
    if len(pixels) != length:
        raise PoseActError(
            f"{file} has {len(pixels)} frames, but D3_Positions has {length} of this action; "
            "fetch both again."
        )
    return pixels


class _Pictures:
    """Finds the pictures of a take: extracted frames, or frames of its video."""

    def __init__(self, reading: _Reading, take: _Take, view: str) -> None:
        word, _, number = take.action.partition(" ")
        action = f"{_LONG_NAMES.get(word, word)} {number}".strip()
        names = (take.action, action)
        if reading.images is None:
            folder = reading.root / take.subject / "Videos"
            files = [folder / f"{name}.{view}.mp4" for name in names]
            self._video = FrameVideo(_present(files), len(take.world))
        else:
            self._video = None
            folder = reading.root / reading.images / take.subject
            stems = [f"{take.subject}_{name.replace(' ', '_')}.{view}" for name in names]
            self._folder = _present([folder / stem for stem in stems])

    def of(self, number: int) -> ImageSource:
        """The picture of a frame, counted from 1."""
        if self._video is not None:
            return VideoFrame(self._video, number - 1)
        return ImageFile(self._folder / f"{self._folder.name}_{number:06d}.jpg")


def _present(paths: list[Path]) -> Path:
    """The first path that exists, else the first."""
    return next((path for path in paths if path.exists()), paths[0])
