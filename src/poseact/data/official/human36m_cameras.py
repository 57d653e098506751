"""The cameras of Human3.6M: ``metadata.xml`` of its release, or the pickle packed for mmpose."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact.data.camera import Camera, Row
from poseact.data.formats.label_files import require_file
from poseact.data.mmpose_files import read_cameras

VIEWS = ("54138969", "55011271", "58860488", "60457274")
"""Names of the four cameras, in the order of the release."""

_SUBJECTS = tuple(f"S{number}" for number in range(1, 12))

# Three angles and a position for each camera and subject, then the lens of each camera.
_PLACING, _LENS = 6, 9
_COUNT = len(VIEWS) * (len(_SUBJECTS) * _PLACING + _LENS)


def read_human36m_cameras(path: Path) -> dict[tuple[str, str], Camera]:
    """Read the cameras by subject and name, such as ``("S1", "54138969")``.

    The release keeps them as the vector ``w0`` of 300 numbers: the angles in radians and the place
    in mm of each camera for each of the subjects 1 to 11, then the focal lengths, the principal
    point, three radial and two tangential coefficients of each camera. The rotation is
    Rx(a) Ry(b) Rz(c) (its software ``H36MCamera``, and Martinez et al., 2017).

    Args:
        path: ``metadata.xml``, or mmpose's ``cameras.pkl``, by its suffix.

    Raises:
        PoseActError: The file is missing, damaged or of another structure.
    """
    if path.suffix == ".pkl":
        return read_cameras(path)
    numbers = _numbers(path)
    split = len(VIEWS) * len(_SUBJECTS) * _PLACING
    placings = numbers[:split].reshape(len(VIEWS), len(_SUBJECTS), _PLACING)
    lenses = numbers[split:].reshape(len(VIEWS), _LENS)
    return {
        (subject, view): _camera(placings[v, s], lenses[v])
        for s, subject in enumerate(_SUBJECTS)
        for v, view in enumerate(VIEWS)
    }


def _numbers(path: Path) -> np.ndarray:
    what = f"Human3.6M's metadata.xml with {_COUNT} numbers in w0"
    require_file(path, what)
    with one_sentence(
        f"{path} is not {what} ({{error}}); give the file of the data set's software."
    ):
        found = ElementTree.parse(path).getroot().find(".//w0")
        text = "" if found is None or found.text is None else found.text
        numbers = np.array([float(word) for word in text.strip(" []\n\r\t").split()])
        if len(numbers) != _COUNT:
            raise ValueError(f"it has {len(numbers)}")
    return numbers


def _camera(placing: np.ndarray, lens: np.ndarray) -> Camera:
    x, y, z = (_turn(axis, angle) for axis, angle in enumerate(placing[:3].tolist()))
    rows: list[Row] = [tuple(row) for row in (x @ y @ z).tolist()]
    fx, fy, cx, cy, k1, k2, k3, p0, p1 = lens.tolist()
    tx, ty, tz = placing[3:].tolist()
    return Camera(
        focal=(fx, fy),
        centre=(cx, cy),
        rotation=(rows[0], rows[1], rows[2]),
        translation=(tx, ty, tz),
        radial=(k1, k2, k3),
        tangential=(p0, p1),
    )


def _turn(axis: int, angle: float) -> np.ndarray:
    """``(3, 3)`` right-handed rotation about an axis by an angle in radians."""
    out = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[a, a] = out[b, b] = np.cos(angle)
    out[b, a] = np.sin(angle)
    out[a, b] = -out[b, a]
    return out
