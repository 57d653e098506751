"""MPII Human Pose (Andriluka et al., 2014): the official MATLAB file and the common JSON.

Both count pixels as MATLAB does, the first one's centre at 1; here it is at 0.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseact.data.images import ImageFile
from poseact.data.label_files import read_json, read_mat
from poseact.data.sample import PoseSample, labelled_box
from poseact.errors import PoseActError
from poseact.skeleton import MPII16, PA16, Skeleton

_PIXEL_ORIGIN = 0.5

# PCKh's unit is this share of the diagonal of the head's rectangle, as in the official evaluation.
HEAD_SHARE = 0.6


class _Person(NamedTuple):
    """Labels in the order of the data set, in px of MATLAB."""

    image: str
    joints: np.ndarray  # (16, 2)
    valid: np.ndarray  # (16,) boolean
    visible: np.ndarray  # (16,) boolean
    head_px: float | None


def read_mpii(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "mpii_human_pose_v1_u12_1.mat",
    images: str = "images",
    single_person: bool = False,
) -> list[PoseSample]:
    """Read the people of the official MATLAB file or of a JSON file.

    The official file has labels of its training images alone and does not divide them; the usual
    division into training and validation is that of ``train.json`` and ``valid.json``, lists of
    ``{"image", "joints" (16, 2), "joints_vis" (16)}`` which are given as ``labels``. They leave out
    whether a joint is hidden, and the head's rectangle, so that ``head_px`` is unknown.

    Args:
        root: Folder of the labels and images.
        skeleton: The skeleton to convert to.
        labels: The ``.mat`` or ``.json`` file, in the root.
        images: Folder of the images, in the root.
        single_person: People that the official file calls well separated from others alone.

    Returns:
        Samples in the order of the file; people without any label are left out.

    Raises:
        PoseActError: The file is missing, damaged or of another layout.
    """
    file = root / labels
    if file.suffix == ".json":
        if single_person:
            raise PoseActError(
                f"single_person was asked for, but {file.name} does not tell who stands alone; "
                "give the official .mat file or leave the option out."
            )
        people = _people_of_json(file)
    else:
        people = _people_of_mat(file, single_person)
    samples = []
    for number, person in enumerate(people):
        joints = person.joints.astype(np.float32) - _PIXEL_ORIGIN
        converted, valid = MPII16.convert(joints, person.valid, skeleton)
        _, visible = MPII16.convert(joints, person.valid & person.visible, skeleton)
        if valid.any():
            samples.append(
                PoseSample(
                    name=f"{person.image}#{number}",
                    image=ImageFile(root / images / person.image),
                    skeleton=skeleton,
                    joints=converted,
                    valid=valid,
                    visible=visible,
                    depth_valid=np.zeros_like(valid),
                    box=labelled_box(joints, person.valid),
                    head_px=person.head_px,
                )
            )
    return samples


def _people_of_json(file: Path) -> list[_Person]:
    what = "MPII's list of people with image, joints and joints_vis"
    content = read_json(file, what)
    people = []
    for number, entry in enumerate(content if isinstance(content, list) else [content]):
        try:
            joints = np.array(entry["joints"], np.float64).reshape(len(MPII16), 2)
            labelled = np.array(entry["joints_vis"], np.float64).reshape(len(MPII16)) > 0
            image = str(entry["image"])
        except (KeyError, TypeError, ValueError) as error:
            raise PoseActError(
                f"{file}: person {number} is not {what}, 16 joints each ({error}); "
                "give MPII's train.json or valid.json."
            ) from error
        labelled &= np.isfinite(joints).all(1)
        people.append(_Person(image, joints, labelled, labelled, None))
    return people


def _people_of_mat(file: Path, single_person: bool) -> list[_Person]:
    release = read_mat(file, "RELEASE", "mpii_human_pose_v1_u12_1.mat").ravel()[0]
    try:
        images, is_train = _items(release.annolist), _items(release.img_train)
        alone = _items(release.single_person)
        people = []
        for image, train, single in zip(images, is_train, alone, strict=True):
            chosen = {int(index) for index in _items(single)}
            for index, person in enumerate(_items(image.annorect), start=1):
                points = _items(getattr(person, "annopoints", ()))
                if train and points and (index in chosen or not single_person):
                    name = str(_items(_items(image.image)[0].name)[0])
                    people.append(_person(name, person, _items(points[0].point)))
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise PoseActError(
            f"{file} does not hold MPII's RELEASE with annolist, img_train and single_person "
            f"({error}); give the official mpii_human_pose_v1_u12_1.mat."
        ) from error
    return people


def _person(image: str, person: Any, points: list[Any]) -> _Person:
    joints = np.zeros((len(MPII16), 2))
    valid, visible = np.zeros(len(MPII16), bool), np.zeros(len(MPII16), bool)
    for point in points:
        joint = int(_items(point.id)[0])
        joints[joint] = _items(point.x)[0], _items(point.y)[0]
        valid[joint] = True
        # Some points, the head's among them, do not say; such a point is taken for seen.
        said = _items(getattr(point, "is_visible", ()))
        visible[joint] = not said or float(said[0]) > 0
    corners = [_items(getattr(person, name, ())) for name in ("x1", "y1", "x2", "y2")]
    head_px = None
    if all(corners):
        x1, y1, x2, y2 = (float(corner[0]) for corner in corners)
        head_px = HEAD_SHARE * float(np.hypot(x2 - x1, y2 - y1))
    return _Person(image, joints, valid, visible, head_px)


def _items(value: Any) -> list[Any]:
    """Elements of an array of any shape, as MATLAB's structs and cells are loaded."""
    return list(np.asarray(value, object if isinstance(value, tuple) else None).ravel())
