"""Short gaps in the tracks of a video."""

import numpy as np

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.gaps import GAP_S, without_gaps
from poseact.media import Frame
from poseact.media.planes import Planes, converted

FPS = 15
PICTURE = np.zeros((240, 640, 3), np.uint8)


def person_at(x, person=0):
    joints = np.array([[x, 100], [x, 150]], np.float32)
    sure = np.ones(2, np.float32)
    box = (x - 20.0, 80.0, x + 20.0, 180.0)
    pose = FramePose(0, 0.0, person, joints, sure, sure > 0, box, box, 0.9)
    return PersonReading(pose, sure, np.ones((2, 2)), np.zeros((2, 1)))


class Scripted:
    """Gives the people of each frame, with a detection in every second one or in those named.

    Another scene may begin at a frame.
    """

    def __init__(self, people, detections=None, cut=0):
        self.people, self.cut = people, cut
        self.detections = range(0, len(people), 2) if detections is None else detections
        self.detected_at = self.scene_from = -1.0

    def readings(self, frame):
        if frame.index in self.detections:
            self.detected_at = frame.time
        if frame.index == self.cut:
            self.scene_from = frame.time
        return self.people[frame.index]


def filled(follower):
    frames = [Frame(number, number / FPS, PICTURE) for number in range(len(follower.people))]
    found = list(without_gaps(follower, frames))
    assert [frame.index for frame, _ in found] == [frame.index for frame in frames]
    return [[reading.pose for reading in readings] for _, readings in found]


def middles(poses):
    return [round((pose.person_box[0] + pose.person_box[2]) / 2) for pose in poses]


def test_who_is_missing_for_a_moment_is_on_the_way_but_not_seen():
    found = filled(Scripted([[person_at(100)], [], [], [], [person_at(140)]]))
    assert [middles(poses) for poses in found] == [[100], [110], [120], [130], [140]]
    (lost,) = found[2]
    assert (lost.frame, lost.time, lost.person) == (2, 2 / FPS, 0)
    assert not lost.confidence.any()
    assert not lost.visible.any()
    assert np.allclose(lost.joints[:, 0], 120)
    assert found[0][0].confidence.all()
    assert found[4][0].confidence.all()


def test_a_long_absence_stays_one():
    away = round(GAP_S * FPS) + 1
    found = filled(Scripted([[person_at(100)], *([[]] * away), [person_at(140)]], range(20)))
    assert [len(poses) for poses in found] == [1, *([0] * away), 1]


def test_a_pose_that_slips_to_another_person_is_not_believed():
    slipped = [[person_at(100)], [person_at(190)], [person_at(120)]]
    assert [middles(poses) for poses in filled(Scripted(slipped))] == [[100], [110], [120]]
    detected = filled(Scripted(slipped, range(3)))
    assert [middles(poses) for poses in detected] == [[100], [190], [120]]


def test_a_pose_on_the_way_stays_as_it_was_read():
    found = filled(Scripted([[person_at(100)], [person_at(112)], [person_at(120)]]))
    assert middles(found[1]) == [112]
    assert found[1][0].confidence.all()


def test_newcomers_were_there_just_before_but_not_in_another_scene():
    people = [[], [], [], [person_at(200)], [person_at(204)], [person_at(208)]]

    same, new = (filled(Scripted(people, (0, 3, 5), cut)) for cut in (0, 3))
    assert [middles(poses) for poses in same] == [[], [], [200], [200], [204], [208]]
    assert [middles(poses) for poses in new] == [[], [], [], [200], [204], [208]]


def test_everyone_is_filled_apart():
    one = [[person_at(100 + 10 * k), person_at(500, 1)] for k in range(5)]
    one[2] = one[2][1:]
    found = filled(Scripted(one, (0, 4)))
    assert [sorted(middles(poses)) for poses in found] == [[100 + 10 * k, 500] for k in range(5)]


def test_frames_without_pictures_keep_their_size():
    frames = [Frame(k, k / FPS, PICTURE) for k in range(2)]
    (first, _), _ = without_gaps(Scripted([[], []]), frames, pictures=False)
    assert first.image.shape == PICTURE.shape
    assert first.image.base.nbytes < 100


def test_frames_keep_their_planes_instead_of_their_pictures():
    planes = Planes(converted(PICTURE))
    ((frame, _),) = without_gaps(Scripted([[]]), [Frame(0, 0.0, PICTURE, planes)])
    assert frame.planes is planes
    assert frame.image.base.nbytes < 100
