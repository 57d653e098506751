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
    clips = [sequence("a", "squat"), sequence("b", "jump")]
    for known in (clips[:1], clips, clips, [clips[0], sequence("b", "hop")]):
        studio._learn(known, action_network(()))
    assert learned == [["squat", "jump"], ["squat", "hop"]]
    assert list(studio.recognisers.available()) == ["instant"]
    studio._learn(clips[:1], action_network(()))
    assert list(studio.recognisers.available()) == []


def test_the_examiner_ends_with_the_studio(tmp_path):
    studio = core.Studio(tmp_path / "clips")
    studio.examiner.start()
    studio.examiner.wake()
    studio.examiner.end()
    assert not studio.examiner.is_alive()
