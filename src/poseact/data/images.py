"""Image sources: a file, a member of a shard, or a frame of a video."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.media import decode_image, read_image


class ImageSource(Protocol):
    """A picture that can be read when it is needed; ``str`` gives its name for messages."""

    def exists(self) -> bool:
        """Whether there is something to read, without reading it."""
        ...

    def read(self) -> np.ndarray:
        """``(H, W, 3)`` uint8 RGB.

        Raises:
            PoseActError: The picture is missing or cannot be decoded.
        """
        ...


@dataclass(frozen=True)
class ImageFile:
    """A picture file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.is_file()

    def read(self) -> np.ndarray:
        return read_image(self.path)


@dataclass(frozen=True)
class ShardMember:
    """A picture inside an uncompressed tar file, at a byte offset."""

    shard: Path
    member: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}:{self.member}"

    def exists(self) -> bool:
        """Whether the shard exists and is long enough."""
        return self.shard.is_file() and self.shard.stat().st_size >= self.offset + self.size

    def content(self, start: int = 0, size: int | None = None) -> bytes:
        """The bytes of the member, or some of them.

        Raises:
            PoseActError: The shard cannot be read.
        """
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset + start)
                return file.read(self.size if size is None else size)
        except OSError as error:
            raise PoseActError(
                f"{self} cannot be read ({error.strerror}); check the shard."
            ) from error

    def read(self) -> np.ndarray:
        return decode_image(self.content(), str(self))


def images_inside(folder: Path, names: Sequence[str]) -> dict[int, ImageFile]:
    """Image files by the index of their names in a label file.

    Names that lead out of the folder are left out with a warning.

    Raises:
        PoseActError: No name can be used.
    """
    left, images = LeftOut(folder, "names of images"), dict[int, ImageFile]()
    for number, name in enumerate(names):
        message = f"Image {number} of {folder} cannot be used ({{error}}); correct its name."
        with left.entry(), one_sentence(message):
            images[number] = ImageFile(inside(folder, name))
    left.finish(images)
    return images
