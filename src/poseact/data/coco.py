"""Keypoints in COCO's JSON (Lin et al., 2014), the way to bring labelled photos of one's own.

Keypoints count pixels from 0 at the first one's centre, which is at 0.5 here. Boxes are edges, so
they stay as they are.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseact.crop import Box
from poseact.data.images import ImageFile
from poseact.data.label_files import read_json
from poseact.data.sample import PoseSample, labelled_box
from poseact.errors import PoseActError
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
    they are COCO's 17. Crowds, and people without a label, are left out.

    Args:
        root: Folder of the labels and images.
        skeleton: The skeleton to convert to.
        labels: The JSON file, in the root.
        images: Folder of the images, in the root.

    Returns:
        Samples in the order of the annotations, with the data set's box and area where it has them.

    Raises:
        PoseActError: The file is missing, not JSON or of another layout; the message names the
            annotation.
    """
    file = root / labels
    content = read_json(file, _WHAT)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations")
    ):
        raise PoseActError(
            f"{file} has no lists 'images' and 'annotations' at its top; give {_WHAT}."
        )
    names = _image_names(file, content["images"])
    layouts = _layouts(file, content.get("categories") or [], skeleton)
    samples = []
    for number, annotation in enumerate(content["annotations"]):
        if _field(annotation, "iscrowd", 0):
            continue
        identity = _field(annotation, "id", number)
        place = f"{file}: annotation {identity}"
        image = names.get(_field(annotation, "image_id", None))
        if image is None:
            raise PoseActError(
                f"{place} is of image_id {_field(annotation, 'image_id', None)!r}, but no entry "
                "of 'images' has this id; add the image or correct image_id."
            )
        category = _field(annotation, "category_id", next(iter(layouts)))
        if category not in layouts:
            raise PoseActError(
                f"{place} is of category_id {category!r}, but the categories with keypoints are "
                f"{', '.join(map(str, layouts))}; correct category_id."
            )
        person = _Person(f"{image}#{identity}", ImageFile(root / images / image), annotation)
        sample = _sample(place, person, layouts[category], skeleton)
        if sample is not None:
            samples.append(sample)
    return samples


class _Person(NamedTuple):
    name: str
    image: ImageFile
    annotation: dict[str, Any]


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
        image=person.image,
        skeleton=skeleton,
        joints=converted,
        valid=valid,
        visible=visible,
        depth_valid=np.zeros_like(valid),
        box=_box(place, person.annotation) or labelled_box(joints, flags > 0),
        area_px=float(area) if isinstance(area, int | float) and area > 0 else None,
    )


def _field(entry: Any, key: str, default: Any) -> Any:
    return entry.get(key, default) if isinstance(entry, dict) else default


def _image_names(file: Path, images: list[Any]) -> dict[Any, str]:
    names = {}
    for number, image in enumerate(images):
        if not isinstance(image, dict) or "id" not in image or "file_name" not in image:
            raise PoseActError(
                f"{file}: image {number} has no 'id' or no 'file_name'; give both for each image."
            )
        names[image["id"]] = str(image["file_name"])
    return names


def _layouts(file: Path, categories: list[Any], skeleton: Skeleton) -> dict[Any, Skeleton]:
    """The skeleton of every category with keypoints, by the category's id."""
    layouts = {}
    for category in categories:
        if isinstance(category, dict) and category.get("keypoints"):
            layout = _layout(file, category)
            if len(layout.unfillable(skeleton)) == len(skeleton):
                raise PoseActError(
                    f"{file}: no keypoint of category {category.get('name')!r} "
                    f"({', '.join(layout.joints)}) is a joint of {skeleton.name}; name them as "
                    f"{', '.join(skeleton.joints)}."
                )
            layouts[category.get("id")] = layout
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
    if not np.isfinite(values).all() or not np.isin(flags, (0, 1, 2)).all():
        raise PoseActError(
            f"{place} has {sorted(set(flags.tolist()))} as v; give finite x and y, and v = 0 for "
            "not labelled, 1 for hidden or 2 for seen."
        )
    return (values[:, :2] + _PIXEL_ORIGIN).astype(np.float32), flags


def _box(place: str, annotation: dict[str, Any]) -> Box | None:
    box = annotation.get("bbox")
    if not box:
        return None
    try:
        x, y, width, height = (float(value) for value in box)
    except (TypeError, ValueError):
        x = math.nan
        y, width, height = x, x, x
    if not (math.isfinite(x + y + width + height) and width > 0 and height > 0):
        raise PoseActError(
            f"{place} has bbox {box!r}, but x, y, width and height in px with positive sizes were "
            "expected; correct it or leave it out."
        )
    return x, y, x + width, y + height
