"""People whom their poses confirm."""

import numpy as np
import pytest

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference import confirm
from poseact.inference.confirm import (
    CHECKED,
    CHECKED_BESIDE,
    CONFIRMED,
    checked,
    confirmed,
    facts_of,
)
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


def doubted(x, evidence, score=DOUBTED, width=50.0):
    person, reading = found(x, score, 0.9)
    box = (x, 0.0, x + width, 120.0)
    return person._replace(box=box, evidence=np.array([evidence])), reading


def in_photo(*pairs):
    people = confirm.shown(*map(list, zip(*pairs, strict=True)))
    return [person.box[0] for person, _ in people]


def test_evidence_decides_about_doubtful_people_of_photos():
    assert in_photo(doubted(0, 9.0), doubted(100, -9.0), found(200, 0.9, 0.9)) == [0, 200]


def test_the_doubtful_count_sooner_beside_somebody():
    def probability(evidence):
        ((person, _),) = checked(*zip(doubted(0, evidence), strict=True))
        return person.score

    between = next(
        evidence
        for evidence in np.linspace(-9, 9, 400)
        if CHECKED_BESIDE < probability(evidence) < CHECKED
    )
    assert in_photo(doubted(0, between)) == []
    assert in_photo(doubted(0, between), found(200, 0.9, 0.9)) == [200, 0]


def test_who_was_not_looked_at_again_keeps_the_score_of_the_detector():
    ((person, _),) = checked(*zip(found(0, 0.83, 0.2), strict=True))
    assert person.score == 0.83


def test_a_doubtful_box_on_a_surer_person_is_left_out():
    surer = found(0, 0.9, 0.9)
    assert in_photo(surer, doubted(10, 9.0)) == [0]
    assert in_photo(surer, doubted(25, 9.0)) == [25, 0]
    assert in_photo(surer, found(10, 0.8, 0.9)) == [0, 10]


def test_probabilities_rise_with_the_evidence_and_fall_under_surer_people():
    def of_the_doubtful(*pairs):
        people = checked(*map(list, zip(*pairs, strict=True)))
        return next(person.score for person, _ in people if person.evidence.size)

    alone, more = of_the_doubtful(doubted(0, 0.0)), of_the_doubtful(doubted(0, 0.5))
    covered = of_the_doubtful(found(10, 0.9, 0.9), doubted(0, 0.0, width=30))
    assert covered < alone < more < 1


def test_facts_tell_how_far_surer_people_cover_a_box():
    facts = facts_of(*map(list, zip(found(0, 0.9, 0.9), doubted(25, 0), strict=True)))
    np.testing.assert_allclose(facts[0], [np.log(0.9), np.log(0.3), np.log(0.9), 0, 0, 0])
    np.testing.assert_allclose(facts[1, 3:], [1 / 3, 1 / 2, 1 / 2])
    assert facts_of([], []).shape == (0, 6)


def test_nobody_is_in_a_photo_where_nobody_was_found():
    assert checked([], []) == []
