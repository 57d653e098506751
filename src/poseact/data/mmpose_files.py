"""Files of 3D data sets as packed for mmpose: an archive of labels and a pickle of cameras."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.errors import PoseActError
from poseact.data.camera import Camera
from poseact.data.images import ImageFile
from poseact.data.label_files import read_npz, require_file, require_shape
from poseact.data.plain_pickle import plain_pickle
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import Skeleton

_LABEL_KEYS = ("imgname", "part", "S")


def camera_of(cameras: dict[Any, Camera], key: object, image: str) -> Camera:
    """The camera of an image.

    Raises:
        PoseActError: There is none under this key.
    """
    try:
        return cameras[key]
    except KeyError:
        raise PoseActError(
            f"{image} needs the camera {key}, but the file of cameras has none of this name; "
            "give the cameras that belong to the labels."
        ) from None


class Labels3D(NamedTuple):
    """Labels of N people with J joints.

    Attributes:
        images: N file names.
        pixels: ``(N, J, 2)`` px.
        points: ``(N, J, 3)`` mm in the camera's frame.
        seen: ``(N, J)`` boolean; labelled in the image.
        labelled: ``(N, J)`` boolean; labelled in space.
    """

    images: list[str]
    pixels: np.ndarray
    points: np.ndarray
    seen: np.ndarray
    labelled: np.ndarray

    def chosen(self, indices: Sequence[int]) -> Labels3D:
        """The labels of these people alone."""
        rows = np.array(indices, int)
        arrays = (array[rows] for array in self[1:])
        return Labels3D([self.images[index] for index in indices], *arrays)


def read_labels(path: Path, skeleton: Skeleton) -> Labels3D:
    """Read ``imgname`` (N), ``part`` (N, J, 3: px, flag) and ``S`` (N, J, 4: m, flag).

    Raises:
        PoseActError: The archive is missing, damaged or not of this skeleton.
    """
    what = f"a label archive of {len(skeleton)} joints with imgname, part and S"
    arrays = read_npz(path, _LABEL_KEYS, what)
    images = [str(name) for name in arrays["imgname"]]
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


def name_parts(
    images: Sequence[str], pattern: re.Pattern[str], path: Path, example: str
) -> list[re.Match[str]]:
    """What the names of images tell.

    Args:
        images: Their names.
        pattern: Of such a name.
        path: The archive that names them, for the message.
        example: Such a name, and what it tells, for the message.

    Raises:
        PoseActError: A name is of another form.
    """
    matches = []
    for image in images:
        match = pattern.fullmatch(Path(image).name)
        if match is None:
            raise PoseActError(
                f"{path} names the image {image}, but names such as {example}; "
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


def samples_3d(
    labels: Labels3D,
    layout: Skeleton,
    skeleton: Skeleton,
    *,
    images: Path,
    cameras: Sequence[Camera],
    frames: Sequence[tuple[str, int]],
) -> list[PoseSample]:
    """Samples with px and depths in mm behind the pelvis.

    Args:
        labels: Of N people.
        layout: Names their joints; it has a pelvis.
        skeleton: The skeleton to convert to.
        images: Folder of the image names.
        cameras: N cameras.
        frames: Sequence and frame number of each of the N.

    Returns:
        People with at least one joint labelled in the image.

    Raises:
        PoseActError: A name leads out of the folder.
    """
    with one_sentence("The labels cannot be read ({error}); correct the names of the pictures."):
        pictures = [inside(images, name) for name in labels.images]
    root = layout.index("pelvis")
    root_depth = labels.points[:, root, 2]
    depth = labels.points[..., 2] - root_depth[:, None]
    stacked = np.concatenate((labels.pixels, depth[..., None]), -1).astype(np.float32)
    joints, valid = layout.convert(stacked, labels.seen, skeleton)
    deep = labels.seen & labels.labelled & labels.labelled[:, [root]]
    _, depth_valid = layout.convert(stacked, deep, skeleton)
    return [
        PoseSample(
            name=labels.images[index],
            image=ImageFile(pictures[index]),
            skeleton=skeleton,
            joints=joints[index],
            valid=valid[index],
            visible=valid[index],
            depth_valid=depth_valid[index],
            box=labelled_box(labels.pixels[index], labels.seen[index]),
            camera=cameras[index],
            root_depth_mm=float(root_depth[index]) if labels.labelled[index, root] else None,
            sequence=frames[index][0],
            frame=frames[index][1],
        )
        for index in np.flatnonzero(valid.any(1)).tolist()
    ]


def _camera(values: dict[str, Any], extrinsic: bool) -> Camera:
    """In mm; the world's axes to the camera's."""

    def numbers(key: str, count: int) -> Any:
        """So many floats; zeros where an optional key is missing."""
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
