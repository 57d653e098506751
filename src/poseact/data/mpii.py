"""MPII Human Pose (Andriluka et al., 2014): the official MATLAB file and the common JSON lists.

Both count pixels as MATLAB does, the first one's centre at 1; here it is at 0.5.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from poseact._utils.boundary import inside, one_sentence, within
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.data.formats.label_files import MATLAB_PIXEL_ORIGIN, read_json, read_mat
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample, labelled_box
from poseact.media.crop import Square
from poseact.skeleton import MPII16, PA16, Skeleton

# PCKh's unit is this share of the diagonal of the head's rectangle, as in the official evaluation.
HEAD_SHARE = 0.6

# Largest distance of joints at which people of the list and the MATLAB file are the same.
_SAME_PX = 2.0

# The usual crop of a person of scale 1, who is 200 px high, has a margin of 1.25, its centre this
# much below their position (Newell et al., 2016, and all who followed).
_SIDE_PX = 1.25 * 200
_LOWER_PX = 15.0


class _Person(NamedTuple):
    """Labels in the order of the data set, in px of MATLAB."""

    image: str
    joints: np.ndarray  # (16, 2)
    valid: np.ndarray  # (16,) boolean
    visible: np.ndarray  # (16,) boolean
    head_px: float | None
    square: Square | None = None


def read_mpii(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "mpii_human_pose_v1_u12_1.mat",
    images: str = "images",
    part: Literal["train", "valid"] | None = None,
    single_person: bool = False,
) -> list[PoseSample]:
    """Read the people of the official MATLAB file or of a JSON file.

    The official file has labels of its training images alone and does not divide them. The usual
    division into training and validation is that of ``train.json`` and ``valid.json``, lists of
    ``{"image", "joints" (16, 2), "joints_vis" (16)}``. They leave out whether a joint is hidden,
    and the head's rectangle. With ``part`` their people are looked up in the official file, by
    image and joints, and so have everything; with a list as ``labels`` they lack both.

    Args:
        root: Folder of the labels and images.
        skeleton: The skeleton to convert to.
        labels: The ``.mat`` or ``.json`` file, in the root.
        images: Folder of the images, in the root.
        part: The people of ``train.json`` or ``valid.json`` alone, which lies in the root or in
            its folder ``annot``.
        single_person: People that the official file calls well separated from others alone.

    Returns:
        Samples in the order of the file, or of the list of ``part``; people without any label are
        left out. The official file gives them the square of the usual evaluation, which follows
        from a person's position and scale.

    Raises:
        PoseActError: A file is missing, damaged or of another layout, or a person of the list is
            not in the official file.
    """
    file = root / labels
    if file.suffix == ".json":
        if single_person or part:
            raise PoseActError(
                f"single_person or part was asked for, but {file.name} does not say who stands "
                "alone or belongs to which part; give the official .mat file or leave the option "
                "out."
            )
        people = _people_of_json(file)
    else:
        people = _people_of_mat(file, single_person)
    if part is not None:
        people = _people_of_part(_list_of(root, part), people, file, single_person)
    folder = root / images
    left, samples = LeftOut(file, "people"), []
    for number, person in enumerate(people):
        message = f"{file}: person {number} cannot be used ({{error}}); correct it."
        if person.valid.any():
            with left.entry(), one_sentence(message):
                samples.append(_sample(person, f"{person.image}#{number}", folder, skeleton))
    left.finish(samples)
    return [sample for sample in samples if sample.valid.any()]


def _sample(person: _Person, name: str, images: Path, skeleton: Skeleton) -> PoseSample:
    joints = person.joints.astype(np.float32) - MATLAB_PIXEL_ORIGIN
    converted, valid = MPII16.convert(joints, person.valid, skeleton)
    _, visible = MPII16.convert(joints, person.valid & person.visible, skeleton)
    return PoseSample(
        name=name,
        image=ImageFile(inside(images, person.image)),
        skeleton=skeleton,
        joints=converted,
        valid=valid,
        visible=visible,
        depth_valid=np.zeros_like(valid),
        box=labelled_box(joints, person.valid),
        head_px=person.head_px,
        square=person.square,
    )


def _list_of(root: Path, part: str) -> Path:
    places = [root / f"{part}.json", root / "annot" / f"{part}.json"]
    for place in places:
        if place.is_file():
            return place
    raise PoseActError(
        f"The part {part!r} was asked for, but neither {places[0]} nor {places[1]} exists; "
        "put the list there, or leave the option out."
    )


def _people_of_part(
    file: Path, official: list[_Person], mat: Path, some_left_out: bool
) -> list[_Person]:
    """The official people that are on a list, in its order."""
    by_image: dict[str, list[_Person]] = {}
    for person in official:
        by_image.setdefault(person.image, []).append(person)
    found = []
    for number, listed in enumerate(_people_of_json(file)):
        if not listed.valid.any():
            continue
        near = [(_distance(listed, person), person) for person in by_image.get(listed.image, ())]
        distance, person = min(near, key=lambda pair: pair[0], default=(np.inf, None))
        if person is not None and distance <= _SAME_PX:
            found.append(person)
        elif not some_left_out:
            raise PoseActError(
                f"{file}: person {number}, in {listed.image}, is not among the people of {mat}; "
                "give the list and the .mat file of the same data set."
            )
    return found


def _distance(a: _Person, b: _Person) -> float:
    """Largest distance in px between joints that both have; infinite if they share none."""
    both = a.valid & b.valid
    return float(np.linalg.norm(a.joints - b.joints, axis=-1)[both].max()) if both.any() else np.inf


class _Listed(BaseModel):
    """A person of the lists; what else it says is not read."""

    image: str
    joints: list[tuple[float, float]] = Field(min_length=len(MPII16), max_length=len(MPII16))
    joints_vis: list[float] = Field(min_length=len(MPII16), max_length=len(MPII16))


def _people_of_json(file: Path) -> list[_Person]:
    what = "MPII's list of people with image, joints and joints_vis"
    content = read_json(file, what)
    left, people = LeftOut(file, "people"), []
    for number, entry in enumerate(content if isinstance(content, list) else [content]):
        message = (
            f"{file}: person {number} is not {what}, 16 joints each ({{error}}); "
            "give MPII's train.json or valid.json."
        )
        with left.entry(), one_sentence(message):
            listed = _Listed.model_validate(entry)
            joints = np.array(listed.joints)
            labelled = within(joints) & (np.array(listed.joints_vis) > 0)
            people.append(_Person(listed.image, joints, labelled, labelled, None))
    left.finish(people)
    return people


def _people_of_mat(file: Path, single_person: bool) -> list[_Person]:
    found = read_mat(file, "RELEASE", "mpii_human_pose_v1_u12_1.mat")
    with one_sentence(
        f"{file} does not hold MPII's RELEASE with annolist, img_train and single_person "
        "({error}); give the official mpii_human_pose_v1_u12_1.mat."
    ):
        release = found.ravel()[0]
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
    return people


def _person(image: str, person: Any, points: list[Any]) -> _Person:
    joints = np.zeros((len(MPII16), 2))
    valid, visible = np.zeros(len(MPII16), bool), np.zeros(len(MPII16), bool)
    for point in points:
        joint = int(_items(point.id)[0])
        joints[joint] = _items(point.x)[0], _items(point.y)[0]
        valid[joint] = within(joints[joint])
        # Points without this flag, such as those of the head, count as visible.
        said = _items(getattr(point, "is_visible", ()))
        visible[joint] = not said or float(said[0]) > 0
    corners = [_items(getattr(person, name, ())) for name in ("x1", "y1", "x2", "y2")]
    head_px = None
    if all(corners):
        x1, y1, x2, y2 = (float(corner[0]) for corner in corners)
        head_px = HEAD_SHARE * float(np.hypot(x2 - x1, y2 - y1))
    return _Person(image, joints, valid, visible, head_px, _square(person))


def _square(person: Any) -> Square | None:
    places, scales = _items(getattr(person, "objpos", ())), _items(getattr(person, "scale", ()))
    if not places or not scales:
        return None
    scale = float(scales[0])
    x, y = float(_items(places[0].x)[0]), float(_items(places[0].y)[0]) + _LOWER_PX * scale
    return x - MATLAB_PIXEL_ORIGIN, y - MATLAB_PIXEL_ORIGIN, _SIDE_PX * scale


def _items(value: Any) -> list[Any]:
    """Elements of an array of any shape, as MATLAB's structs and cells are loaded."""
    return list(np.asarray(value, object if isinstance(value, tuple) else None).ravel())
