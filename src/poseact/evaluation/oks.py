"""Average precision by object keypoint similarity (COCO), computed by pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseact.metrics import check_poses, require_finite
from poseact.skeleton import Skeleton

SIGMAS = {
    **{"nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072},
    **{"wrist": 0.062, "hip": 0.107, "knee": 0.087, "ankle": 0.089},
}
"""Spread of human labels per kind of joint, as fractions of the square root of the area (COCO)."""


class KeypointAp(NamedTuple):
    """Average precision and recall, as fractions.

    Attributes:
        ap: Mean of the precision at similarities 0.50, 0.55, … 0.95.
        ap50: At 0.50.
        ap75: At 0.75.
        ar: Mean of the recall at the same similarities.
        people: How many people count.
        excluded: How many do not: without a counted joint or an area.
    """

    ap: float
    ap50: float
    ap75: float
    ar: float
    people: int
    excluded: int


def oks_sigmas(skeleton: Skeleton) -> np.ndarray:
    """``(J,)`` constants of COCO's keypoint similarity; NaN for joints that COCO lacks."""
    parts = (joint.removeprefix("left_").removeprefix("right_") for joint in skeleton.joints)
    return np.array([SIGMAS.get(part, np.nan) for part in parts])


def oks_ap(
    predicted: np.ndarray,
    confidence: np.ndarray,
    target: np.ndarray,
    valid: np.ndarray,
    area: np.ndarray,
    image: Sequence[str],
    sigmas: np.ndarray,
) -> KeypointAp:
    """Average precision over object keypoint similarity, computed by ``COCOeval``.

    Protocol: COCO keypoints, all areas, at most 20 people an image. Predictions belong to labelled
    people, so there are none without a person: this is the test with boxes given.

    Args:
        predicted: ``(N, J, 2)`` px; NaN is a miss.
        confidence: ``(N,)`` of the person, which ranks the predictions.
        target: ``(N, J, 2)`` px.
        valid: ``(N, J)`` boolean.
        area: ``(N,)`` px² of the person; NaN excludes the person.
        image: N names of the image that each person is in.
        sigmas: ``(J,)`` such as `oks_sigmas`; joints where it is NaN do not count.

    Raises:
        PoseActError: The shapes do not belong together, or a valid label is not finite.
    """
    check_poses(predicted, target, valid, scale=area)
    require_finite(target.sum(-1), valid, "labelled")
    scored = np.isfinite(sigmas)
    valid = valid[:, scored]
    people = np.flatnonzero(np.isfinite(area) & valid.any(1)).tolist()
    excluded = len(area) - len(people)
    if not len(people):
        nan = float("nan")
        return KeypointAp(nan, nan, nan, nan, 0, excluded)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(image), 1)}
    # Beyond any picture, where the similarity is 0.
    points = np.nan_to_num(predicted[:, scored], nan=1e6)
    truth = [
        {
            **_person(target[i][scored], valid[i], numbers[image[i]]),
            **{"id": i + 1, "area": float(area[i]), "iscrowd": 0, "bbox": [0, 0, 1, 1]},
            "num_keypoints": int(valid[i].sum()),
        }
        for i in people
    ]
    found = [
        {
            **_person(points[i], np.ones_like(valid[i]), numbers[image[i]]),
            "score": float(confidence[i]),
        }
        for i in people
    ]
    stats = coco_evaluation(truth, found, list(numbers.values()), sigmas[scored])
    ap, ap50, ap75, ar = stats[[0, 1, 2, 5]].tolist()
    return KeypointAp(ap, ap50, ap75, ar, len(people), excluded)


def _person(points: np.ndarray, valid: np.ndarray, image: int) -> dict[str, Any]:
    """A person in the form of COCO's JSON."""
    flat = np.column_stack((np.where(valid[:, None], points, 0), np.where(valid, 2, 0)))
    return {"image_id": image, "category_id": 1, "keypoints": flat.ravel().tolist()}


def coco_evaluation(
    truth: list[dict[str, Any]],
    found: list[dict[str, Any]],
    images: Sequence[int],
    sigmas: np.ndarray | None = None,
) -> np.ndarray:
    """The statistics of ``COCOeval`` in the order it prints them; NaN without people.

    Args:
        truth: Annotations in the form of COCO's JSON.
        found: Results in that form.
        images: Numbers of the images.
        sigmas: ``(J,)`` constants of the keypoint similarity; None compares boxes.
    """
    coco: Any = COCO()
    coco.dataset = {
        **{"info": {}, "categories": [{"id": 1, "name": "person"}], "annotations": truth},
        "images": [{"id": number} for number in images],
    }
    # pycocotools reports on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        results = coco.loadRes(found) if found else COCO()
        evaluation: Any = COCOeval(coco, results, "bbox" if sigmas is None else "keypoints")
        evaluation.params.imgIds = sorted(images)
        evaluation.params.catIds = [1]
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # COCOeval gives -1 where there is nothing to score.
    return np.where(evaluation.stats < 0, np.nan, evaluation.stats)
