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
from poseact.studio.instant_learning import renew_instant
from poseact.weights.checkpoint import load


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


def sequence(name, label, network):
    random = np.random.default_rng(sum(map(ord, name)))
    joints = random.random((12, 16, 3), np.float32)
    features = random.random((12, 16, network.config.appearance_size), np.float32)
    sure = np.ones((12, 16), np.float32)
    return PoseSequence(name, PA16, np.arange(12) / 10, joints, sure, features, label=label)


def test_the_instant_recogniser_is_renewed_when_the_clips_have_changed(studio):
    weights, reads = studio.places.instant, []
    network = action_network(())

    def labels_after(*clips):
        def read():
            reads.append(clips)
            return [sequence(name, label, network) for name, label, _ in clips], network

        renew_instant(weights, clips, read)
        return load(weights).config.labels if weights.is_file() else None

    squat, jump, hop = ("a", "squat", "1"), ("b", "jump", "1"), ("b", "hop", "1")
    assert labels_after(squat) is None
    assert labels_after(squat, jump) == ("jump", "squat")
    assert list(studio.recognisers.available()) == ["instant"]
    assert labels_after(squat, hop) == ("hop", "squat")
    assert len(reads) == 3
    labels_after(squat, hop)
    assert len(reads) == 3  # nothing has changed
    labels_after(squat, ("b", "hop", "2"))
    assert len(reads) == 4  # another video of the same name
    assert labels_after(squat) is None
    assert list(studio.recognisers.available()) == []


def test_the_examiner_ends_with_the_studio(tmp_path):
    studio = core.Studio(tmp_path / "clips")
    studio.examiner.start()
    studio.examiner.wake()
    studio.examiner.end()
    assert not studio.examiner.is_alive()
