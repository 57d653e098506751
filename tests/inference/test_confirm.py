"""People whom their poses confirm."""

import numpy as np
import pytest

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.confirm import CONFIRMED, confirmed
from poseact.inference.detect import THRESHOLD, Person

STANCE = np.random.default_rng(0).uniform(0, 1, (16, 2))
DOUBTED = 0.8 * THRESHOLD


def found(x, score, confidence, pose_x=None, agreement=0.3):
    box = (x, 0.0, x + 50, 120.0)
    joints = STANCE * (50, 120) + (x if pose_x is None else pose_x, 0)
    sure = np.full(16, confidence)
    pose = FramePose(0, 0.0, 0, joints, sure, sure > 0, box)
    return Person(box, score, agreement=agreement), PersonReading(pose, sure, joints, joints)


def shown(*pairs):
    people = confirmed(*map(list, zip(*pairs, strict=True)))
    return [person.box[0] for person, _ in people if person.score >= CONFIRMED]


@pytest.mark.parametrize(
    ("confidence", "agreement", "counts"), [(0.95, 0.3, 1), (0.2, 0.3, 0), (0.95, 0.05, 0)]
)
def test_a_doubtful_person_needs_a_sure_pose_and_looks_that_agree(confidence, agreement, counts):
    assert len(shown(found(0, DOUBTED, confidence, agreement=agreement))) == counts


def test_the_surest_come_first():
    assert shown(found(0, 0.5, 0.9), found(100, 0.9, 0.9), found(200, 0.7, 0.9)) == [100, 200, 0]


def test_a_doubtful_box_with_the_pose_of_a_surer_person_is_left_out():
    surer = found(0, 0.9, 0.9)
    assert shown(surer, found(30, DOUBTED, 0.95, pose_x=0)) == [0]
    assert shown(surer, found(30, DOUBTED, 0.95)) == [0, 30]
    assert shown(surer, found(30, 1.1 * THRESHOLD, 0.95, pose_x=0)) == [0, 30]


def test_nobody_is_confirmed_where_nobody_was_found():
    assert confirmed([], []) == []
