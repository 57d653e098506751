"""What is done with every new clip in the background."""

from __future__ import annotations

import shutil
import time
from threading import Event

import numpy as np
import pytest

from helpers.clips import write_video
from helpers.networks import action_network
from poseact.actions.pose_sequence import PoseSequence
from poseact.clips.extract import Extraction
from poseact.media import read_image
from poseact.skeleton import PA16
from poseact.studio import core, examiner
from poseact.studio.examiner import seen_span
from poseact.studio.instant_learning import renew_instant
from poseact.weights.checkpoint import load
from studio.conftest import pictures


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


@pytest.fixture
def examined(studio, monkeypatch):
    """A studio that examines with a small network, which finds somebody in every picture."""
    monkeypatch.setattr(examiner, "load", lambda name: action_network(()))
    monkeypatch.setattr("poseact.clips.findings.NOBODY_BELOW", 0)
    monkeypatch.setattr(examiner, "WATCH_S", 0.05)
    studio.examiner.start()
    yield studio
    studio.examiner.end()


def wait_for_thumbnails(studio, count):
    limit = time.monotonic() + 60
    while True:
        clips = studio.state()["clips"]
        if sum(clip["thumbnail"] is not None and clip["examined"] for clip in clips) == count:
            return clips
        assert time.monotonic() < limit, clips
        time.sleep(0.02)


@pytest.mark.slow(covers=True)
def test_clips_get_a_thumbnail_and_their_length(examined):
    clips = wait_for_thumbnails(examined, 4)
    assert [clip["end"] for clip in clips] == pytest.approx([7 / 15] * 4, abs=1e-3)


@pytest.mark.slow(covers=True)
def test_changes_made_by_other_means_are_noticed(examined, folder):
    wait_for_thumbnails(examined, 4)
    write_video(folder / "jump" / "e.mp4", pictures(seed=9))
    wait_for_thumbnails(examined, 5)
    shutil.rmtree(folder / "squat")
    assert {clip["label"] for clip in wait_for_thumbnails(examined, 3)} == {"jump"}


@pytest.mark.slow(covers=True)
def test_a_recording_is_trimmed_before_it_is_examined(examined, video, monkeypatch):
    monkeypatch.setattr(examiner, "seen_span", lambda finder, path: (0.2, 0.4))
    received = examined.incoming()
    received.write_bytes(video)
    examined.keep(received, "squat", "new", recorded=True)
    clips = wait_for_thumbnails(examined, 5)
    assert [(clip["start"], clip["end"]) for clip in clips if clip["file"] == "squat/new.mp4"] == [
        (0.2, 0.4)
    ]


def test_a_recording_that_is_deleted_before_it_is_trimmed_is_no_news(studio, monkeypatch, caplog):
    trimmed = Event()
    find = studio.edits.find

    def found(name):
        trimmed.set()
        return find(name)

    monkeypatch.setattr(studio.edits, "find", found)
    monkeypatch.setattr(examiner, "extract", lambda *_, **__: Extraction(interrupted=True))
    monkeypatch.setattr(examiner, "load", lambda name: action_network(()))
    studio.examiner.trim("squat/retaken.webm")
    studio.examiner.start()
    assert trimmed.wait(60)
    studio.examiner.end()
    assert not caplog.records


@pytest.mark.slow(covers=True)
def test_thumbnails_of_skeletons_alone_hold_no_picture(folder, monkeypatch):
    monkeypatch.setattr(examiner, "load", lambda name: action_network(()))
    monkeypatch.setattr("poseact.clips.findings.NOBODY_BELOW", 0)
    studio = core.Studio(folder, skeleton_only=True)
    studio.examiner.start()
    wait_for_thumbnails(studio, 4)
    studio.examiner.end()
    for path in studio.places.looks.glob("*.jpg"):
        assert np.median(read_image(path)) < 10  # videos of noise have 127
