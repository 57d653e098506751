"""Label the people of videos and pictures by MoveNet Thunder as published, for free weights.

    python tools/label_videos.py data/movenet/movenet-thunder.safetensors OUT FILE_OR_FOLDER...

Writes a COCO keypoints data set: OUT/annotations.json and OUT/images. People are found by the
detector; a joint is labelled where the teacher is sure of it in the upright crop and in its mirror
image, and finds it at the same place in both.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from poseact._utils.files import write_json
from poseact.inference.detect import PersonDetector
from poseact.media import VIDEO_SUFFIXES, VideoReader, find_media, read_image, write_image
from poseact.media.crop import crop_matrix, person_square, to_frames, transform_points, warp_image
from poseact.skeleton import COCO17

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.movenet import PublishedMoveNet, decode_single

SIZE = 256
PERSON_SCORE = 0.4
MIN_HEIGHT_PX = 80
JOINT_SCORE = 0.35
MIN_JOINTS = 8
# Of the crop's side, between the two answers.
AGREEMENT = 0.03


def pictures(sources: list[Path], every_s: float) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures ``(H, W, 3)``: all images, and a frame of a video each ``every_s``."""
    for file in (file for source in sources for file in find_media(source)):
        if file.suffix.lower() not in VIDEO_SUFFIXES:
            yield file.stem, read_image(file)
            continue
        due = 0.0
        for frame in VideoReader(file):
            if frame.time >= due:
                yield f"{file.stem}-{frame.time:.2f}", frame.image
                due = frame.time + every_s


@torch.inference_mode()
def label(teacher: PublishedMoveNet, image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``(17, 3)`` x, y in px of the picture and 2 where the joint is labelled, else zeros."""
    crop = torch.from_numpy(warp_image(image, matrix, SIZE))
    views = to_frames(torch.stack((crop, crop.flip(1))))[:, 0]
    straight, mirrored = (decode_single(teacher(view[None])).numpy() for view in views)
    mirrored = mirrored[list(COCO17.flip_indices)]
    mirrored[:, 1] = 1 - mirrored[:, 1]
    sure = np.minimum(straight[:, 2], mirrored[:, 2]) >= JOINT_SCORE
    sure &= np.linalg.norm(straight[:, :2] - mirrored[:, :2], axis=1) <= AGREEMENT
    places = (straight[:, [1, 0]] + mirrored[:, [1, 0]]) / 2
    # COCO counts from 0 at the first pixel's centre.
    points = transform_points(np.linalg.inv(matrix), places) - 0.5
    return np.where(sure[:, None], np.column_stack((points, np.full(17, 2))), 0)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("teacher", type=Path, help="file of tools/convert_movenet.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between frames")
    args = parser.parse_args()
    teacher, detector = PublishedMoveNet.read(args.teacher), PersonDetector()
    images, people = [], []
    for name, image in pictures(args.sources, args.every):
        before = len(people)
        for person in detector.find(image, PERSON_SCORE):
            x0, y0, x1, y1 = person.box
            joints = label(teacher, image, crop_matrix(person_square(person.box)))
            if y1 - y0 < MIN_HEIGHT_PX or (joints[:, 2] > 0).sum() < MIN_JOINTS:
                continue
            people.append(
                {
                    "id": len(people),
                    "image_id": len(images),
                    "category_id": 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": person.area,
                    "keypoints": joints.ravel().round(2).tolist(),
                    "num_keypoints": int((joints[:, 2] > 0).sum()),
                }
            )
        if len(people) > before:
            file = f"{len(images):05d}-{name}.jpg"
            write_image(args.out / "images" / file, image)
            images.append({"id": len(images), "file_name": file})
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    labels = {"images": images, "annotations": people, "categories": [category]}
    write_json(args.out / "annotations.json", labels)
    logging.info("%d people in %d pictures: %s", len(people), len(images), args.out)


if __name__ == "__main__":
    main()
