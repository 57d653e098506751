"""Two people who do different things in one picture, offline and live."""

from __future__ import annotations

import csv
from itertools import islice

import numpy as np
import pyarrow.parquet as pq
import pytest

import poseact
from helpers.clips import FPS, write_video
from poseact.clips.extract import ReadingOptions, extract
from poseact.clips.folder import Clip
from poseact.inference.predict import predict
from poseact.media import VideoReader
from poseact.training.instant import train_instant

ACTIONS = ["squats", "trikonasana"]
"""On the left and on the right."""

FRAMES = 40


def pictures(path):
    with VideoReader(path) as reader:
        return [frame.image for frame in islice(reader, FRAMES)]


@pytest.mark.slow
def test_both_actions_are_right_and_live_is_as_offline(shared, tmp_path, network):
    videos = {action: sorted((shared / "data" / "clips" / action).iterdir()) for action in ACTIONS}
    learned = [
        Clip(path, path.name, action, path.name, 0.0, FRAMES / FPS)
        for action, paths in videos.items()
        for path in paths[3:4]
    ]
    reading = ReadingOptions(device="cpu", runtime="torch")
    read = extract(learned, network, tmp_path / "cache", reading=reading)
    assert (read.findings, read.interrupted) == ([], False)
    trained = train_instant(read.sequences, pose_network=network)
    weights = poseact.save(trained, tmp_path / "two.safetensors")
    sides = [pictures(videos[action][0]) for action in ACTIONS]
    middle = sides[0][0].shape[1]
    video = write_video(
        tmp_path / "two.mp4", [np.hstack(pair) for pair in zip(*sides, strict=True)]
    )

    report = predict(video, tmp_path / "out", weights=weights, draw=False, runtime="torch")
    stream = poseact.Stream(weights, device="cpu", runtime="torch")
    live = {}
    with VideoReader(video) as reader:
        for frame in reader:
            for answer in stream.push(frame.image, frame.time):
                live.setdefault(answer.pose.person, {})[round(frame.time, 6)] = answer

    side_of = {
        person: int(np.median([a.box[0] + a.box[2] for a in answers.values()]) > 2 * middle)
        for person, answers in live.items()
    }
    assert sorted(side_of.values()) == [0, 1]
    with report.segments.open(encoding="utf-8", newline="") as file:
        segments = [(int(row["person"]), row["label"]) for row in csv.DictReader(file)]
    assert set(segments) == {(person, ACTIONS[side]) for person, side in side_of.items()}
    windows = pq.read_table(report.actions).to_pylist()
    assert {row["person"] for row in windows} == set(side_of)
    for row in windows:
        answer = live[row["person"]][round(row["end"], 6)]
        best = trained.config.labels.index(row["label"])
        assert answer.probabilities[best] == pytest.approx(row["probability"], abs=1e-4)
        assert answer.label == ACTIONS[side_of[row["person"]]]
