"""Pictures without people, from which the confidence learns what is nobody."""

from pathlib import Path

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.data.images import ImageFile
from poseact.data.sample import PoseSample
from poseact.media import IMAGE_SUFFIXES, find_media, read_image
from poseact.skeleton import PA16, Skeleton

SMALLEST = 0.2
FAR = 100.0


def read_backgrounds(
    root: Path, skeleton: Skeleton = PA16, *, windows: int = 8
) -> list[PoseSample]:
    """Windows of all pictures of a folder, as people none of whose joints is in the picture.

    Every joint is labelled far outside, so none is ever inside a crop or correct.

    Args:
        root: Folder of pictures, such as those of ``tools/cut_backgrounds.py``.
        skeleton: The skeleton of the samples.
        windows: Windows of each picture, of ``SMALLEST`` to all of each side; the same each time.

    Returns:
        ``windows`` samples a picture, named ``STEM_NUMBER``, with ``(J, 2)`` joints.

    Raises:
        PoseActError: The folder has no pictures, one cannot be read, or ``windows`` is below 1.
    """
    if windows < 1:
        raise PoseActError(f"windows={windows} was given; give 1 or more windows a picture.")
    samples: list[PoseSample] = []
    everything = np.ones(len(skeleton), bool)
    pictures = [path for path in find_media(root) if path.suffix.lower() in IMAGE_SUFFIXES]
    for number, path in enumerate(pictures):
        height, width = read_image(path).shape[:2]
        size = np.array((width, height), float)
        rng = np.random.default_rng(number)
        # Not all in one place: a person without a torso would not count.
        joints = -size * (FAR + np.linspace(0, 1, len(skeleton))[:, None])
        for window in range(windows):
            sides = size * rng.uniform(SMALLEST, 1, 2)
            low = rng.uniform(0, size - sides)
            (x0, y0), (x1, y1) = low.tolist(), (low + sides).tolist()
            samples.append(
                PoseSample(
                    name=f"{path.stem}_{window}",
                    image=ImageFile(path),
                    skeleton=skeleton,
                    joints=joints.astype(np.float32),
                    valid=everything,
                    visible=~everything,
                    depth_valid=~everything,
                    box=(x0, y0, x1, y1),
                )
            )
    return samples
