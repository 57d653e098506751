"""The main job with the shipped weights: the demo, and real photos and videos where they are."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import poseact
from poseact.data.blazepose import read_blazepose
from poseact.inference.predict import demo, predict
from poseact.media import VideoReader
from poseact.metrics import pck, torso_size
from poseact.skeleton import PA16


@pytest.mark.slow
def test_demo_finds_a_person_in_almost_every_frame(tmp_path):
    report = demo(tmp_path)
    assert report.frames == 72
    assert report.drawn == [tmp_path / "demo_pose.mp4"]
    with VideoReader(report.drawn[0]) as video:
        assert (video.fps, video.width, video.height) == (15, 320, 320)
        assert len(list(video)) == 72
    table = pq.read_table(report.parquet, columns=["frame", "visible"])
    share = table.group_by("frame").aggregate([("visible", "mean")])["visible_mean"].to_numpy()
    assert len(share) > 0.9 * 72
    assert (share > 0.5).mean() > 0.9


@pytest.mark.slow
def test_real_video_keeps_its_facts(shared, tmp_path):
    source = shared / "data" / "samples" / "video" / "demo.mp4"
    report = predict(source, tmp_path, people="one")
    with VideoReader(source) as original, VideoReader(report.drawn[0]) as drawn:
        assert (drawn.fps, drawn.width, drawn.height) == (
            original.fps,
            original.width,
            original.height,
        )
        times = [frame.time for frame in original]
        assert [frame.time for frame in drawn] == pytest.approx(times, abs=1e-3)
    facts = json.loads(pq.read_schema(report.parquet).metadata[b"poseact"])
    assert (facts["width"], facts["height"]) == (960, 540)


@pytest.mark.slow
def test_filmed_exercise_is_followed(shared, tmp_path):
    source = sorted((shared / "data" / "clips" / "squats").glob("*.mp4"))[0]
    report = predict(source, tmp_path, draw=False)
    table = pq.read_table(report.parquet)
    visible = table["visible"].to_numpy(zero_copy_only=False)
    assert visible.mean() > 0.65  # the bar and its discs hide arms and knees
    centres = table["x"].to_numpy().reshape(len(visible) // 21, 21).mean(1)
    assert np.abs(np.diff(centres)).max() < 0.15 * 288  # no jumping about


def test_frames_without_times_run_at_the_nominal_rate(shared):
    with VideoReader(shared / "data" / "clips" / "squats" / "squat_7.mp4") as video:
        assert video.fps == 15
        times = [frame.time for frame in video]
    np.testing.assert_allclose(times, np.arange(len(times)) / 15)


@pytest.mark.slow
def test_held_out_photos_are_read_without_a_box(shared):
    samples = read_blazepose(shared / "data" / "exercise_photos")[-24:]
    predictor = poseact.Predictor(device="cpu", people="one")
    places = [predictor.skeleton.index(joint) for joint in PA16.joints]
    joints = np.stack([predictor.image(s.image.read())[0].joints[places, :2] for s in samples])
    target = np.stack([sample.joints[:, :2] for sample in samples])
    visible = np.stack([sample.visible for sample in samples])
    result = pck(joints, target, visible, torso_size(target, visible, PA16), 0.2)
    assert result.mean > 0.5
