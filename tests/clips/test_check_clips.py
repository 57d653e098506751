"""Faults of clips are told before training, and what cannot be trained on is refused."""

from __future__ import annotations

import json
import logging
import os
import signal

import cv2
import numpy as np
import pytest

from helpers.clips import clip_of, write_sound, write_video
from poseact._utils.errors import PoseActError
from poseact.cli import main
from poseact.clips.check_clips import check_clips, require_trainable
from poseact.clips.copies import Copy, Thumbnails, find_copies, join_recordings
from poseact.clips.folder import find_clips
from poseact.media import Frame, VideoReader

FPS = 15


def scene(seed, count=20, height=96, width=128):
    """A patch that moves over a smooth background, both of its own."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    background = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    colour, path = rng.integers(0, 255, 3), np.cumsum(rng.integers(-4, 5, (count, 2)), 0)
    images = []
    for y, x in np.add(path, (height // 2, width // 2)):
        image = background.copy()
        image[max(y - 15, 0) : max(y + 15, 0), max(x - 10, 0) : max(x + 10, 0)] = colour
        images.append(image)
    return images


def thumbnails(images, fps=FPS):
    made = Thumbnails()
    for index, image in enumerate(images):
        made.add(Frame(index, index / fps, image))
    return made.array()


def kinds(report):
    return {(finding.clip, finding.kind) for finding in report.findings}


class TestCopies:
    @pytest.mark.parametrize(
        ("change", "mirrored"),
        [
            (lambda images: images, False),
            (lambda images: images[6:], False),
            (lambda images: [image[:, ::-1] for image in images], True),
            (lambda images: [cv2.resize(image, (64, 48)) for image in images], False),
            (lambda images: [(image * 0.7 + 20).astype(np.uint8) for image in images], False),
        ],
        ids=["same", "cut", "mirrored", "smaller", "paler"],
    )
    def test_they_are_found_among_others(self, change, mirrored):
        clips = {str(seed): thumbnails(scene(seed)) for seed in range(6)}
        clips["copy"] = thumbnails(change(scene(3)))
        (copy,) = find_copies(clips)
        assert (copy.first, copy.second, copy.mirrored) == ("3", "copy", mirrored)
        assert 0.9 < copy.similarity <= 1 + 1e-5

    def test_pictures_without_contrast_are_like_nothing(self):
        black = thumbnails([np.zeros((48, 64, 3), np.uint8)] * 5)
        assert find_copies({"a": black, "b": black, "c": thumbnails([])}) == []

    def test_the_rate_of_the_clip_does_not_matter(self):
        images = scene(0, 60)
        clips = {"a": thumbnails(images, 30), "b": thumbnails(images[::2], 15)}
        assert len(find_copies(clips)) == 1
        assert abs(len(clips["a"]) - len(clips["b"])) <= 1

    def test_a_long_video_takes_no_more_memory(self):
        image = scene(0, 1)[0]
        made = Thumbnails()
        for index in range(400):
            made.add(Frame(index, float(index), image))
        assert len(made.array()) == 300

    def test_they_become_one_recording(self, tmp_path):
        clips = [clip_of(tmp_path / f"{name}.mp4") for name in "abcde"]
        names = [clip.name for clip in clips]
        pairs = [(0, 1), (3, 4), (1, 4)]
        joined = join_recordings(clips, [Copy(names[i], names[k], False, 1.0) for i, k in pairs])
        assert [clip.name for clip in joined] == names
        assert len({joined[i].recording for i in (0, 1, 3, 4)}) == 1
        assert joined[2] == clips[2]


@pytest.fixture
def folder(tmp_path):
    """Two actions of two recordings each."""
    for seed, name in enumerate(("jump/a 1.mp4", "jump/ä.mp4", "squat/c.mp4", "squat/d.mp4")):
        write_video(tmp_path / "clips" / name, scene(seed))
    return tmp_path / "clips"


class TestCheck:
    def test_facts(self, folder):
        report = check_clips(folder, None)
        assert [clip.name for clip in report.by_label()["jump"]] == ["jump/a 1.mp4", "jump/ä.mp4"]
        clip = report.clips[0]
        assert (clip.frames, clip.width, clip.height) == (20, 128, 96)
        assert (clip.fps, clip.seconds) == (
            pytest.approx(FPS, abs=0.01),
            pytest.approx(20 / FPS, abs=1e-3),
        )
        assert kinds(report) == {(None, "few")}
        assert not report.errors

    def test_what_is_wrong_with_files(self, folder):
        (folder / "squat" / "zero.mp4").touch()
        write_sound(folder / "squat" / "sound.mp4")
        write_video(folder / "jump" / "short.mp4", scene(10, 3))
        write_video(folder / "jump" / "slow.mp4", scene(11, 10), fps=5)
        times = [0, *(0.9 + i / 15 for i in range(15))]
        write_video(folder / "jump" / "gap.mp4", scene(12, 16), times)
        (folder / "empty").mkdir()
        report = check_clips(folder, None)
        assert kinds(report) == {
            ("squat/zero.mp4", "unreadable"),
            ("squat/sound.mp4", "unreadable"),
            ("jump/short.mp4", "short"),
            ("jump/slow.mp4", "slow"),
            ("jump/gap.mp4", "gap"),
            (None, "few"),
            (None, "no clips"),
        }
        assert {finding.clip for finding in report.errors} == {"squat/zero.mp4", "squat/sound.mp4"}

    def test_copies_across_recordings(self, folder):
        write_video(folder / "squat" / "e.mp4", [image[:, ::-1] for image in scene(0)])
        (finding,) = [f for f in check_clips(folder, None).findings if f.kind == "copy"]
        assert finding.message.startswith(
            "squat/e.mp4 looks like the mirror image of jump/a 1.mp4, under jump and squat"
        )

    def test_stretches_of_one_recording_may_be_alike(self, folder):
        (folder / "clips.csv").write_text(
            "file,start,end,label\njump/a 1.mp4,0,1,jump\njump/a 1.mp4,0.1,1.1,land\n"
            "squat/c.mp4,0,1,squat\nsquat/c.mp4,7,9,squat\n"
        )
        report = check_clips(folder, None)
        assert not report.copies
        assert ("squat/c.mp4 [7-9 s]", "empty") in kinds(report)
        assert [clip.frames for clip in report.clips] == [15, 15, 15]

    @pytest.mark.slow(covers=True)
    def test_people(self, tmp_path, person):
        for name in ("jump", "squat"):
            write_video(tmp_path / "clips" / name / "a.mp4", person[40:43])
            write_video(tmp_path / "clips" / name / "b.mp4", [np.zeros_like(person[0])] * 2)
        report = check_clips(tmp_path / "clips", cache_dir=tmp_path / "cache")
        assert {f.clip for f in report.errors} == {"jump/b.mp4", "squat/b.mp4"}
        assert {f.kind for f in report.errors} == {"nobody"}
        assert [(c.first, c.second) for c in report.copies] == [("jump/a.mp4", "squat/a.mp4")]

    def test_interrupted(self, folder):
        def interrupt(step):
            if step.files == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        report = check_clips(folder, None, on_step=interrupt)
        assert report.interrupted
        assert len(report.clips) == 2


class TestTrainable:
    def test_one_clip_or_one_action(self, tmp_path):
        with pytest.raises(PoseActError, match="no clip to train on; give several"):
            require_trainable([])
        one, two = clip_of(tmp_path / "a.mp4"), clip_of(tmp_path / "b.mp4")
        with pytest.raises(PoseActError, match=r"only one clip, a\.mp4 0"):
            require_trainable([one])
        with pytest.raises(PoseActError, match="All 2 clips are of one action, move; give"):
            require_trainable([one, two])
        require_trainable([one, clip_of(tmp_path / "b.mp4", label="_other")])

    def test_the_check_says_so(self, tmp_path):
        write_video(tmp_path / "jump" / "a.mp4", scene(0))
        write_video(tmp_path / "jump" / "b.mp4", scene(1))
        (error,) = check_clips(tmp_path, None).errors
        assert "one action, jump" in error.message
        (tmp_path / "jump" / "b.mp4").unlink()
        (error,) = check_clips(tmp_path, None).errors
        assert "only one clip" in error.message

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(PoseActError, match="holds no clips"):
            check_clips(tmp_path)


class TestCommand:
    def run(self, monkeypatch, *arguments):
        monkeypatch.setattr("sys.argv", ["poseact", "check", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    def test_report(self, folder, tmp_path, monkeypatch, capsys):
        out = tmp_path / "report.json"
        assert self.run(monkeypatch, folder, "--no-people", "--out", out) == 0
        printed = capsys.readouterr().out
        assert "jump" in printed
        assert "warning: few (2)" in printed
        report = json.loads(out.read_text("utf-8"))
        assert [clip["label"] for clip in report["clips"]] == ["jump", "jump", "squat", "squat"]

    def test_errors_are_reported_by_the_exit_code(self, folder, tmp_path, monkeypatch, capsys):
        (folder / "squat" / "zero.mp4").touch()
        out = tmp_path / "report.json"
        assert self.run(monkeypatch, folder, "--no-people", "--out", out) == 2
        assert "error: unreadable (1)" in capsys.readouterr().out
        assert self.run(monkeypatch, tmp_path / "none") == 2
        assert "There is no folder" in capsys.readouterr().err


def test_filmed_exercises_are_distinguished(shared):
    """Takes of one scene are told, other recordings are not."""
    names = ("squat_18", "squat_19", "squat_7", "squat_11", "squat_24")
    clips = [c for c in find_clips(shared / "data" / "clips") if c.path.stem in names]
    pictures = {}
    for clip in clips:
        made = Thumbnails()
        for frame in VideoReader(clip.path):
            made.add(frame)
        pictures[clip.path.stem] = made.array()
    assert [(copy.first, copy.second) for copy in find_copies(pictures)] == [
        ("squat_18", "squat_19")
    ]
