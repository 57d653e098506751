"""COCO's JSON (Lin et al., 2014): images, annotations and categories, validated one by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from poseact._utils.boundary import one_sentence
from poseact._utils.left_out import LeftOut
from poseact.data.formats.coordinates import Area, Coordinate, Length
from poseact.data.formats.label_files import read_json

_SIDE_WORDS = {"l": "left", "left": "left", "r": "right", "right": "right"}


def _or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


# For fields that are not essential.
_OR_NONE = WrapValidator(_or_none)


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a boolean is not an id")  # noqa: TRY004 - pydantic wants it
    return value


Id = Annotated[int | str, BeforeValidator(_no_bool)]
_MOST_JOINTS = 1000
_Side = Annotated[PositiveInt | None, _OR_NONE]


class Entry(BaseModel):
    """An entry of one of the lists; fields that are not declared are not read."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    name_of_one: ClassVar[str]
    name_of_all: ClassVar[str]


AnyEntry = TypeVar("AnyEntry", bound=Entry)
T = TypeVar("T")


class Image(Entry):
    """An entry of ``images``."""

    name_of_one, name_of_all = "image", "images"

    id: Id
    file_name: str
    width: _Side = None
    height: _Side = None
    video_id: Id | None = None
    # Above 2^53, float64 cannot tell neighbouring integers apart.
    frame_id: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class Annotation(Entry):
    """An entry of ``annotations``: the keypoints of a person in an image."""

    name_of_one, name_of_all = "annotation", "annotations"

    id: Id | None = None
    image_id: Id
    category_id: Id | None = None
    iscrowd: Annotated[bool | None, _OR_NONE] = None
    keypoints: list[float | None]
    bbox: Annotated[tuple[Coordinate, Coordinate, Length, Length] | None, _OR_NONE] = None
    area: Annotated[Area | None, _OR_NONE] = None

    def points(self, count: int) -> np.ndarray:
        """``(count, 3)``: x, y and v of every keypoint; NaN for null.

        Raises:
            ValueError: There are more or fewer.
        """
        if len(self.keypoints) != 3 * count:
            raise ValueError(
                f"it has {len(self.keypoints)} numbers in 'keypoints', but {3 * count} were "
                f"expected: x, y and v of {count}, with 0, 0, 0 for a joint without a label"
            )
        return np.array(self.keypoints, np.float64).reshape(count, 3)


class TrackAnnotation(Annotation):
    """An entry of ``annotations`` of a file of tracks."""

    track_id: Id
    category_id: Annotated[Id | None, _OR_NONE] = None
    label: str | None = None


class Category(Entry):
    """An entry of ``categories``: the names of its keypoints."""

    name_of_one, name_of_all = "category", "categories"

    id: Id | None = None
    name: str | None = None
    keypoints: list[str] | None = Field(default=None, max_length=_MOST_JOINTS)

    @property
    def joints(self) -> tuple[str, ...]:
        """The keypoints; ``Left Knee``, ``knee-left`` and ``l_knee`` become ``left_knee``."""
        return tuple(map(_joint_name, self.keypoints or ()))


Named = TypeVar("Named", Image, Category)


class Lists(BaseModel):
    """The lists of a file, with entries that are not yet validated."""

    images: list[Any]
    annotations: list[Any]
    categories: list[Any] | None = None


def read_lists(file: Path, what: str) -> Lists:
    """The lists at the top of a file.

    Raises:
        PoseActError: The file is missing, not JSON, or lacks a list.
    """
    content = read_json(file, what)
    with one_sentence(
        f"{file} has no lists 'images' and 'annotations' at its top ({{error}}); give {what}."
    ):
        return Lists.model_validate(content)


def use_each(
    file: Path, kind: type[AnyEntry], entries: list[Any], use: Callable[[AnyEntry, str], T]
) -> list[T]:
    """Apply a function to each valid entry; invalid ones are skipped with a warning.

    Args:
        file: The file, for messages.
        kind: What the entries are.
        entries: The list.
        use: Called with an entry and its name for messages; raises any exception to leave it out.

    Raises:
        PoseActError: None of them can be used.
    """
    left, used = LeftOut(file, kind.name_of_all), []
    for number, entry in enumerate(entries):
        identity = entry.get("id", number) if isinstance(entry, dict) else number
        place = f"{file}: {kind.name_of_one} {str(identity)[:40]}"
        with left.entry(), one_sentence(f"{place} cannot be used ({{error}}); correct it."):
            used.append(use(kind.model_validate(entry), place))
    left.finish(used)
    return used


def use_by_id(
    file: Path, kind: type[Named], entries: list[Any], use: Callable[[Named, str], T]
) -> dict[Any, T]:
    """As :func:`use_each`, by id; an entry with the id of an earlier one is left out."""
    found: dict[Any, T] = {}

    def keep(entry: Named, place: str) -> None:
        if entry.id in found:
            raise ValueError("an earlier one has this id")
        found[entry.id] = use(entry, place)

    use_each(file, kind, entries, keep)
    return found


def _joint_name(text: str) -> str:
    words = text.strip().lower().replace("-", "_").replace(" ", "_").split("_")
    for place in (0, -1):
        side = _SIDE_WORDS.get(words[place])
        if side and len(words) > 1:
            rest = words[1:] if place == 0 else words[:-1]
            return "_".join((side, *rest))
    return "_".join(words)
