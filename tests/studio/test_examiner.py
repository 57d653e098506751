"""What is done with every new clip in the background."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.clips import write_video
from helpers.networks import action_network
from poseact.actions.pose_sequence import PoseSequence
from poseact.skeleton import PA16
from poseact.studio import core
from poseact.studio.examiner import seen_span


class SeesBright:
    """Loses its person in dark pictures."""

    def follow_frame(self, frame, follower):
        follower.square = (1, 1, 1) if frame.image.mean() > 100 else None


def write(path, *stretches):
    """A video of 10 pictures per second, bright or dark for some seconds each."""
    values = [value for value, seconds in stretches for _ in range(round(10 * seconds))]
    return write_video(path, [np.full((48, 64, 3), value, np.uint8) for value in values], fps=10)


@pytest.mark.parametrize(
    ("stretches", "span"),
    [
        ([(0, 1), (200, 2), (0, 1)], (1, 3)),
        ([(200, 2), (0, 2)], (0, 2)),
        ([(0, 2), (200, 2)], (2, 4)),
        ([(0, 1), (200, 1), (0, 1), (200, 1), (0, 1)], (1, 4)),
    ],
)
def test_a_recording_is_cut_to_where_the_person_is_seen(tmp_path, stretches, span):
    found = seen_span(SeesBright(), write(tmp_path / "video.mp4", *stretches))
    # Looked at four times a second, with some room on both sides.
    assert found == pytest.approx(span, abs=0.6)
    assert found[0] <= span[0]


@pytest.mark.parametrize("value", [0, 200])
def test_a_recording_of_somebody_or_nobody_throughout_stays_whole(tmp_path, value):
    assert seen_span(SeesBright(), write(tmp_path / "video.mp4", (value, 2))) is None


def sequence(name, label):
    joints = np.zeros((2, 16, 2), np.float32)
    return PoseSequence(name, PA16, np.arange(2.0), joints, np.ones((2, 16)), label=label)


def test_the_instant_recogniser_is_renewed_when_the_clips_have_changed(studio, monkeypatch):
    learned = []

    def train_instant(sequences, pose_network):
        learned.append([one.label for one in sequences])
        return action_network(("sit", "stand"))

    monkeypatch.setattr(core, "train_instant", train_instant)
    reads = []

    def learn(*clips):
        def read():
            reads.append(clips)
            return [sequence(name, label) for name, label, _ in clips], action_network(())

        studio._learn([list(clip) for clip in clips], read)

    squat, jump = ("a", "squat", "1"), ("b", "jump", "1")
    for known in ((squat,), (squat, jump), (squat, jump), (squat, ("b", "hop", "1"))):
        learn(*known)
    assert learned == [["squat", "jump"], ["squat", "hop"]]
    learn(squat, ("b", "hop", "2"))  # another video of the same name
    assert learned[2:] == [["squat", "hop"]]
    assert len(reads) == 4  # not where nothing has changed
    assert list(studio.recognisers.available()) == ["instant"]
    learn(squat)
    assert list(studio.recognisers.available()) == []


def test_the_examiner_ends_with_the_studio(tmp_path):
    studio = core.Studio(tmp_path / "clips")
    studio.examiner.start()
    studio.examiner.wake()
    studio.examiner.end()
    assert not studio.examiner.is_alive()
