"""Pictures: read upright as RGB, written atomically."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, ImageFileDirectory_v2

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.media.quiet import quiet_opencv

# Flags of OpenCV for each picture format that `write_image` supports.
_ENCODER_FLAGS = {
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".png": (),
}

# Without ANYDEPTH, OpenCV refuses TIFFs of 10, 12 and 14 bits.
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH

_TWELVE_BITS = 2**12

# Formats that OpenCV decodes, by Pillow's names.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "SUN", "TIFF", "WEBP")

MAX_PIXELS = 2**25
"""Of a frame of video, and of a small picture: more than 8K television has."""

_PIXELS_PER_BYTE = 16
_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)

# Pillow also warns of valid pictures that are large or have unusual metadata.
warnings.filterwarnings("ignore", module="PIL")


def read_image(path: Path) -> np.ndarray:
    """Read a picture upright, its EXIF orientation applied.

    Args:
        path: A file of one of ``IMAGE_SUFFIXES``; grey and transparent ones are converted. Of more
            than 8 bits the highest are kept; 16-bit numbers all below 4096 are taken for 12-bit
            ones, as many cameras write them, and floating-point ones run from 0 to 1.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: The file cannot be read or holds no intact picture.
    """
    path = Path(path)
    # Not cv2.imread, which cannot open every name on Windows.
    return decode_image(picture_content(path), f"file {path}")


def picture_content(path: Path) -> bytes:
    """The bytes of a picture file, not decoded.

    Raises:
        PoseActError: The file cannot be read, or is a device or a pipe, which may have no end.
    """
    try:
        if path.exists() and not path.is_file():
            raise PoseActError(f"{path} is not a file; give a picture.")
        return path.read_bytes()
    except OSError as error:
        raise PoseActError(
            f"The picture {path} could not be read ({error.strerror}); check the path."
        ) from error


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the content of a picture file, upright.

    Args:
        content: The encoded picture.
        name: What to call it in messages.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: It is no intact picture, or it has too many pixels for its size.
    """
    _check_size(content, name)
    data = np.frombuffer(content, np.uint8)
    try:
        with quiet_opencv():
            image = cv2.imdecode(data, _AS_STORED) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise PoseActError(
            f"The {name} is not a picture that can be decoded; "
            f"it may be damaged, so replace it or leave it out."
        )
    return cv2.cvtColor(_in_8_bits(image), cv2.COLOR_BGR2RGB)


def _in_8_bits(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint16:
        return (image >> (4 if image.max() < _TWELVE_BITS else 8)).astype(np.uint8)
    if image.dtype.kind == "f":
        np.nan_to_num(image, copy=False)
        np.clip(image, 0, 1, out=image)
        return np.rint(np.multiply(image, 255, out=image), out=image).astype(np.uint8)
    return image


def _check_size(content: bytes, name: str) -> None:
    """Refuse, before decoding, pictures that take much more memory than their file."""
    with one_sentence(
        f"The {name} is not a picture that can be decoded; "
        "it may be damaged, so replace it or leave it out."
    ):
        pixels = _pixels_of(content)
    limit = min(max(MAX_PIXELS, _PIXELS_PER_BYTE * len(content)), _MOST_PIXELS)
    if pixels > limit:
        raise PoseActError(
            f"The {name} has {pixels:,} px or more in {len(content):,} bytes, but at most "
            f"{limit:,} px are read from a file of this size; make the picture smaller."
        )


def _pixels_of(content: bytes) -> int:
    """Pixels by the header alone; of a giant, some of them."""
    file = io.BytesIO(content)
    if content[:2] in (b"II", b"MM"):
        # Pillow cannot open TIFFs of some bit depths that OpenCV decodes.
        tags = ImageFileDirectory_v2(content[: 16 if 43 in content[2:4] else 8])
        file.seek(tags.next)
        tags.load(file)
        return int(tags[IMAGEWIDTH]) * int(tags[IMAGELENGTH])
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            return picture.width * picture.height
    except Image.DecompressionBombError:
        return _MOST_PIXELS + 1


def write_image(path: Path, rgb: np.ndarray) -> None:
    """Write a picture as PNG or JPEG, by the suffix of its name.

    Args:
        path: Where to; folders that are missing are made.
        rgb: ``(H, W, 3)`` uint8 RGB.

    Raises:
        PoseActError: The suffix is another, the array is no picture, or the file cannot be
            written; a file that was there stays.
    """
    path = Path(path)
    flags = _ENCODER_FLAGS.get(path.suffix.lower())
    if flags is None:
        raise PoseActError(
            f"A picture cannot be written as {path.name!r}; "
            f"give a name with a suffix of {', '.join(_ENCODER_FLAGS)}."
        )
    require_picture(rgb)
    _, data = cv2.imencode(path.suffix.lower(), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), flags)
    atomic_write(path, lambda partial: partial.write_bytes(data.tobytes()))


def require_picture(rgb: np.ndarray) -> None:
    """Check that an array is a picture.

    Raises:
        PoseActError: It is not ``(H, W, 3)`` uint8 with at least one pixel.
    """
    if not hasattr(rgb, "dtype"):
        raise PoseActError(
            f"{type(rgb).__name__} was given as a picture; give an array, such as that of "
            "poseact.media.read_image."
        )
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise PoseActError(
            f"An array of shape {rgb.shape} and type {rgb.dtype} was given as a picture; "
            f"give (height, width, 3) of uint8 RGB."
        )
