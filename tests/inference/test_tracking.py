"""Ids of people through a video, with people who walk as they are made to."""

from dataclasses import replace

import numpy as np
import pytest

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.appearance import NO_LIMBS
from poseact.inference.detect import Person
from poseact.inference.everyone import EveryoneFollower
from poseact.inference.track import Detection
from poseact.inference.tracking import MAX_GAP_S, PeopleTracker
from poseact.media import Frame

FPS = 15
SIZE = (60.0, 120.0)
STANCE = np.random.default_rng(0).uniform(-0.5, 0.5, (16, 2))


def reading_of(x, y, scale=1.0, frame=0, time=0.0):
    joints = (np.array([x, y]) + scale * STANCE * SIZE).astype(np.float32)
    sure = np.ones(16, np.float32)
    half = 0.6 * scale * SIZE[1]
    box = (x - half, y - half, x + half, y + half)
    pose = FramePose(frame, time, 0, joints, sure, sure > 0, box)
    return PersonReading(pose, sure, np.ones((16, 2)), np.zeros((16, 1)))


def sighting(x, y=200.0, score=0.9, scale=1.0):
    half = scale * np.array(SIZE) / 2
    person = Person((x - half[0], y - half[1], x + half[0], y + half[1]), score)
    reading = reading_of(x, y, scale)
    box = reading.pose.box
    return Detection(person, reading, ((box[0] + box[2]) / 2, y, box[2] - box[0]), NO_LIMBS)


def tracker(limit=None):
    follower = PeopleTracker(0.3, limit=limit)
    follower.cut(640, 480)
    return follower


def follow(follower, readings, time):
    """As where the limbs of people are not known."""
    return follower.followed(readings, time, [NO_LIMBS] * len(readings))


def ids(readings):
    return [reading.pose.person for reading in readings]


def walk(people, seconds, start=0.0):
    """Ids by frame; ``people(time)`` gives sightings."""
    follower = tracker()
    return [
        ids(follower.found(people(start + k / FPS), start + k / FPS))
        for k in range(int(seconds * FPS))
    ]


def test_two_who_cross_keep_their_ids():
    def people(time):
        return [sighting(100 + 100 * time), sighting(540 - 100 * time, 215)]

    assert {tuple(sorted(seen)) for seen in walk(people, 4)} == {(0, 1)}
    follower = tracker()
    for k in range(4 * FPS):
        right, left = people(k / FPS)
        seen = follower.found([right, left], k / FPS)
        by_id = {reading.pose.person: reading.pose.joints[:, 0].mean() for reading in seen}
        expected = [one.reading.pose.joints[:, 0].mean() for one in (right, left)]
        assert [by_id[0], by_id[1]] == pytest.approx(expected)


def test_who_is_hidden_for_a_second_comes_back_with_the_same_id():
    def people(time):
        hidden = 1 < time < 2
        return [sighting(60 + 80 * time)] * (not hidden) + [sighting(500, 210)]

    seen = walk(people, 4)
    assert sorted(seen[0]) == sorted(seen[-1]) == [0, 1]
    assert max(map(max, seen)) == 1


def test_who_is_away_for_longer_is_another_person():
    follower = tracker()
    assert ids(follower.found([sighting(100)], 0.0)) == [0]
    assert follower.found([], 0.1) == []
    assert ids(follower.found([sighting(100)], MAX_GAP_S + 0.1)) == [1]


def test_doubtful_people_continue_and_do_not_begin():
    follower = tracker()
    assert follower.found([sighting(100, score=0.2)], 0.0) == []
    assert ids(follower.found([sighting(100)], 0.1)) == [0]
    assert ids(follower.found([sighting(102, score=0.2), sighting(400, score=0.2)], 0.2)) == [0]


def test_a_doubtful_person_does_not_bring_back_one_who_was_lost():
    follower = tracker()
    follower.found([sighting(100)], 0.0)
    follower.found([], 0.1)
    assert follower.found([sighting(100, score=0.2)], 0.2) == []


def test_no_more_people_than_asked_for_the_largest_first():
    follower = tracker(limit=1)
    seen = follower.found([sighting(100), sighting(400, scale=1.5)], 0.0)
    assert ids(seen) == [0]
    assert seen[0].pose.joints[:, 0].mean() > 300
    assert ids(follower.found([sighting(100), sighting(400, scale=1.5)], 0.1)) == [0]


def test_thirty_people_are_distinguished():
    people = [sighting(70 * (k % 10), 130 * (k // 10)) for k in range(30)]
    follower = tracker()
    first = follower.found(people, 0.0)
    again = follower.found(people[::-1], 0.1)
    assert sorted(ids(first)) == sorted(ids(again)) == list(range(30))
    places = [{r.pose.person: tuple(r.pose.joints[0]) for r in seen} for seen in (first, again)]
    assert places[0] == places[1]


def test_who_grows_tenfold_is_one_person():
    def people(time):
        return [sighting(320, 240, scale=0.2 * 10 ** (time / 4))]

    assert {tuple(seen) for seen in walk(people, 4)} == {(0,)}


def test_two_tracks_that_come_to_hold_one_person_become_one():
    follower = tracker()
    follower.found([sighting(110), sighting(150)], 0.0)
    joined = [reading_of(130, 200), reading_of(131, 200)]
    assert ids(follow(follower, joined, 0.1)) == [0]


class Detector:
    """Finds one person in every frame and counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def find(self, image, threshold, looks):
        self.asked += 1
        return [sighting(100).person]


def frame(number, grey=100):
    return Frame(number, number / FPS, np.full((480, 640, 3), grey, np.uint8))


def read(_image, windows, number, time):
    return [reading_of(x, y, frame=number, time=time) for x, y, _ in windows]


def test_people_are_found_now_and_then_and_followed_in_between():
    detector = Detector()
    follower = EveryoneFollower(detector, read, 0.5)
    seen = [ids(follower.readings(frame(k))) for k in range(2 * FPS)]
    assert seen == [[0]] * (2 * FPS)
    assert detector.asked == 3  # nothing moves


def test_people_are_looked_for_sooner_where_more_moves():
    def asked(shade):
        detector = Detector()
        follower = EveryoneFollower(detector, read, 0.5)
        for k in range(2 * FPS):
            follower.readings(frame(k, grey=shade(k)))
        return detector.asked

    still, flickering = asked(lambda _: 100), asked(lambda k: 100 + 10 * (k % 2))
    assert still < flickering <= 10


def test_people_in_view_who_move_are_no_reason_to_look_for_others():
    def asked(place):
        detector = Detector()
        follower = EveryoneFollower(detector, read, 0.5)
        for k in range(2 * FPS):
            picture = frame(k)
            picture.image[140:260, place : place + 60] += np.uint8(150 * (k % 2))
            follower.readings(picture)
        return detector.asked

    in_the_box, beside = asked(70), asked(400)
    assert in_the_box < beside


class SharpEyed(Detector):
    """Sees the person only where it looks at so many sizes, and keeps their numbers."""

    def __init__(self, least):
        super().__init__()
        self.least, self.sizes = least, []

    def find(self, image, threshold, looks):
        self.sizes.append(len(looks.sizes))
        found = super().find(image, threshold, looks)
        return found if len(looks.sizes) >= self.least else []


@pytest.mark.parametrize("late", [False, True])
def test_detections_of_people_in_view_are_short_and_full_every_two_seconds(late):
    detector = SharpEyed(least=1)
    follower = EveryoneFollower(detector, read, 0.5)
    for k in range(5 * FPS):
        follower.readings(frame(k), late)
    assert [sizes > 1 for sizes in detector.sizes] == 2 * [True, False, False]  # every 0.8 s


def test_detections_are_full_while_somebody_is_missing():
    detector = SharpEyed(least=1)
    follower = EveryoneFollower(detector, read, 0.5)
    for k in range(3 * FPS):
        detector.least = 1 if k < FPS else 9
        if k == 2 * FPS:
            detector.sizes.clear()
        follower.readings(frame(k))
    assert detector.sizes
    assert min(detector.sizes) > 1


@pytest.mark.parametrize(("side", "looks"), [(290, (256,)), (310, (320,))])
def test_short_detections_take_fewer_pixels_where_everyone_is_large(side, looks):
    taken = []

    class Seeing(Detector):
        def find(self, image, threshold, looks):
            taken.append(looks.sizes)
            return super().find(image, threshold, looks)

    follower = EveryoneFollower(Seeing(), read, 0.5)
    for k in range(FPS):
        follower.readings(Frame(k, k / FPS, np.full((side, side, 3), 100, np.uint8)))
    assert taken[1:] == [looks]


@pytest.mark.parametrize("late", [False, True])
def test_nobody_is_lost_by_a_short_detection(late):
    follower = EveryoneFollower(SharpEyed(least=2), read, 0.5)
    seen = [ids(follower.readings(frame(k), late)) for k in range(3 * FPS)]
    assert seen == [[0]] * (3 * FPS)


def with_confidence(value):
    def read_so(_image, windows, number, time):
        readings = read(_image, windows, number, time)
        confidence = np.full(16, value, np.float32)
        return [one._replace(pose=replace(one.pose, confidence=confidence)) for one in readings]

    return read_so


def test_who_is_found_surely_with_an_unsure_pose_is_followed_by_the_box():
    follower = EveryoneFollower(Detector(), with_confidence(0.45), 0.5)
    assert [ids(follower.readings(frame(k))) for k in range(5)] == [[0]] * 5


class Doubtful(Detector):
    """Finds the person with a low score."""

    def find(self, image, threshold, looks):
        return [one._replace(score=0.4) for one in super().find(image, threshold, looks)]


def test_who_is_found_doubtfully_needs_a_surer_pose():
    def seen(confidence):
        follower = EveryoneFollower(Doubtful(), with_confidence(confidence), 0.5)
        return ids(follower.readings(frame(0)))

    assert seen(0.5) == []
    assert seen(0.7) == [0]


def test_a_doubtful_box_inside_a_person_is_a_part_of_that_person():
    whole = sighting(100)
    x0, y0, x1, _ = whole.person.box

    def trunk(score):
        person = whole.person._replace(box=(x0, y0, x1, y0 + 60.0), score=score)
        moved = replace(whole.reading.pose, joints=reading_of(100, 290).pose.joints)
        return replace(whole, person=person, reading=whole.reading._replace(pose=moved))

    for score, people in ((0.4, 1), (0.8, 2)):
        people_tracker = tracker()
        people_tracker.found([trunk(score), whole], 0.0)
        people_tracker.found([trunk(score), whole], 0.2)
        assert len(people_tracker.in_view) == people


def test_what_has_no_pose_is_not_a_person():
    follower = EveryoneFollower(Detector(), with_confidence(0.1), 0.5)
    assert [ids(follower.readings(frame(k))) for k in range(5)] == [[]] * 5


def test_who_is_lost_right_after_a_detection_is_looked_for_again_soon():
    def hazy(image, windows, number, time):
        return with_confidence(0.05 if number == 1 else 0.9)(image, windows, number, time)

    follower = EveryoneFollower(Detector(), hazy, 0.5)
    assert [ids(follower.readings(frame(k))) for k in range(4)] == [[0], [], [0], [0]]


def test_who_is_alone_may_jump_and_who_has_company_may_have_slipped_to_it():
    alone, two = tracker(), tracker()
    alone.found([sighting(100)], 0.0)
    two.found([sighting(100), sighting(400)], 0.0)
    assert ids(follow(alone, [reading_of(140, 200)], 0.1)) == [0]
    assert ids(follow(two, [reading_of(140, 200), reading_of(400, 200)], 0.1)) == [1]


def test_after_a_brief_absence_the_velocity_is_that_between_the_detections():
    follower = tracker()
    for time in (0.0, 0.1):
        follower.found([sighting(100 + 100 * time)], time)
    follower.found([], 0.2)
    follower.found([sighting(140)], 0.4)
    (track,) = follower.in_view
    assert track.motion.velocity == pytest.approx([100, 0])


def test_being_followed_and_detected_in_one_frame_makes_nobody_fast():
    follower = tracker()
    follower.found([sighting(100)], 0.0)
    follow(follower, [reading_of(101, 200)], 1 / FPS)
    follower.found([sighting(104)], 1 / FPS)
    (track,) = follower.in_view
    assert np.abs(track.motion.velocity).max() < 30  # px/s
    assert ids(follower.found([sighting(106)], 4 / FPS)) == [0]


def test_ids_start_again_in_another_scene():
    follower = EveryoneFollower(Detector(), read, 0.5)
    assert ids(follower.readings(frame(0))) == [0]
    assert ids(follower.readings(frame(1))) == [0]
    assert ids(follower.readings(frame(2, grey=200))) == [1]


def dressed(one, lightness, size=4.0):
    return replace(one, looks=np.tile([lightness, 0, 0, size], (8, 1)))


def test_who_comes_back_is_told_by_clothes_and_size_more_than_by_the_place():
    follower = tracker()
    first = [dressed(sighting(200), 20), dressed(sighting(300), 70)]
    assert ids(follower.found(first, 0.0)) == [0, 1]
    assert follower.found([], 0.3) == []
    swapped = [dressed(sighting(220), 70), dressed(sighting(280), 20)]
    places = {one.pose.person: one.pose.person_box[0] for one in follower.found(swapped, 1.0)}
    assert places[0] > places[1]


def test_a_stranger_in_the_place_of_somebody_hidden_is_somebody_else():
    follower = tracker()
    follower.found([dressed(sighting(200), 20)], 0.0)
    follower.found([], 0.3)
    assert ids(follower.found([dressed(sighting(200), 80, size=4.6)], 0.6)) == [1]


def test_a_doubtful_newcomer_counts_when_detected_again():
    follower = tracker()
    assert ids(follower.found([sighting(100)], 0.0)) == [0]
    assert ids(follower.found([sighting(100), sighting(400, score=0.35)], 0.2)) == [0]
    assert follower.unconfirmed
    assert ids(follower.found([sighting(100), sighting(400, score=0.35)], 0.4)) == [0, 1]
    assert ids(follower.found([sighting(100), sighting(400), sighting(600)], 0.6)) == [0, 1, 2]
    assert ids(follower.found([sighting(100), sighting(420, score=0.35)], 0.8)) == [0, 1]


def test_between_detections_the_box_grows_with_the_stride_but_never_collapses():
    follower = tracker()
    follower.found([sighting(300)], 0.0)
    wider = reading_of(300, 200, 1.2)
    (reading,) = follow(follower, [wider], 1 / FPS)
    x0, _, x1, _ = reading.pose.person_box
    assert SIZE[0] < x1 - x0 < 1.3 * SIZE[0]
    (reading,) = follow(follower, [reading_of(302, 200, 0.2)], 2 / FPS)
    x0, _, x1, _ = reading.pose.person_box
    assert x1 - x0 > 0.9 * SIZE[0]


def test_a_part_of_somebody_is_no_newcomer():
    whole = sighting(300)
    x0, y0, x1, y1 = whole.person.box
    half = whole.person._replace(box=(x0, y0, x1, (y0 + y1) / 2), score=0.8)
    follower = tracker()
    follower.found([whole], 0.0)
    for time in (0.2, 0.4):
        assert ids(follower.found([whole, replace(whole, person=half)], time)) == [0]


def test_a_newcomer_on_somebody_makes_way():
    follower = tracker()
    follower.found([sighting(300)], 0.0)
    follower.found([sighting(300), sighting(330, score=0.4)], 0.2)
    both = [reading_of(302, 200), reading_of(302, 200)]
    assert ids(follow(follower, both, 0.2 + 1 / FPS)) == [0]


def test_who_crouches_in_view_stays_the_same():
    follower = tracker()
    follower.found([dressed(sighting(300), 40)], 0.0)
    crouched = dressed(sighting(300, y=225, scale=0.6), 40, size=3.5)
    assert ids(follower.found([crouched], 0.3)) == [0]


def test_a_pose_that_slips_to_somebody_else_in_view_is_told_by_the_clothes():
    follower = tracker()
    follower.found([dressed(sighting(200), 20), dressed(sighting(300), 70)], 0.0)
    slipped = [reading_of(215, 200), reading_of(302, 200)]
    looks = [dressed(sighting(0), 70).looks] * 2
    assert ids(follower.followed(slipped, 1 / FPS, looks)) == [1]
    seen = follower.found([dressed(sighting(205), 20), dressed(sighting(304), 70)], 0.2)
    assert {one.pose.person: one.pose.person_box[0] for one in seen} == {0: 175.0, 1: 274.0}


def test_who_was_seen_in_part_for_a_while_still_has_the_looks_of_before():
    follower = tracker()
    half = dressed(sighting(200, scale=0.7), 60, size=3.3)
    for time in np.arange(0.0, 1.0, 0.2):
        follower.found([dressed(sighting(200), 20)], time)
    for time in np.arange(1.0, 3.0, 0.2):
        assert ids(follower.found([half], time)) == [0]
    assert follower.found([], 3.2) == []
    assert ids(follower.found([dressed(sighting(230), 20)], 3.6)) == [0]


def test_whoever_is_hidden_may_stop_on_the_way():
    follower = tracker()
    for k in range(10):
        follower.found([dressed(sighting(100 + 100 * k / FPS), 20)], k / FPS)
    follower.found([], 0.8)
    seen = follower.found([dressed(sighting(x), 20) for x in (330, 165)], 2.1)
    (place,) = (one.pose.joints[:, 0].mean() for one in seen if one.pose.person == 0)
    assert place < 200


def test_a_newcomer_of_whom_one_frame_was_missed_gets_one_id():
    follower = tracker()
    follower.found([sighting(100)], 0.0)
    follower.found([sighting(100), sighting(400, score=0.35)], 0.2)
    unsure = with_confidence(0.0)(None, [(100, 200, 100), (400, 200, 100)], 0, 0.25)
    surely = [reading_of(100, 200), unsure[1]]
    assert ids(follow(follower, surely, 0.25)) == [0]
    both = [sighting(100), sighting(400, score=0.35)]
    assert [ids(follower.found(both, time)) for time in (0.4, 0.6, 0.8)] == [[0], [0, 1], [0, 1]]


def test_of_two_tracks_on_one_person_the_one_that_looks_otherwise_ends():
    follower = tracker()
    follower.found([dressed(sighting(200), 20), dressed(sighting(212), 50)], 0.0)
    looks = [dressed(sighting(0), 50).looks] * 2
    assert ids(follower.followed([reading_of(206, 200)] * 2, 1 / FPS, looks)) == [1]


def test_who_was_lost_for_a_moment_is_found_by_the_place_though_the_looks_differ():
    for away, number in ((0.1, 0), (0.5, 1)):
        follower = tracker()
        follower.found([dressed(sighting(200), 20)], 0.0)
        follower.found([], 0.05)
        assert ids(follower.found([dressed(sighting(200), 80)], away)) == [number]
