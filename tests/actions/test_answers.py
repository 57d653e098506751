"""Answers over time: windows, segments, their tables and timelines."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest

import poseact
from helpers import networks
from poseact.actions.action_table import SEGMENT_COLUMNS, WINDOW_COLUMNS, ActionTable
from poseact.actions.answers import (
    UNKNOWN,
    RecentFrames,
    Segment,
    WindowAnswer,
    WindowReader,
    answer_windows,
    find_segments,
    name_answer,
    recent_frames,
)
from poseact.actions.clip_inputs import window_answers
from poseact.actions.frame_pose import FramePose, PersonReading
from poseact.actions.pose_sequence import PoseSequence
from poseact.actions.timeline import (
    UNKNOWN_COLOUR,
    action_colours,
    draw_strip,
    strip_height,
    timeline_picture,
)
from poseact.inference.predict import predict
from poseact.media import VideoReader, VideoWriter, read_image, write_image
from poseact.models.sequence import SequenceConfig
from poseact.skeleton import PA16, PA17

predict_one = partial(predict, people="one")

LABELS = ("sit", "stand up", "_other")


def action_network(labels=LABELS, **card):
    return networks.action_network(labels, **card)


def sequence_of(times, channels=16, seed=0):
    rng = np.random.default_rng(seed)
    shape = (len(times), len(PA16))
    return PoseSequence(
        "clip",
        PA16,
        np.asarray(times, np.float64),
        rng.uniform(0, 300, (*shape, 3)).astype(np.float32),
        rng.uniform(0, 1, shape).astype(np.float32),
        rng.normal(size=(*shape, channels)).astype(np.float16),
    )


def readings_of(sequence):
    for k, time in enumerate(sequence.times.tolist()):
        confidence = sequence.confidence[k]
        box = (0.0, 0.0, 1.0, 1.0)
        pose = FramePose(k, time, 0, sequence.joints[k], confidence, confidence > 0.5, box)
        spread = np.zeros((len(confidence), 2))
        seen = sequence.appearance[k].astype(np.float32)
        yield time, PersonReading(pose, confidence, spread, seen)


def jittered(count, fps=30, seed=1):
    """Rising times of a variable rate, not starting at 0."""
    return 5 + np.arange(count) / fps + np.random.default_rng(seed).uniform(0, 0.8 / fps, count)


@pytest.mark.parametrize("times", [jittered(70), np.arange(60) / 25, [3.0], [0, 0.1], [0, 5, 20]])
def test_reading_a_video_gives_the_answers_of_the_whole(times):
    network, sequence = action_network(), sequence_of(times)
    reader = WindowReader(network, "clip")
    for time, reading in readings_of(sequence):
        reader.add(time, reading)
    answers, wanted = reader.finish(), answer_windows(network, sequence)
    assert [(a.start, a.end) for a in answers] == [(w.start, w.end) for w in wanted]
    for answer, other in zip(answers, wanted, strict=True):
        np.testing.assert_allclose(answer.probabilities, other.probabilities, atol=1e-5)
        assert answer.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert wanted[-1].end == sequence.times[-1]
    assert wanted[0].start == sequence.times[0]


def test_no_frame_no_answer():
    network = action_network()
    assert WindowReader(network, "clip").finish() == []
    assert find_segments(network, []) == []


def test_recent_frames_give_the_window_of_the_whole():
    network, sequence = action_network(), sequence_of(jittered(90))
    recent = recent_frames(network)
    for k, (time, reading) in enumerate(readings_of(sequence)):
        recent.add(time, reading)
        if k % 7 == 0:
            few, whole = (
                window_answers(network, s, [time])["fused"]
                for s in (recent.sequence("few"), sequence)
            )
            np.testing.assert_allclose(few, whole, atol=1e-5)
    assert len(recent) < 30  # 0.7 s of 30 fps and the first frame


def test_recent_frames_are_bounded():
    recent = RecentFrames(PA16, 0.7, appearance=True)
    _, reading = next(readings_of(sequence_of([0.0])))
    most = 0
    for k in range(100_000):
        recent.add(k / 30, reading)
        most = max(most, len(recent))
    assert most <= 24
    assert recent.first == 0
    assert recent.last == pytest.approx(99_999 / 30)


def window(start, end, *probabilities):
    return WindowAnswer(start, end, np.array(probabilities, np.float32))


def test_windows_of_one_action_are_one_segment():
    network = action_network()
    windows = [window(0, 1, 0.7, 0.2, 0.1), window(0.5, 1.5, 0.9, 0.05, 0.05)]
    (segment,) = find_segments(network, windows)
    assert (segment.start, segment.end, segment.label) == (0, 1.5, "sit")
    assert 0.7 < segment.probability < 0.9


def test_actions_change_where_the_windows_do():
    network = action_network()
    windows = [
        window(0, 1, 0.98, 0.01, 0.01),
        window(1, 2, 0.01, 0.98, 0.01),
        window(2, 3, 0.01, 0.98, 0.01),
    ]
    segments = find_segments(network, windows)
    assert [s[:3] for s in segments] == [(0, 1, "sit"), (1, 3, "stand up")]


def test_where_windows_overlap_their_logarithms_are_averaged():
    network = action_network(("sit", "stand"))
    windows = [window(0, 2, 0.9, 0.1), window(1, 3, 0.2, 0.8)]
    first, middle_on = find_segments(network, windows)
    geometric = np.sqrt([0.9 * 0.2, 0.1 * 0.8])
    sit = geometric[0] / geometric.sum()
    assert first.label == "sit"
    assert (first.start, first.end) == (0, 2)
    assert first.probability == pytest.approx((0.9 + sit) / 2, abs=1e-6)
    assert middle_on == Segment(2, 3, "stand", pytest.approx(0.8))


def test_no_sliver_where_the_last_window_ends():
    network, sequence = action_network(), sequence_of(np.arange(62) / 25)
    windows = answer_windows(network, sequence)
    assert windows[-1].end - windows[-2].end < 0.15  # so close is the last to the one before
    sure, unsure = np.array([0.98, 0.01, 0.01]), np.array([0.4, 0.55, 0.05])
    answers = [w._replace(probabilities=sure) for w in windows]
    answers[-1] = answers[-1]._replace(probabilities=unsure)
    (segment,) = find_segments(network, answers)
    assert segment[:3] == (0, pytest.approx(61 / 25), "sit")


def test_unsure_and_background_are_unknown():
    network = action_network(unknown_below=0.6)
    assert name_answer(network, np.array([0.61, 0.3, 0.09])).label == "sit"
    assert name_answer(network, np.array([0.59, 0.3, 0.11])) == (UNKNOWN, 0.59)
    assert name_answer(network, np.array([0.1, 0.1, 0.8])) == (UNKNOWN, 0.8)
    segments = find_segments(network, [window(0, 1, 0.5, 0.4, 0.1), window(1, 2, 0.1, 0.1, 0.8)])
    assert [s[:3] for s in segments] == [(0, 2, UNKNOWN)]


def test_one_frame_is_a_segment_of_no_length():
    (segment,) = find_segments(action_network(), [window(4, 4, 0.8, 0.1, 0.1)])
    assert segment == Segment(4, 4, "sit", pytest.approx(0.8))


def test_tables(tmp_path):
    network = action_network(temperature=1.5, unknown_below=0.4)
    table = ActionTable(network)
    table.append("a b/ü.mp4", [window(0, 1, 0.7, 0.2, 0.1), window(0.5, 1.5, 0.1, 0.8, 0.1)])
    table.append("c.mp4", [window(0, 1, 0.3, 0.3, 0.4)], person=3)
    table.write_parquet(tmp_path / "actions.parquet")
    table.write_csv(tmp_path / "segments.csv")
    windows = pq.read_table(tmp_path / "actions.parquet")
    assert windows.column_names == list(WINDOW_COLUMNS)
    assert len(windows) == len(table) * 3 == 9
    assert windows["label"].to_pylist()[:3] == list(LABELS)
    assert windows["probability"].to_pylist()[3:6] == pytest.approx([0.1, 0.8, 0.1])
    facts = json.loads(windows.schema.metadata[b"poseact"])
    assert (facts["window_frames"], facts["window_fps"]) == (8, 10)
    assert (facts["temperature"], facts["unknown_below"]) == (1.5, 0.4)
    with (tmp_path / "segments.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(SEGMENT_COLUMNS)
    assert [row["source"] for row in rows] == ["a b/ü.mp4", "a b/ü.mp4", "c.mp4"]
    assert rows[-1]["label"] == UNKNOWN
    assert [row["person"] for row in rows] == ["0", "0", "3"]
    assert windows["person"].to_pylist() == [0] * 6 + [3] * 3
    assert float(rows[0]["start"]) == 0


def test_an_empty_table_can_be_written(tmp_path):
    table = ActionTable(action_network())
    assert not table
    table.write_parquet(tmp_path / "a.parquet")
    assert len(pq.read_table(tmp_path / "a.parquet")) == 0


def is_colour(picture, colour):
    return (picture == colour).all(-1)


@pytest.mark.parametrize("count", [2, 9, 60])
def test_colours_differ(count):
    colours = action_colours([f"action{k}" for k in range(count)])
    assert len(set(colours.values())) == count + 1
    assert colours[UNKNOWN] == UNKNOWN_COLOUR


def test_timeline_has_each_segment_at_its_time():
    colours = action_colours(LABELS)
    segments = [Segment(0, 5, "sit", 0.9), Segment(5, 20, UNKNOWN, 0.4)]
    picture = timeline_picture(segments, colours, 20)
    sit, unknown = (is_colour(picture, colours[name]) for name in ("sit", UNKNOWN))
    # The uppermost rows of the blocks: the names beside them, of the same colours, are less high.
    sit_row, unknown_row = (np.flatnonzero(c.sum(1) > 100)[0] for c in (sit, unknown))
    assert unknown_row - sit_row > 20  # lanes of their own
    ratio = unknown[unknown_row].sum() / sit[sit_row].sum()
    assert ratio == pytest.approx(3, rel=0.02)
    assert np.flatnonzero(sit[sit_row]).max() < np.flatnonzero(unknown[unknown_row]).min()
    assert not is_colour(picture[:, 300:], colours["stand up"]).any()


@pytest.mark.parametrize("width", [20, 64, 641])
def test_strip_shows_the_action_now(width):
    colours = action_colours(LABELS)
    segments = [Segment(0, 5, "sit", 0.9), Segment(5, 10, "stand up", 0.8)]
    height = strip_height(480)
    early, late = (
        draw_strip(segments, colours, span=(0, 10), now=now, size=(width, height)) for now in (1, 9)
    )
    assert early.shape == (height, width, 3)
    words = slice(0, height // 2 - 2)
    assert (early[words] != late[words]).any()
    bar = early[-height // 4]
    assert is_colour(bar[: width // 2 - 1], colours["sit"]).mean() > 0.5
    assert is_colour(bar[width // 2 + 1 :], colours["stand up"]).all()


def test_strip_leaves_out_what_lies_outside_of_its_time():
    colours = action_colours(LABELS)
    strip = draw_strip(
        [Segment(0, 1, "sit", 1), Segment(3, 4, "stand up", 1)],
        colours,
        span=(2, 4),
        now=2.5,
        size=(200, 40),
    )
    bar = strip[-8]
    assert not is_colour(bar, colours["sit"]).any()
    assert is_colour(bar, colours["stand up"]).sum() == 100


def write_video(path, frames=24, size=(64, 48)):
    width, height = size
    with VideoWriter(path, 10, width, height) as video:
        for k in range(frames):
            rng = np.random.default_rng(k)
            video.write(rng.integers(0, 255, (height, width, 3), np.uint8))
    return path


def test_predict_gives_actions(tmp_path):
    source, out = tmp_path / "my clips", tmp_path / "out"
    write_video(source / "long.mp4")
    write_video(source / "sub" / "short ü.mp4", frames=3)
    write_image(source / "photo.png", np.zeros((48, 64, 3), np.uint8))
    weights = poseact.save(action_network(), tmp_path / "actions.safetensors")
    steps = []
    report = predict_one(source, out, weights=weights, on_step=steps.append)
    assert not report.failed
    assert (report.actions, report.segments) == (out / "actions.parquet", out / "segments.csv")
    table = pq.read_table(report.actions).to_pylist()
    assert {row["source"] for row in table} == {"long.mp4", "sub/short ü.mp4"}
    ends = sorted({row["end"] for row in table if row["source"] == "long.mp4"})
    np.testing.assert_allclose(ends, [0.7, 1.1, 1.5, 1.9, 2.3])
    with report.segments.open(encoding="utf-8", newline="") as stream:
        until = {row["source"]: float(row["end"]) for row in csv.DictReader(stream)}
    assert until == {"long.mp4": 2.4, "sub/short ü.mp4": 0.3}  # where the last frames end
    names = sorted(path.relative_to(out).as_posix() for path in report.timelines)
    assert names == ["long_actions.png", "sub/short ü_actions.png"]
    assert all(read_image(path).shape[1] == 1200 for path in report.timelines)
    with VideoReader(out / "long_pose.mp4") as video:
        assert (video.width, video.height) == (64, 48 + strip_height(48))
        assert len(list(video)) == 24
    assert [s.frame for s in steps if s.stage == "draw"] == [*range(1, 25), 1, 2, 3]
    assert report.frames == 28
    assert len(pq.read_table(report.parquet)) == 28 * 16


def test_poses_of_a_network_with_actions_are_those_without(tmp_path):
    network = action_network()
    video = write_video(tmp_path / "v.mp4", frames=4)
    bare = poseact.create_model(
        "tiny", channels=16, low_channels=16, image_size=32, num_blocks=1
    ).eval()
    state = network.state_dict()
    bare.load_state_dict({name: state[name] for name in bare.state_dict()})
    with_actions, without = (
        pq.read_table(
            predict_one(
                video,
                tmp_path / name,
                weights=poseact.save(n, tmp_path / f"{name}.safetensors"),
                draw=False,
            ).parquet
        )
        for name, n in (("a", network), ("b", bare))
    )
    np.testing.assert_allclose(with_actions["x"], without["x"], atol=1e-3)


def test_boxes_and_no_drawing_leave_the_actions_of_others(tmp_path):
    for name in ("a", "b"):
        write_video(tmp_path / "in" / f"{name}.mp4", frames=4)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("source,frame,x0,y0,x1,y1\na.mp4,0,1,2,30,40\n")
    weights = poseact.save(action_network(), tmp_path / "actions.safetensors")
    report = predict_one(tmp_path / "in", tmp_path / "o", weights=weights, boxes=boxes, draw=False)
    assert set(pq.read_table(report.actions)["source"].to_pylist()) == {"b.mp4"}
    assert report.timelines == report.drawn == []


def test_labels_of_clips_of_pictures_leave_the_poses_alone(tmp_path):
    network = action_network()
    network.card = replace(network.card, fps=None)
    weights = poseact.save(network, tmp_path / "clips.safetensors")
    report = predict_one(write_video(tmp_path / "v.mp4", frames=2), tmp_path / "o", weights=weights)
    assert report.actions is None
    assert report.frames == 2


def sequence_network(pose_weights, **changes):
    settings = {"labels": LABELS, "frames": 8, "skeleton": PA16, **changes}
    network = SequenceConfig(**settings).build().eval()
    network.card = replace(network.card, fps=10.0, pose_weights=pose_weights)
    return network


@pytest.fixture
def pose_file(tmp_path):
    network = poseact.create_model("tiny", channels=16, low_channels=16, image_size=32)
    return poseact.save(network, tmp_path / "weights" / "pose.safetensors")


@pytest.mark.parametrize("coordinates", [2, 3])
def test_actions_from_poses_alone(tmp_path, pose_file, coordinates):
    network = sequence_network("pose.safetensors", coordinates=coordinates)
    weights = poseact.save(network, pose_file.parent / "actions.safetensors")
    report = predict_one(write_video(tmp_path / "v.mp4", frames=9), tmp_path / "o", weights=weights)
    assert len(pq.read_table(report.actions)) == 2 * 3  # windows of 8 frames end at 0.7 and 0.8 s


def test_sequence_weights_that_give_no_poses(tmp_path, pose_file):
    video = write_video(tmp_path / "v.mp4", frames=1)

    def refused(network, match):
        weights = poseact.save(network, pose_file.parent / "actions.safetensors")
        with pytest.raises(poseact.PoseActError, match=match):
            predict_one(video, tmp_path / "o", weights=weights)

    refused(sequence_network(None), "do not name a pose network")
    refused(sequence_network("gone.safetensors"), r"no weights 'gone\.safetensors'")
    other = sequence_network("pose.safetensors", skeleton=PA17)
    refused(other, f"3D poses of {PA16.name}, but .* of {PA17.name}")
    with pytest.raises(poseact.PoseActError, match="read no pictures"):
        poseact.Predictor(sequence_network("pose.safetensors"))
