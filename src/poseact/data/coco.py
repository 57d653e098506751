"""Keypoints in COCO's JSON (Lin et al., 2014), the way to bring labelled photos of one's own.

Keypoints count pixels from 0 at the first one's centre, which is at 0.5 here. Boxes are edges, so
they stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.data.formats.label_files import read_json
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample, labelled_box
from poseact.media.crop import Box
from poseact.skeleton import COCO17, PA16, Skeleton

_PIXEL_ORIGIN = 0.5
_WHAT = "a COCO keypoints file with images, annotations and categories"

_SIDE_WORDS = {"l": "left", "left": "left", "r": "right", "right": "right"}


def read_coco(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    labels: str = "annotations.json",
    images: str = "images",
) -> list[PoseSample]:
    """Read the people of a keypoints file.

    A keypoint is x, y and v: 0 for not labelled, 1 for labelled and hidden, 2 for labelled and
    seen. Names of the keypoints come from the category, so that their order is free; without any
    they are COCO's 17. Crowds, and people without a label, are left out; so are, with a warning,
    entries that cannot be used, such as things that have a box only. A box that is none is replaced
    by that of the keypoints.

    Args:
        root: Folder of the labels and images.
        skeleton: The skeleton to convert to.
        labels: The JSON file, in the root.
        images: Folder of the images, in the root.

    Returns:
        Samples in the order of the annotations, with the data set's box and area where it has them.

    Raises:
        PoseActError: The file is missing, not JSON or of another layout, or no annotation can be
            used; the message names the first.
    """
    file = root / labels
    content = read_json(file, _WHAT)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise PoseActError(
            f"{file} has no lists 'images' and 'annotations' at its top; give {_WHAT}."
        )
    with one_sentence(f"{file} is not {_WHAT} ({{error}}); correct it."):
        pictures = _pictures(file, content["images"], root / images)
        layouts = _layouts(file, content.get("categories") or [], skeleton)
    left, samples = LeftOut(file, "annotations"), []
    for number, annotation in enumerate(content["annotations"]):
        if _field(annotation, "iscrowd", 0):
            continue
        identity = _field(annotation, "id", number)
        place = f"{file}: annotation {identity}"
        with left.entry(), one_sentence(f"{place} makes no sense ({{error}}); correct it."):
            person = _person(place, identity, annotation, pictures)
            sample = _sample(place, person, _layout_of(place, annotation, layouts), skeleton)
            if sample is not None:
                samples.append(sample)
    left.finish(samples)
    return samples


class _Picture(NamedTuple):
    name: str
    image: ImageFile
    size: tuple[int, int] | None


class _Person(NamedTuple):
    name: str
    picture: _Picture
    annotation: dict[str, Any]


def _person(place: str, identity: Any, annotation: Any, pictures: dict[Any, _Picture]) -> _Person:
    image = _field(annotation, "image_id", None)
    picture = pictures.get(image) if isinstance(image, Hashable) else None
    if picture is None:
        raise PoseActError(
            f"{place} is of image_id {image!r}, but no entry of 'images' has this id; add the "
            "image or correct image_id."
        )
    return _Person(f"{picture.name}#{identity}", picture, annotation)


def _layout_of(place: str, annotation: Any, layouts: dict[Any, Skeleton]) -> Skeleton:
    category = _field(annotation, "category_id", next(iter(layouts)))
    layout = layouts.get(category) if isinstance(category, Hashable) else None
    if layout is None:
        raise PoseActError(
            f"{place} is of category_id {category!r}, but the categories with keypoints are "
            f"{', '.join(map(str, layouts))}; correct category_id."
        )
    return layout


def _sample(place: str, person: _Person, layout: Skeleton, skeleton: Skeleton) -> PoseSample | None:
    """None for a person without any label of the skeleton."""
    joints, flags = _keypoints(place, person.annotation, layout)
    converted, valid = layout.convert(joints, flags > 0, skeleton)
    _, visible = layout.convert(joints, flags > 1, skeleton)
    if not valid.any():
        return None
    area = person.annotation.get("area")
    return PoseSample(
        name=person.name,
        image=person.picture.image,
        skeleton=skeleton,
        joints=converted,
        valid=valid,
        visible=visible,
        depth_valid=np.zeros_like(valid),
        box=_box(person.annotation) or labelled_box(joints, flags > 0),
        area_px=float(area) if isinstance(area, int | float) and area > 0 else None,
        picture_size=person.picture.size,
    )


def _field(entry: Any, key: str, default: Any) -> Any:
    return entry.get(key, default) if isinstance(entry, dict) else default


def _pictures(file: Path, images: list[Any], folder: Path) -> dict[Any, _Picture]:
    """Pictures by their id."""
    left, pictures = LeftOut(file, "images"), {}
    for number, image in enumerate(images):
        message = f"{file}: image {number} cannot be used ({{error}}); correct it."
        with left.entry(), one_sentence(message):
            identity, name = _field(image, "id", None), _field(image, "file_name", None)
            if name is None or identity is None or not isinstance(identity, Hashable):
                raise PoseActError(
                    f"{file}: image {number} has no 'id' or no 'file_name'; give both for each "
                    "image."
                )
            size = image.get("width"), image.get("height")
            stated = all(isinstance(side, int) and side > 0 for side in size)
            pictures[identity] = _Picture(
                str(name), ImageFile(inside(folder, str(name))), size if stated else None
            )
    left.finish(pictures)
    return pictures


def _layouts(file: Path, categories: list[Any], skeleton: Skeleton) -> dict[Any, Skeleton]:
    """The skeleton of every category with keypoints, by the category's id."""
    left, layouts = LeftOut(file, "categories"), {}
    for category in categories:
        if isinstance(category, dict) and category.get("keypoints"):
            message = f"{file}: a category cannot be used ({{error}}); correct it."
            with left.entry(), one_sentence(message):
                layout = _layout(file, category)
                if len(layout.unfillable(skeleton)) == len(skeleton):
                    raise PoseActError(
                        f"{file}: no keypoint of category {category.get('name')!r} "
                        f"({', '.join(layout.joints)}) is a joint of {skeleton.name}; name them as "
                        f"{', '.join(skeleton.joints)}."
                    )
                layouts[category.get("id")] = layout
    left.finish(layouts)
    if not layouts and any(isinstance(entry, dict) for entry in categories):
        layouts = {entry.get("id"): COCO17 for entry in categories if isinstance(entry, dict)}
    return layouts or {1: COCO17}


def _layout(file: Path, category: dict[str, Any]) -> Skeleton:
    joints = tuple(_joint_name(str(name)) for name in category["keypoints"])
    if joints == COCO17.joints:
        return COCO17
    limbs = category.get("skeleton") or []
    try:
        # COCO counts the ends of limbs from 1.
        named = tuple((joints[int(a) - 1], joints[int(b) - 1]) for a, b in limbs)
    except (IndexError, TypeError, ValueError) as error:
        raise PoseActError(
            f"{file}: the category's 'skeleton' is {limbs!r}, but pairs of numbers from 1 to "
            f"{len(joints)} were expected; correct it or leave it out."
        ) from error
    return Skeleton(str(category.get("name", "custom")), joints, named)


def _joint_name(text: str) -> str:
    """``Left Knee``, ``knee-left`` and ``l_knee`` are ``left_knee``."""
    words = text.strip().lower().replace("-", "_").replace(" ", "_").split("_")
    for place in (0, -1):
        side = _SIDE_WORDS.get(words[place])
        if side and len(words) > 1:
            rest = words[1:] if place == 0 else words[:-1]
            return "_".join((side, *rest))
    return "_".join(words)


def _keypoints(place: str, annotation: Any, layout: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """``(J, 2)`` px and ``(J,)`` flags 0, 1, 2."""
    given = _field(annotation, "keypoints", None)
    expected = f"{len(layout)} keypoints of {layout.name}, x, y and v of each"
    if not isinstance(given, list) or len(given) != 3 * len(layout):
        count = f"{len(given)} numbers" if isinstance(given, list) else "no list"
        raise PoseActError(
            f"{place} has {count} in 'keypoints', but {3 * len(layout)} were expected: {expected}; "
            "give 0, 0, 0 for a joint without a label."
        )
    try:
        values = np.array(given, np.float64).reshape(-1, 3)
    except (TypeError, ValueError) as error:
        raise PoseActError(
            f"{place} has something other than numbers in 'keypoints'; give {expected}."
        ) from error
    flags = values[:, 2]
    # Some tools write NaN or null for the place of a joint without a label.
    values[flags == 0] = 0
    if not np.isfinite(values).all() or not np.isin(flags, (0, 1, 2)).all():
        raise PoseActError(
            f"{place} has {sorted(set(flags.tolist()))} as v; give finite x and y, and v = 0 for "
            "not labelled, 1 for hidden or 2 for seen."
        )
    return (values[:, :2] + _PIXEL_ORIGIN).astype(np.float32), flags


def _box(annotation: dict[str, Any]) -> Box | None:
    """None where there is no box of four numbers with positive sizes."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        return None
    return x, y, x + width, y + height
