"""Evaluation of person detection in whole photos, and of the poses in detected boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from poseact._utils.boundary import inside, one_sentence
from poseact._utils.errors import PoseActError
from poseact.data.formats.label_files import read_json
from poseact.evaluation.oks import coco_evaluation, oks_sigmas
from poseact.inference.boxes import square_of
from poseact.inference.detect import LOOKS, Person, PersonDetector
from poseact.inference.predictor import DEFAULT_WEIGHTS, Predictor
from poseact.media import read_image
from poseact.metrics import overlaps
from poseact.runtime.interface import DEFAULT_PRECISION
from poseact.skeleton import COCO17, COCO_PIXEL_ORIGIN

_WHAT = "a COCO file with images and annotations of people"
_SAME_BOX = 0.5
# Less confident people cost a pose each and change the average precision by less than 0.001.
_LEAST_SCORE = 0.03


class PeopleScores(NamedTuple):
    """Scores on a set of photos, as fractions.

    Attributes:
        photos: Number of photos.
        people: Number of labelled people.
        ap: Average precision of the boxes, mean over overlaps of 0.50, 0.55, … 0.95.
        ap50: At 0.50.
        small: ``ap`` of people of less than 32 x 32 px.
        medium: Of less than 96 x 96 px.
        large: Of the others.
        ar10: Average recall with at most 10 people a photo.
        empty: Number of photos without people.
        false_people: People whom a prediction shows in these.
        tall4: Share, at an overlap of 0.5, of the people taller than a quarter of the photo whom a
            prediction shows.
        tall8: Of those taller than an eighth.
        precision: Share of the people shown who are labelled, each once.
        oks_ap: Average precision of the poses over the keypoint similarity.
    """

    photos: int
    people: int
    ap: float
    ap50: float
    small: float
    medium: float
    large: float
    ar10: float
    empty: int
    false_people: int
    tall4: float
    tall8: float
    precision: float
    oks_ap: float


@dataclass
class LabelledPhoto:
    """A labelled photo and the people found in it.

    Attributes:
        number: Its id.
        path: The picture.
        people: Annotations in the form of COCO's JSON.
        found: People found, of any score.
        poses: ``(N, 17, 2)`` px of them.
        shown: Those whom a prediction shows.
        height: Of the picture in px.
    """

    number: int
    path: Path
    people: list[dict[str, Any]]
    found: list[Person] = field(default_factory=list)
    poses: np.ndarray = field(default_factory=lambda: np.zeros((0, len(COCO17), 2)))
    shown: list[Person] = field(default_factory=list)
    height: int = 0

    @property
    def half(self) -> int:
        """0 for the photos by which the threshold was chosen, 1 for the others."""
        return hashlib.sha256(str(self.number).encode()).digest()[-1] % 2


@dataclass
class PeopleReport:
    """An evaluation.

    Attributes:
        scores: By the set of photos.
        detector_s: Processor seconds per photo to find people.
    """

    scores: dict[str, PeopleScores]
    detector_s: float


def eval_people(
    folder: str | Path,
    labels: str = "annotations.json",
    *,
    images: str = "images",
    weights: str | Path = DEFAULT_WEIGHTS,
    looks: Sequence[int] = LOOKS.sizes,
    close_looks: Sequence[float] = LOOKS.close,
    device: str | None = None,
    runtime: str | None = None,
    precision: str = DEFAULT_PRECISION,
    on_photo: Callable[[int, int], None] | None = None,
) -> PeopleReport:
    """Score the person detector, and the poses of weights in its boxes.

    Protocol: COCO's boxes and keypoints, computed by ``COCOeval``, on whole photos; joints that the
    weights' skeleton lacks do not count; people without labelled joints do not count for poses.

    Args:
        folder: Folder with the labels and images.
        labels: COCO file in the folder.
        images: Folder of the images in the folder.
        weights: Weights of the pose network.
        looks: Picture sizes of the detector, as the longest side in px.
        close_looks: Relative sizes of the crops in which uncertain people are detected again.
        device: Where to run; by default CUDA if available.
        runtime: Runtime of the pose network, see :func:`~poseact.runtime.pose_reader.open_pose`.
        precision: Number format of the pose network, see there.
        on_photo: Called with the photos done and their total.

    Raises:
        PoseActError: Weights, labels or a photo cannot be read.
    """
    root = Path(folder)
    photos = read_photos(root / labels, root / images)
    search = LOOKS._replace(sizes=looks, close=close_looks)
    predictor = Predictor(weights, device=device, runtime=runtime, precision=precision)
    detector = predictor.detector or PersonDetector(device)
    taken = 0.0
    skeleton = predictor.skeleton
    for done, photo in enumerate(photos, 1):
        picture = read_image(photo.path)
        photo.height = len(picture)
        began = process_time()
        photo.found = detector.find(picture, _LEAST_SCORE, search)
        taken += process_time() - began
        readings = predictor.read(picture, [square_of(person.box) for person in photo.found])
        photo.shown = [one for one, _ in predictor.shown(photo.found, readings)]
        every = np.ones(len(skeleton), bool)
        joints = [
            skeleton.convert(reading.pose.joints[:, :2], every, COCO17)[0] for reading in readings
        ]
        photo.poses = np.array(joints).reshape(-1, len(COCO17), 2)
        if on_photo is not None:
            on_photo(done, len(photos))
    shared = np.isin(COCO17.joints, skeleton.joints)
    parts = {
        "both halves": photos,
        "first half": [photo for photo in photos if photo.half == 0],
        "second half": [photo for photo in photos if photo.half == 1],
    }
    scores = {name: score_people(part, shared) for name, part in parts.items() if part}
    return PeopleReport(scores, taken / len(photos))


def read_photos(labels: Path, images: Path) -> list[LabelledPhoto]:
    """The photos of a label file, including those without people.

    Raises:
        PoseActError: It is missing, damaged, or has no photos.
    """
    content = read_json(labels, _WHAT)
    photos: dict[int, LabelledPhoto] = {}
    with one_sentence(f"{labels} is not {_WHAT} ({{error}}); correct it."):
        for entry in content["images"]:
            number = int(entry["id"])
            photos[number] = LabelledPhoto(number, inside(images, entry["file_name"]), [])
        for identity, entry in enumerate(content["annotations"], 1):
            x, y, width, height = (float(value) for value in entry["bbox"])
            joints = np.zeros((len(COCO17), 3))
            joints[:] = np.reshape(entry.get("keypoints", joints), joints.shape)
            person = {"id": identity, "category_id": 1, "bbox": [x, y, width, height]}
            person |= {"area": float(entry.get("area", width * height)), "keypoints": joints}
            person |= {"iscrowd": int(entry.get("iscrowd", 0)), "image_id": int(entry["image_id"])}
            photos[person["image_id"]].people.append(person)
    if not photos:
        raise PoseActError(f"{labels} lists no images; give {_WHAT}.")
    return list(photos.values())


def score_people(photos: Sequence[LabelledPhoto], shared: np.ndarray) -> PeopleScores:
    """Score the people found in photos.

    Args:
        photos: With what was found in them.
        shared: ``(17,)`` joints that the weights give.
    """
    numbers = [photo.number for photo in photos]
    truth, found = [], []
    for photo in photos:
        for person in photo.people:
            joints = person["keypoints"][shared]
            labelled = int((joints[:, 2] > 0).sum())
            truth.append(person | {"keypoints": joints.ravel().tolist(), "num_keypoints": labelled})
        for person, pose in zip(photo.found, photo.poses, strict=True):
            joints = np.column_stack((pose[shared] - COCO_PIXEL_ORIGIN, np.ones(shared.sum())))
            box = person.box
            row = {"image_id": photo.number, "category_id": 1, "score": person.score}
            size = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            found.append(row | {"bbox": size, "keypoints": joints.ravel().tolist()})
    rows = [_without(row, "keypoints") for row in found]
    boxes = coco_evaluation(truth, rows, numbers)[[0, 1, 3, 4, 5, 7]].tolist()
    poses = [_without(row, "bbox") for row in found]
    stats = coco_evaluation(truth, poses, numbers, oks_sigmas(COCO17)[shared])
    empty = [photo for photo in photos if not photo.people]
    false_people = sum(len(photo.shown) for photo in empty)
    tall = [share_shown(photos, share)[0] for share in (1 / 4, 1 / 8)]
    precision = share_shown(photos, 0)[1]
    values = (len(photos), len(truth), *boxes, len(empty), false_people, *tall, precision)
    return PeopleScores._make((*values, float(stats[0])))


def share_shown(photos: Sequence[LabelledPhoto], share: float) -> tuple[float, float]:
    """Share shown of the people taller than a share of their photo, and how many shown are these.

    NaN where there are none.
    """
    people = shown = hits = 0
    for photo in photos:
        boxes = np.array([p["bbox"] for p in photo.people if p["bbox"][3] > share * photo.height])
        people, shown = people + len(boxes), shown + len(photo.shown)
        if len(boxes) and photo.shown:
            boxes[:, 2:] += boxes[:, :2]
            same = overlaps(np.array([person.box for person in photo.shown]), boxes) >= _SAME_BOX
            hits += int(same[linear_sum_assignment(same, maximize=True)].sum())
    return (
        hits / people if people else float("nan"),
        hits / shown if shown else float("nan"),
    )


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}
