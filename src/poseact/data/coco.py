"""Keypoints in COCO's JSON (Lin et al., 2014), for labelled photos of your own.

Keypoints count pixels from 0 at the first one's centre, which is at 0.5 here. Boxes are edges, so
they stay as they are.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from poseact._utils.boundary import inside, within
from poseact._utils.errors import PoseActError
from poseact.data.formats.coco_json import (
    Annotation,
    Category,
    Id,
    Image,
    read_lists,
    use_by_id,
    use_each,
)
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample, labelled_box
from poseact.skeleton import COCO17, COCO_PIXEL_ORIGIN, PA16, Skeleton

_LISTED = 20
_WHAT = "a COCO keypoints file with images, annotations and categories"


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
    they are COCO's 17. Crowds and people without a label are left out; entries that cannot be used,
    such as objects that have a box only, are left out with a warning. A box that is missing or
    invalid is replaced by that of the keypoints.

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
    lists = read_lists(file, _WHAT)
    pictures = use_by_id(file, Image, lists.images, partial(_picture, root / images))
    layouts = _layouts(file, lists.categories or [], skeleton)
    read = partial(_sample, pictures, layouts, skeleton)
    # Samples are named by the ids of annotations, or else by their places in the list.
    people = [
        {"id": number, **entry} if isinstance(entry, dict) else entry
        for number, entry in enumerate(lists.annotations)
    ]
    samples = use_each(file, Annotation, people, read)
    return [sample for sample in samples if sample is not None]


class _Picture(NamedTuple):
    name: str
    image: ImageFile
    size: tuple[int, int] | None


def _picture(folder: Path, image: Image, _: str) -> _Picture:
    size = (image.width, image.height) if image.width and image.height else None
    path = inside(folder, image.file_name)
    return _Picture(image.file_name, ImageFile(path), size)


def _layouts(file: Path, categories: list[object], skeleton: Skeleton) -> dict[Id | None, Skeleton]:
    """The skeleton of every category with keypoints, by the category's id."""
    named = [entry for entry in categories if isinstance(entry, dict)]
    with_keypoints = [entry for entry in named if entry.get("keypoints")]
    if not with_keypoints:
        ids = use_by_id(file, Category, list(named), lambda *_: COCO17)
        return ids or {1: COCO17}
    return use_by_id(file, Category, with_keypoints, partial(_layout, skeleton))


def _layout(skeleton: Skeleton, category: Category, place: str) -> Skeleton:
    joints = category.joints
    layout = COCO17 if joints == COCO17.joints else Skeleton(category.name or "custom", joints)
    if len(layout.unfillable(skeleton)) == len(skeleton):
        raise PoseActError(
            f"{place} has the keypoints {', '.join(joints[:_LISTED])}, but none of them is a joint "
            f"of {skeleton.name}; name them as {', '.join(skeleton.joints)}."
        )
    return layout


def _sample(
    pictures: dict[Id, _Picture],
    layouts: dict[Id | None, Skeleton],
    skeleton: Skeleton,
    person: Annotation,
    place: str,
) -> PoseSample | None:
    """None for a crowd and for a person without any label of the skeleton."""
    if person.iscrowd:
        return None
    if person.image_id not in pictures:
        raise PoseActError(
            f"{place} has image_id {person.image_id!r}, but no entry of 'images' has this id; "
            "add the image or correct image_id."
        )
    category = next(iter(layouts)) if person.category_id is None else person.category_id
    if category not in layouts:
        raise PoseActError(
            f"{place} has category_id {category!r}, but the categories with keypoints are "
            f"{', '.join(map(repr, layouts))}; correct category_id."
        )
    picture, layout = pictures[person.image_id], layouts[category]
    joints, flags = _keypoints(person, place, layout)
    converted, valid = layout.convert(joints, flags > 0, skeleton)
    _, visible = layout.convert(joints, flags > 1, skeleton)
    if not valid.any():
        return None
    box = labelled_box(joints, flags > 0)
    if person.bbox is not None:
        x, y, width, height = person.bbox
        box = x, y, x + width, y + height
    return PoseSample(
        name=f"{picture.name}#{person.id}",
        image=picture.image,
        skeleton=skeleton,
        joints=converted,
        valid=valid,
        visible=visible,
        depth_valid=np.zeros_like(valid),
        box=box,
        area_px=person.area,
        picture_size=picture.size,
    )


def _keypoints(person: Annotation, place: str, layout: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """``(J, 2)`` px and ``(J,)`` flags 0, 1, 2."""
    values = person.points(len(layout))
    flags = values[:, 2]
    # Some tools write NaN or null for the place of a joint without a label.
    values[flags == 0] = 0
    if not within(values).all() or not np.isin(flags, (0, 1, 2)).all():
        raise PoseActError(
            f"{place} has {sorted(set(flags.tolist()))} as v; give x and y in px, and v = 0 for "
            "not labelled, 1 for hidden or 2 for seen."
        )
    return (values[:, :2] + COCO_PIXEL_ORIGIN).astype(np.float32), flags
