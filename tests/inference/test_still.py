"""Poses that are read again only where the picture of a person changes."""

import numpy as np
import pytest

from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.inference.still import StillReader
from poseact.media import Frame

SQUARES = {7: (60.0, 80.0, 100.0), 9: (200.0, 80.0, 100.0)}
NOISE = np.random.default_rng(0)


class Reader:
    """Gives a pose in the middle of each square and keeps which squares were read."""

    def __init__(self):
        self.squares = []

    def __call__(self, _image, squares, frame, time):
        self.squares.append(list(squares))
        return [
            PersonReading(
                FramePose(frame, time, k, np.full((4, 2), x), *2 * [np.ones(4)], (0, 0, 1, 1)),
                *np.ones((3, 4)),
            )
            for k, (x, _, _) in enumerate(squares)
        ]


@pytest.fixture
def picture():
    return (
        np.random.default_rng(1).integers(40, 200, (20, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )


def read(still, image, number, squares=SQUARES):
    return [one.pose for one in still(Frame(number, number / 10, image), squares)]


def test_who_keeps_still_is_read_once(picture):
    reader = Reader()
    still = StillReader(reader)
    for number in range(3):
        noise = NOISE.integers(-2, 3, picture.shape)
        poses = read(still, (picture + noise).astype(np.uint8), number)
        assert [(pose.frame, pose.time, pose.person) for pose in poses] == [
            (number, number / 10, 0),
            (number, number / 10, 1),
        ]
        assert [pose.joints[0, 0] for pose in poses] == [60, 200]
    assert reader.squares == [list(SQUARES.values()), [], []]


def test_who_moves_is_read_again_alone(picture):
    reader = Reader()
    still = StillReader(reader)
    read(still, picture, 0)
    moved = picture.copy()
    moved[:, 150:250] = np.roll(moved[:, 150:250], 2, 1)
    assert [pose.joints[0, 0] for pose in read(still, moved, 1)] == [60, 200]
    assert reader.squares[1] == [SQUARES[9]]


def test_a_slow_motion_adds_up(picture):
    reader = Reader()
    still = StillReader(reader)
    for number in range(12):
        read(still, np.minimum(picture, 250) + np.uint8(number), number)
    assert 2 <= sum(map(bool, reader.squares)) <= 6


def test_newcomers_are_read_and_nobody_is_remembered_after_leaving(picture):
    reader = Reader()
    still = StillReader(reader)
    read(still, picture, 0, {7: SQUARES[7]})
    read(still, picture, 1)
    read(still, picture, 2, {9: SQUARES[9]})
    read(still, picture, 3)
    assert reader.squares == [[SQUARES[7]], [SQUARES[9]], [], [SQUARES[7]]]


def test_all_are_read_again_when_asked(picture):
    reader = Reader()
    still = StillReader(reader)
    read(still, picture, 0)
    still.forget()
    read(still, picture, 1)
    assert reader.squares == 2 * [list(SQUARES.values())]
