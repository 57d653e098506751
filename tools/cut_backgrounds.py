"""Cut the parts without a person out of the exercise photos, as backgrounds of synthetic pictures.

Run: ``python tools/cut_backgrounds.py shared/data/exercise_photos OUT``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from poseact.data.blazepose import read_blazepose
from poseact.media import read_image, write_image

# Landmarks end at wrists, ankles and ears; hands, feet, hair and what is held reach further.
MARGIN = 0.18
MIN_SIDE_PX = 110
MIN_SHARE = 0.12
# Where landmarks are unsure, the person may be elsewhere.
MIN_VISIBILITY = 0.8

# Found by eye: a second person, or one whom the landmarks miss.
PEOPLED = frozenset(
    {
        "Adductor_Groin_0",
        "Adductor_Groin_1",
        "Behind_Head_Chest_Stretch_0",
        "Behind_Head_Chest_Stretch_1",
        "Close-Grip_Front_Lat_Pulldown_0",
        "Close-Grip_Front_Lat_Pulldown_1",
        "Floor_Glute-Ham_Raise_0",
        "Floor_Glute-Ham_Raise_1",
        "Lying_Bent_Leg_Groin_0",
        "Medicine_Ball_Chest_Pass_0",
        "Medicine_Ball_Chest_Pass_1",
        "Prone_Manual_Hamstring_1",
        "Seated_Biceps_0",
        "Seated_Biceps_1",
        "Seated_Front_Deltoid_0",
        "Seated_Front_Deltoid_1",
        "Seated_Glute_0",
        "Seated_Glute_1",
        "Seated_Hamstring_0",
        "Single-Leg_Hop_Progression_0",
        "Single-Leg_Hop_Progression_1",
        "Standing_Towel_Triceps_Extension_0",
    }
)


def person_free(landmarks: np.ndarray, width: int, height: int) -> tuple[int, int, int, int] | None:
    """The largest strip x0, y0, x1, y1 beside, above or below all landmarks ``(33, 2)`` px."""
    low, high = landmarks.min(0), landmarks.max(0)
    margin = MARGIN * (high - low).max()
    (left, top), (right, bottom) = low - margin, high + margin
    strips = (
        (0, 0, int(left), height),
        (int(right), 0, width, height),
        (0, 0, width, int(top)),
        (0, int(bottom), width, height),
    )
    best = max(strips, key=lambda s: max(s[2] - s[0], 0) * max(s[3] - s[1], 0))
    sides = best[2] - best[0], best[3] - best[1]
    large = min(sides) >= MIN_SIDE_PX and sides[0] * sides[1] >= MIN_SHARE * width * height
    return best if large else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with np.load(args.root / "blazepose.npz") as archive:
        names, landmarks = archive["names"], archive["landmarks"]
    # The rooms of the held-out photos are held out too.
    learned_from = {sample.name for sample in read_blazepose(args.root, part="train")}
    for name, points in zip(names, landmarks, strict=True):
        if str(name) not in learned_from:
            continue
        if points[:, 3].mean() < MIN_VISIBILITY or Path(str(name)).stem in PEOPLED:
            continue
        image = read_image(args.root / "images" / str(name))
        strip = person_free(points[:, :2], image.shape[1], image.shape[0])
        if strip is not None:
            x0, y0, x1, y1 = strip
            write_image(args.out / f"{Path(str(name)).stem}.jpg", image[y0:y1, x0:x1])


if __name__ == "__main__":
    main()
