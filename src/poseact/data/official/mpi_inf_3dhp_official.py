"""MPI-INF-3DHP (Mehta et al., 2017) as its authors distribute it: training and test set.

Poses are in mm of each camera's frame. Pixels are taken as they are; the pinhole cameras meet them
within 2 px.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import PositiveInt

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.hdf5 import Hdf5File
from poseact.data.camera import Camera, Row
from poseact.data.formats.label_files import read_mat_variables, require_file
from poseact.data.images import ImageFile, ImageSource
from poseact.data.labels_3d import Labels3D, camera_of, samples_3d
from poseact.data.sample import PoseSample
from poseact.data.video import FrameVideo, VideoFrame
from poseact.skeleton import MPI3DHP17, PA16, Skeleton

# The hand and the foot of this motion capture are not known to be where Kinect's are, so they have
# names of their own. `spine` is the one that the test set has, too.
MPI3DHP28 = Skeleton(
    "mpi3dhp28",
    (
        *("upper_spine", "top_spine", "middle_spine", "spine", "pelvis"),
        *("neck", "head_base", "head"),
        *("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_palm"),
        *("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_palm"),
        *("left_hip", "left_knee", "left_ankle", "left_forefoot", "left_toe"),
        *("right_hip", "right_knee", "right_ankle", "right_forefoot", "right_toe"),
    ),
    MPI3DHP17.limbs,
)
"""The joints of the training set, in the order of its ``annot.mat``."""


class _Labels(NamedTuple):
    """N frames of one camera.

    Attributes:
        pixels: ``(N, J, 2)`` px.
        points: ``(N, J, 3)`` mm of the camera's frame.
        numbers: ``(N,)`` their numbers, from 1.
    """

    pixels: np.ndarray
    points: np.ndarray
    numbers: np.ndarray


def read_mpi_inf_3dhp_official(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Literal["train", "test"] = "train",
    images: str | None = None,
    subjects: tuple[str, ...] | None = None,
    views: tuple[int, ...] | None = None,
    every: PositiveInt = 1,
    universal: bool = False,
) -> list[PoseSample]:
    """Read ``S1/Seq1/annot.mat`` of the training set or ``TS1/annot_data.mat`` of the test set.

    Args:
        root: Folder of ``S1`` to ``S8``, or of ``TS1`` to ``TS6``.
        skeleton: The skeleton to convert to.
        part: Which of the two.
        images: Of the training set, the folder of extracted frames in that of the sequence, with
            ``video_0/frame_000001.jpg``. None to take them from ``imageSequence/video_0.avi``;
            reading one decodes all before it, so extract or pack them for training. The test set
            comes as pictures, ``imageSequence/img_000001.jpg``.
        subjects: Such as ``("S1", "S2")`` or ``("TS1",)``. None for all.
        views: Cameras of the training set, 0 to 13. None for those whose pictures are there.
        every: Frames ``every``, ``2 * every`` … of each sequence, counted from 1.
        universal: Depths of ``univ_annot3``, where everybody has one size, in place of ``annot3``.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, and the camera: that of
        ``camera.calibration``, or for the test set the pinhole that takes ``annot3`` to ``annot2``.
        Frames that the test set calls invalid are left out.

    Raises:
        PoseActError: A file is missing, damaged or of another shape, or no frame is left.
    """
    file = "S*/Seq*/annot.mat" if part == "train" else "TS*/annot_data.mat"
    folders = [
        path.parent
        for path in sorted(root.glob(file))
        if subjects is None or path.relative_to(root).parts[0] in subjects
    ]
    if not folders:
        raise PoseActError(
            f"{root} holds no {file} of {', '.join(subjects or ('any subject',))}; give the folder "
            f"of the {part}ing subjects, unpacked."
        )
    samples = []
    for folder in folders:
        if part == "train":
            samples += _training_samples(folder, skeleton, images, views, every, universal)
        else:
            samples += _test_samples(folder, skeleton, every, universal)
    if not samples:
        raise PoseActError(
            f"{root} has labels of {len(folders)} sequences, but none of the requested "
            "pictures; fetch the videos, or correct the options images and views."
        )
    return samples


def _training_samples(
    folder: Path,
    skeleton: Skeleton,
    images: str | None,
    views: tuple[int, ...] | None,
    every: int,
    universal: bool,
) -> list[PoseSample]:
    cameras = read_calibration(folder / "camera.calibration")
    annotated = _read_training(folder / "annot.mat", universal)
    samples = []
    for view, labels in annotated.items():
        video = folder / "imageSequence" / f"video_{view}.avi"
        frames = None if images is None else folder / images / f"video_{view}"
        wanted = (frames or video).exists() if views is None else view in views
        if not wanted:
            continue
        name = f"{folder.parent.name}_{folder.name}_Cam{view}"
        camera = camera_of(cameras, view, name)
        source = FrameVideo(video, len(labels.numbers))
        for sample in _samples(labels, MPI3DHP28, skeleton, name, camera, every):
            number = sample.frame or 0
            image: ImageSource = VideoFrame(source, number - 1)
            if frames is not None:
                image = ImageFile(frames / f"frame_{number:06d}.jpg")
            samples.append(replace(sample, image=image))
    return samples


def _test_samples(
    folder: Path, skeleton: Skeleton, every: int, universal: bool
) -> list[PoseSample]:
    labels, camera = _read_test(folder / "annot_data.mat", universal)
    pictures = folder / "imageSequence"
    return [
        replace(sample, image=ImageFile(pictures / f"img_{sample.frame:06d}.jpg"))
        for sample in _samples(labels, MPI3DHP17, skeleton, folder.name, camera, every)
    ]


def _samples(
    labels: _Labels, layout: Skeleton, skeleton: Skeleton, name: str, camera: Camera, every: int
) -> list[PoseSample]:
    """Samples of one camera; their pictures are yet to be set."""
    rows = np.flatnonzero(labels.numbers % every == 0)
    pixels, points, numbers = (array[rows] for array in labels)
    chosen = Labels3D(
        [f"{name}_{number:06d}" for number in numbers],
        pixels,
        points,
        np.asarray(np.isfinite(pixels).all(-1)),
        np.asarray(np.isfinite(points).all(-1)),
    )
    frames = [(name, int(number)) for number in numbers]
    cameras = [camera] * len(rows)
    return samples_3d(chosen, layout, skeleton, images=Path(), cameras=cameras, frames=frames)


def _read_training(path: Path, universal: bool) -> dict[int, _Labels]:
    what = f"MPI-INF-3DHP's annot.mat of {len(MPI3DHP28)} joints"
    third = "univ_annot3" if universal else "annot3"
    pixels, points, cameras = read_mat_variables(path, ("annot2", third, "cameras"), what)
    with one_sentence(f"{path} is not {what} ({{error}}); fetch the file again."):
        shape = (-1, len(MPI3DHP28))
        out = {}
        by_camera = zip(cameras.ravel().tolist(), pixels.ravel(), points.ravel(), strict=True)
        for camera, flat, deep in by_camera:
            px = np.asarray(flat, np.float64).reshape(*shape, 2)
            mm = np.asarray(deep, np.float64).reshape(*shape, 3)
            out[int(camera)] = _Labels(px, mm, np.arange(1, _same_length(px, mm) + 1))
    return out


def _read_test(path: Path, universal: bool) -> tuple[_Labels, Camera]:
    """The labels of the valid frames, and the camera that they follow from."""
    what = f"MPI-INF-3DHP's annot_data.mat of {len(MPI3DHP17)} joints"
    third = "univ_annot3" if universal else "annot3"
    require_file(path, what)
    with one_sentence(f"{path} is not {what} ({{error}}); fetch the file again."):
        with Hdf5File(path) as file:
            valid, pixels, points, deep = (
                file.array(name).astype(np.float64)
                for name in ("valid_frame", "annot2", "annot3", third)
            )
        px = pixels.reshape(-1, len(MPI3DHP17), 2)
        mm = points.reshape(-1, len(MPI3DHP17), 3)
        chosen = np.flatnonzero(valid.ravel()[: _same_length(px, mm)])
        camera = fitted_camera(mm[chosen], px[chosen])
        mm = deep.reshape(mm.shape)
    return _Labels(px[chosen], mm[chosen], chosen + 1), camera


def _same_length(pixels: np.ndarray, points: np.ndarray) -> int:
    if len(pixels) != len(points):
        raise ValueError(f"annot2 has {len(pixels)} frames, annot3 {len(points)}")
    return len(pixels)


def fitted_camera(points: np.ndarray, pixels: np.ndarray) -> Camera:
    """The pinhole camera that maps points to pixels with the least squared error.

    Args:
        points: ``(..., 3)`` mm of the camera's frame.
        pixels: ``(..., 2)`` px.

    Raises:
        ValueError: There are fewer than two places to fit it to.
    """
    plane = (points[..., :2] / points[..., 2:]).reshape(-1, 2)
    seen = pixels.reshape(-1, 2)
    if len(np.unique(plane, axis=0)) < 2:
        raise ValueError("all joints of the valid frames coincide")
    (fx, cx), (fy, cy) = (np.polyfit(plane[:, axis], seen[:, axis], 1).tolist() for axis in (0, 1))
    return Camera((fx, fy), (cx, cy))


def read_calibration(path: Path) -> dict[int, Camera]:
    """Read a ``camera.calibration``: of each camera a name, ``intrinsic`` and ``extrinsic``.

    Both are 4 x 4 matrices row by row; the second takes mm of the room to mm of the camera.

    Raises:
        PoseActError: The file is missing or not of this form.
    """
    what = "MPI-INF-3DHP's camera.calibration"
    require_file(path, what)
    cameras: dict[int, Camera] = {}
    name, lens = -1, np.eye(4)
    with one_sentence(f"{path} is not {what} ({{error}}); fetch the file again."):
        for line in path.read_text("utf-8").splitlines():
            key, *values = line.split() or [""]
            if key == "name":
                name = int(values[0])
            elif key == "intrinsic":
                lens = np.array(values, float).reshape(4, 4)
            elif key == "extrinsic":
                cameras[name] = _camera(lens, np.array(values, float).reshape(4, 4))
    if not cameras:
        raise PoseActError(f"{path} names no camera, but {what} was expected; fetch it again.")
    return cameras


def _camera(lens: np.ndarray, placing: np.ndarray) -> Camera:
    rotation, shift = placing[:3, :3], placing[:3, 3]
    rows: list[Row] = [tuple(row) for row in rotation.tolist()]
    x, y, z = (-rotation.T @ shift).tolist()
    return Camera(
        focal=(float(lens[0, 0]), float(lens[1, 1])),
        centre=(float(lens[0, 2]), float(lens[1, 2])),
        rotation=(rows[0], rows[1], rows[2]),
        translation=(x, y, z),
    )
