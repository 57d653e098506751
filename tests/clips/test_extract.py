"""Features of clips: read once, kept, and the same however they are asked for."""

from __future__ import annotations

import logging
import math
import os
import signal
import struct
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import poseact
from helpers.clips import FPS, clip_of, write_sound, write_video
from poseact._utils.errors import PoseActError
from poseact.clips import extract as extract_module
from poseact.clips.extract import ReadingOptions, extract
from poseact.clips.features import read_features
from poseact.clips.folder import Stretch
from poseact.inference.predictor import Predictor
from poseact.media import Frame, VideoReader
from poseact.models.multitask import for_actions
from poseact.weights.checkpoint import load

# Extracts videos one after the other; after each, the most memory in kB that was needed so far.
PEAKS = """
import math, resource, sys
from pathlib import Path
import poseact
from poseact.clips.extract import extract
from poseact.clips.folder import Clip

cache, *videos = map(Path, sys.argv[1:])
network = poseact.load("small-open")
for video in videos:
    extract([Clip(video, video.name, "a", video.name, 0.0, math.inf)], network, cache)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def read(tmp_path, network):
    """Extracts clips into one cache folder."""

    def read(*clips, weights=network, cache="cache", workers=1, **options):
        reading = ReadingOptions(workers, device="cpu")
        return extract(clips, weights, tmp_path / cache, reading=reading, **options)

    return read


def rotate(path):
    """Turn a video a quarter clockwise by the display matrix in its track header."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    values = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", *values)
    path.write_bytes(data)
    return path


def kinds(extraction):
    return [(finding.clip, finding.kind, finding.severity) for finding in extraction.findings]


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("times", "joints", "confidence", "appearance")
    )


class TestFeatures:
    @pytest.mark.slow
    def test_they_are_what_the_predictor_follows(self, tmp_path, person, read):
        predictor = Predictor(for_actions(load("small-open")))
        video = write_video(tmp_path / "späß 写真 1.mp4", person[:6])
        extraction = read(clip_of(video))
        (sequence,) = extraction.sequences
        with VideoReader(video) as reader:
            followed = list(predictor.follow(reader))
        assert extraction.frames == len(followed) == 6
        np.testing.assert_allclose(sequence.times, np.arange(6) / FPS, atol=1e-4)
        np.testing.assert_allclose(
            sequence.joints, np.stack([r.pose.joints for _, r in followed]), atol=1e-3
        )
        np.testing.assert_allclose(
            sequence.appearance, np.stack([r.appearance for _, r in followed]), rtol=1e-3, atol=2e-3
        )
        assert sequence.appearance.dtype == np.float16
        assert (sequence.label, sequence.recording) == ("move", video.name)
        assert sequence.skeleton == predictor.skeleton

    @pytest.mark.slow
    def test_several_clips_of_one_video(self, tmp_path, person, monkeypatch, read):
        opened = []

        class Counted(VideoReader):
            def __iter__(self):
                opened.append(self.path)
                return super().__iter__()

        monkeypatch.setattr(extract_module, "VideoReader", Counted)
        video = write_video(tmp_path / "a.mp4", person[:9])
        cuts = [(0.1, 0.3), (0.2, 0.4), (0.4, math.inf)]
        clips = [clip_of(video, *cut) for cut in cuts]
        extraction = read(*clips)
        assert len(opened) == 1
        assert extraction.frames == 9
        for (start, end), sequence in zip(cuts, extraction.sequences, strict=True):
            wanted = [i / FPS for i in range(9) if start - 1e-6 <= i / FPS < end - 1e-6]
            np.testing.assert_allclose(sequence.times, wanted, atol=1e-4)

    def test_the_video_is_read_no_further_than_needed(self, predictor, person):
        def frames():
            yield Frame(0, 0.0, person[0])
            yield Frame(1, 1.0, person[1])
            raise AssertionError

        ((stretch, features),) = read_features(predictor, frames(), [Stretch(0.0, 0.5)])
        assert stretch == Stretch(0.0, 0.5)
        assert features is not None
        assert list(features.times) == [0.0]

    def test_variable_frame_rate(self, tmp_path, person, read):
        times = [0, 0.03, 0.2, 0.21, 0.5, 1.1]
        video = write_video(tmp_path / "a.mp4", person[:6], times)
        (sequence,) = read(clip_of(video)).sequences
        np.testing.assert_allclose(sequence.times, times, atol=1e-3)

    @pytest.mark.slow(covers=True)
    def test_rotated_phone_video(self, tmp_path, person, read):
        upright = write_video(tmp_path / "a.mp4", person[:4])
        lying = [np.ascontiguousarray(np.rot90(image)) for image in person[:4]]
        turned = rotate(write_video(tmp_path / "b.mp4", lying))
        first, second = read(clip_of(upright), clip_of(turned)).sequences
        height = np.ptp(first.joints[..., 1])
        # The two are compressed differently.
        assert np.abs(first.joints - second.joints)[..., :2].mean() < 0.03 * height

    def test_times_before_the_first_look_further(self, tmp_path, person, read):
        video = write_video(tmp_path / "a.mp4", person[:6])
        extraction = read(clip_of(video, 0, 0.2), clip_of(video, 5, 6))
        assert len(extraction.sequences) == 1
        assert kinds(extraction) == [("a.mp4 5", "empty", "error")]
        assert "no frame from 5 s to 6 s" in extraction.findings[0].message


class TestBadVideos:
    def test_they_are_named_and_the_others_read(self, tmp_path, person, read):
        (tmp_path / "zero.mp4").touch()
        (tmp_path / "zero too.mp4").touch()
        (tmp_path / "text.mp4").write_text("no video")
        good = write_video(tmp_path / "good.mp4", person[:3])
        paths = [
            tmp_path / "zero.mp4",
            tmp_path / "zero too.mp4",
            good,
            write_sound(tmp_path / "sound.mp4"),
            tmp_path / "text.mp4",
            tmp_path / "none.mp4",
        ]
        extraction = read(*map(clip_of, paths))
        assert [sequence.name for sequence in extraction.sequences] == ["good.mp4 0"]
        assert kinds(extraction) == [
            (f"{path.name} 0", "unreadable", "error") for path in paths if path != good
        ]
        assert "only sound" in extraction.findings[2].message

    @pytest.mark.parametrize("kind", ["black", "grey", "ramp"])
    def test_nobody(self, tmp_path, kind, read):
        ramp = np.linspace(0, 255, 160, dtype=np.uint8)[None, :, None]
        image = {"black": 0, "grey": 128, "ramp": ramp}[kind]
        image = np.broadcast_to(np.uint8(image), (120, 160, 3))
        video = write_video(tmp_path / "a.mp4", [image] * 4)
        extraction = read(clip_of(video))
        assert not extraction.sequences
        assert kinds(extraction) == [("a.mp4 0", "nobody", "error")]

    def test_two_people(self, tmp_path, person, read):
        """The larger one is followed, on whichever side."""
        large = person[40:42]
        small = [cv2.resize(image, None, fx=0.6, fy=0.6) for image in large]
        room = large[0].shape[0] - small[0].shape[0]
        small = [np.pad(image, ((room, 0), (0, 0), (0, 0)), "edge") for image in small]
        for name, sides in (("left", (large, small)), ("right", (small, large))):
            video = write_video(
                tmp_path / f"{name}.mp4", [np.hstack(pair) for pair in zip(*sides, strict=True)]
            )
            extraction = read(clip_of(video))
            (sequence,) = extraction.sequences
            assert kinds(extraction) == [(f"{name}.mp4 0", "several people", "warning")]
            x = sequence.joints[..., 0].mean()
            edge = sides[0][0].shape[1]
            assert x < edge if name == "left" else x > edge

    @pytest.mark.slow
    def test_memory_is_bounded_for_4k(self, tmp_path, person):
        """What a longer video needs more is less than four of its pictures."""
        frames = [cv2.resize(image, (3840, 2160)) for image in person[:4]]
        short = write_video(tmp_path / "short.mp4", frames)
        long = write_video(tmp_path / "long.mp4", frames * 3)
        command = [sys.executable, "-c", PEAKS, str(tmp_path / "cache"), str(short), str(long)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks = [int(line) for line in done.stdout.split()]
        assert len(peaks) == 2
        assert (peaks[1] - peaks[0]) * 1024 < 4 * frames[0].nbytes


class TestCache:
    def test_nothing_is_read_twice(self, tmp_path, person, read):
        video = write_video(tmp_path / "a.mp4", person[:5])
        first = read(clip_of(video))
        moved = video.rename(tmp_path / "another name.mp4")
        second = read(clip_of(moved, label="other"))
        assert (first.frames, second.frames) == (5, 0)
        assert same(first.sequences[0], second.sequences[0])
        assert second.sequences[0].label == "other"

    @pytest.mark.slow
    def test_other_weights_or_pictures_are_read_again(self, tmp_path, person, read):
        video = write_video(tmp_path / "a.mp4", person[:3])
        read(clip_of(video))
        other = poseact.load("small-open")
        with torch.no_grad():
            next(other.parameters()).mul_(1.01)
        assert read(clip_of(video), weights=other).frames == 3
        write_video(video, person[1:4])
        assert read(clip_of(video)).frames == 3
        assert len(list((tmp_path / "cache").iterdir())) == 3

    @pytest.mark.slow(covers=True)
    def test_damage_is_mended(self, tmp_path, person, caplog, read):
        video = write_video(tmp_path / "a.mp4", person[:2])
        (before,) = read(clip_of(video)).sequences
        (file,) = (tmp_path / "cache").iterdir()
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[-100] ^= 4
        for damaged in (content[:-40], bytes(flipped), b"", b"hello"):
            file.write_bytes(damaged)
            caplog.clear()
            with caplog.at_level(logging.WARNING, "poseact.clips"):
                again = read(clip_of(video))
            assert "damaged" in caplog.text
            assert again.frames == 2
            assert same(again.sequences[0], before)
        assert read(clip_of(video)).frames == 0

    def test_it_must_be_writable(self, tmp_path, person, read):
        video = write_video(tmp_path / "a.mp4", person[:2])
        (tmp_path / "cache").touch()
        with pytest.raises(PoseActError, match="is a file"):
            read(clip_of(video))

    @pytest.mark.slow
    def test_processes_give_the_same(self, tmp_path, person, read):
        (tmp_path / "zero.mp4").touch()
        clips = [clip_of(write_video(tmp_path / f"{i}.mp4", person[i : i + 3])) for i in range(2)]
        clips.insert(1, clip_of(tmp_path / "zero.mp4"))
        alone = read(*clips, cache="alone")
        steps = []
        together = read(*clips, cache="both", workers=2, on_step=steps.append)
        assert kinds(together) == kinds(alone)
        assert together.frames == alone.frames == 6
        assert [s.name for s in together.sequences] == [s.name for s in alone.sequences]
        for first, second in zip(together.sequences, alone.sequences, strict=True):
            np.testing.assert_allclose(first.joints, second.joints, atol=0.05)
        assert (steps[-1].files, steps[-1].of, steps[-1].frames) == (3, 3, 6)

    def test_workers(self):
        with pytest.raises(PoseActError, match="0 workers"):
            ReadingOptions(workers=0)


@pytest.mark.slow
def test_an_interrupted_run_resumes(tmp_path, person, read):
    clips = [clip_of(write_video(tmp_path / f"{i}.mp4", person[i : i + 4])) for i in range(3)]

    def interrupt(step):
        if step.frames == 6:
            os.kill(os.getpid(), signal.SIGINT)

    first = read(*clips, on_step=interrupt)
    assert first.interrupted
    assert [sequence.name for sequence in first.sequences] == ["0.mp4 0"]
    assert not first.findings
    second = read(*clips)
    assert (len(second.sequences), second.frames, second.interrupted) == (3, 8, False)


@pytest.mark.parametrize("left", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_of_two_who_are_as_large_the_one_who_moves_is_followed(tmp_path, person, read, left):
    moving, still = person[:20:2], [person[0]] * 10
    sides = (moving, still) if left else (still, moving)
    pictures = [np.hstack(pair) for pair in zip(*sides, strict=True)]
    extraction = read(clip_of(write_video(tmp_path / "two.mp4", pictures)))
    (sequence,) = extraction.sequences
    assert kinds(extraction) == [("two.mp4 0", "several people", "warning")]
    assert (np.median(sequence.joints[..., 0]) < person[0].shape[1]) == left


def test_who_comes_into_an_empty_picture_is_in_view(tmp_path, person, read):
    pictures = [np.zeros_like(person[0]), *person[:5]]
    extraction = read(clip_of(write_video(tmp_path / "late.mp4", pictures)))
    assert not extraction.findings
    assert list(extraction.people.values()) == [1]


def test_the_table_says_who_of_two_is_followed(tmp_path, person, read):
    """By a box in the first picture, or by the id of ``predict``."""
    width = person[0].shape[1]
    pictures = [np.concatenate((image, image), 1) for image in person[:5]]
    video = write_video(tmp_path / "two.mp4", pictures)
    box = (110.0, 65.0, 236.0, 306.0)
    right = (box[0] + width, box[1], box[2] + width, box[3])
    named = (box, right, 0, 1)
    clips = [replace(clip_of(video), name=str(who), person=who) for who in named]
    extraction = read(*clips)
    assert not extraction.findings
    places = [float(np.median(one.joints[..., 0])) > width for one in extraction.sequences]
    assert places[:2] == [False, True]
    assert sorted(places[2:]) == [False, True]
    assert set(extraction.people) == {clip.name for clip in clips}
