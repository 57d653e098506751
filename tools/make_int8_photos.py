"""Pack the photos on which the loss by 8-bit numbers is measured.

python tools/make_int8_photos.py ../shared/data/exercise_photos src/poseact/assets/int8_photos.npz

The photos are of the part that no recipe trains on, public domain (free-exercise-db), with labels
by MediaPipe BlazePose full (Apache-2.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from poseact.data.blazepose import read_blazepose
from poseact.data.sample import labelled_box
from poseact.media.crop import crop_matrix, person_square, transform_points, warp_image
from poseact.runtime.int8_photos import JOINTS
from poseact.skeleton import Skeleton

COUNT = 48
SIDE_PX = 256
QUALITY = 82


def main(root: Path, target: Path) -> None:
    samples = read_blazepose(root, Skeleton("limbs", JOINTS), part="held-out")
    whole = [s for s in samples if s.valid.all() and s.name.endswith("_0.jpg")]
    chosen = [whole[i] for i in np.linspace(0, len(whole) - 1, COUNT).round().astype(int)]
    photos, joints = [], []
    for sample in chosen:
        matrix = crop_matrix(person_square(labelled_box(sample.joints, sample.valid)))
        crop = warp_image(sample.image.read(), matrix, SIDE_PX)
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        photos.append(cv2.imencode(".jpg", crop[..., ::-1], options)[1].ravel())
        joints.append(transform_points(matrix, sample.joints[:, :2]))
    sizes = np.array([len(photo) for photo in photos])
    np.savez(
        target,
        names=np.array([sample.name for sample in chosen]),
        jpeg=np.concatenate(photos),
        sizes=sizes,
        joints=np.array(joints, np.float32),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
