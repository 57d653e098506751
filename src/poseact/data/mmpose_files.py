"""3D data sets in mmpose's packaging: an archive of labels and a pickle of cameras.

Labels are ``imgname``, ``part`` (N, 17, 3) and ``S`` (N, 17, 4: m in the camera's frame). Pixels
are taken as they are: they are what the cameras project the joints to.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import PositiveInt

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.formats.label_files import names_in, read_npz, require_file, require_shape
from poseact.data.formats.plain_pickle import plain_pickle
from poseact.data.labels_3d import Labels3D, camera_of, samples_3d
from poseact.data.sample import PoseSample
from poseact.skeleton import H36M17, MPI3DHP17, PA16, Skeleton

_LABEL_KEYS = ("imgname", "part", "S")


class _Packing(NamedTuple):
    """How a data set is packed.

    Attributes:
        layout: Names the joints.
        image: Pattern of the images' names, with the groups sequence and frame.
        example: Such a name, and what it says.
        camera: The key of an image's camera.
        extrinsic: Whether the cameras' R and T take the world to the camera.
    """

    layout: Skeleton
    image: re.Pattern[str]
    example: str
    camera: Callable[[re.Match[str]], object]
    extrinsic: bool = False


_HUMAN36M = _Packing(
    H36M17,
    re.compile(r"(?P<sequence>(?P<subject>S\d+)_[^.]+\.(?P<camera>\d+))_(?P<frame>\d+)\.\w+"),
    "S1_Directions_1.54138969_000001.jpg give subject, camera and frame",
    lambda match: (match["subject"], match["camera"]),
)
# The training set has names of the first kind, the test set of the second.
_MPI_INF_3DHP = _Packing(
    MPI3DHP17,
    re.compile(r"(?P<sequence>S\d+_Seq\d+_Cam\d+|TS\d+)_(?P<frame>\d+)\.\w+"),
    "S4_Seq2_Cam0_001033.jpg or TS1_002001.jpg give camera and frame",
    lambda match: match["sequence"],
    extrinsic=True,
)


def read_human36m(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "annotation_body3d/fps50/h36m_train.npz",
    cameras: str = "annotation_body3d/cameras.pkl",
    images: str = "images",
    subjects: tuple[str, ...] | None = None,
    every: PositiveInt = 1,
) -> list[PoseSample]:
    """Read Human3.6M (Ionescu et al., 2014).

    Do not use the COCO-like JSON of the same packaging: it names the right leg left.

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        labels: The archive of labels, in the root.
        cameras: The pickle of cameras, in the root; it is read without executing code.
        images: Folder of the images, in the root.
        subjects: Such as ``("S9", "S11")``, the usual test set. None for all.
        every: Frames ``every``, ``2 * every`` … of each sequence, counted from 1.

    Returns:
        Samples with ``(J, 3)`` joints, depth in mm behind the pelvis, and the camera.

    Raises:
        PoseActError: A file is missing, damaged or of another shape, or a name is not of the form
            ``S1_Directions_1.54138969_000001.jpg``.
    """
    return _read(
        *(root / labels, root / cameras, root / images),
        _HUMAN36M,
        skeleton,
        lambda match: subjects is None or match["subject"] in subjects,
        every,
    )


def read_mpi_inf_3dhp(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "annotations/mpi_inf_3dhp_train.npz",
    cameras: str = "annotations/cameras_train.pkl",
    images: str = "images",
    every: PositiveInt = 1,
) -> list[PoseSample]:
    """Read MPI-INF-3DHP (Mehta et al., 2017), whose pinhole cameras meet the pixels within 2 px.

    Arguments, result and errors are as for :func:`read_human36m`; images have names such as
    ``S4_Seq2_Cam0_001033.jpg`` or ``TS1_002001.jpg``.
    """
    files = (root / labels, root / cameras, root / images)
    return _read(*files, _MPI_INF_3DHP, skeleton, lambda _: True, every)


def _read(
    labels: Path,
    cameras: Path,
    images: Path,
    packing: _Packing,
    skeleton: Skeleton,
    is_wanted: Callable[[re.Match[str]], bool],
    every: int,
) -> list[PoseSample]:
    found = read_labels(labels, packing.layout)
    by_key = read_cameras(cameras, extrinsic=packing.extrinsic)
    wanted, used, frames = [], [], []
    matches = _name_parts(found.images, packing, labels)
    for index, (image, match) in enumerate(zip(found.images, matches, strict=True)):
        if is_wanted(match) and int(match["frame"]) % every == 0:
            wanted.append(index)
            used.append(camera_of(by_key, packing.camera(match), image))
            frames.append((match["sequence"], int(match["frame"])))
    chosen = found.chosen(wanted)
    return samples_3d(chosen, packing.layout, skeleton, images=images, cameras=used, frames=frames)


def read_labels(path: Path, skeleton: Skeleton) -> Labels3D:
    """Read ``imgname`` (N), ``part`` (N, J, 3: px, flag) and ``S`` (N, J, 4: m, flag).

    Raises:
        PoseActError: The archive is missing, damaged or not of this skeleton.
    """
    what = f"a label archive of {len(skeleton)} joints with imgname, part and S"
    arrays = read_npz(path, _LABEL_KEYS, what)
    images = names_in(path, arrays, "imgname", what)
    for key, width in (("part", 3), ("S", 4)):
        expected = (len(images), len(skeleton), width)
        require_shape(path, arrays, key, expected, f"{len(images)} images; give {what}")
    part, space = arrays["part"].astype(np.float64), arrays["S"].astype(np.float64)
    finite = np.isfinite(part).all(-1)
    return Labels3D(
        images,
        part[..., :2],
        space[..., :3] * 1000,
        finite & (part[..., 2] > 0),
        np.isfinite(space).all(-1) & (space[..., 3] > 0),
    )


def _name_parts(images: Sequence[str], packing: _Packing, path: Path) -> list[re.Match[str]]:
    """The matched names of images."""
    matches = []
    for image in images:
        match = packing.image.fullmatch(Path(image).name)
        if match is None:
            raise PoseActError(
                f"{path} names the image {image}, but names such as {packing.example}; "
                "give the archive packed for mmpose."
            )
        matches.append(match)
    return matches


def read_cameras(path: Path, *, extrinsic: bool = False) -> dict[Any, Camera]:
    """Read a pickle of ``{key: {"f", "c", "R", "T", "k", "p"}}``; only f and c are needed.

    R turns the camera's axes into the world's, T is the camera's place in m. Nothing but arrays
    of numbers is ever unpickled.

    Args:
        path: The pickle.
        extrinsic: R and T take the world to the camera instead, as those of MPI-INF-3DHP do.

    Raises:
        PoseActError: The file is missing, damaged, holds code, or is not of this structure.
    """
    what = "the cameras packed for mmpose"
    require_file(path, what)
    with one_sentence(f"{path} cannot be read as {what} ({{error}}); fetch the file again."):
        content = plain_pickle(path.read_bytes())
        return {key: _camera(values, extrinsic) for key, values in content.items()}


def _camera(values: dict[str, Any], extrinsic: bool) -> Camera:
    """A camera in mm, with the rotation from the world's axes to the camera's."""

    def numbers(key: str, count: int) -> Any:
        """``count`` floats; zeros if an optional key is missing."""
        found = values.get(key, np.zeros(count)) if key in "RTkp" else values[key]
        return tuple(np.asarray(found, float).reshape(count).tolist())

    turn = np.asarray(values.get("R", np.eye(3)), float).reshape(3, 3)
    to_camera = turn if extrinsic else turn.T
    moved = np.array(numbers("T", 3))
    place = -to_camera.T @ moved if extrinsic else moved
    (x, y, z), (right, down, ahead) = to_camera.tolist(), (1000 * place).tolist()
    return Camera(
        focal=numbers("f", 2),
        centre=numbers("c", 2),
        rotation=(tuple(x), tuple(y), tuple(z)),
        translation=(right, down, ahead),
        radial=numbers("k", 3),
        tangential=numbers("p", 2),
    )
