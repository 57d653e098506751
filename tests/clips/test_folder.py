"""Clips of one's own, found in folders and tables, and divided by recording."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import replace

import pytest

from poseact._utils.errors import PoseActError
from poseact.actions.action_names import BACKGROUND, clean_label
from poseact.clips.folder import Clip, find_clips
from poseact.data.split import split_by_recording


def make_files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def make_table(folder, text, encoding="utf-8"):
    (folder / "clips.csv").write_text(text, encoding)
    return folder


class TestFolders:
    def test_a_folder_is_an_action(self, tmp_path):
        make_files(
            tmp_path,
            "Push-Ups/day 1/späß 写真.MP4",
            "Push-Ups/b.mov",
            "squats/a.webm",
            "_other/x.mp4",
            "squats/notes.txt",
            "squats/.a.mp4",
            ".trash/old/c.mp4",
        )
        clips = find_clips(tmp_path)
        assert {clip.name: clip.label for clip in clips} == {
            "Push-Ups/day 1/späß 写真.MP4": "push_ups",
            "Push-Ups/b.mov": "push_ups",
            "squats/a.webm": "squats",
            "_other/x.mp4": BACKGROUND,
        }
        for clip in clips:
            assert clip.path == tmp_path / clip.name
            assert (clip.start, clip.end, clip.part) == (0, math.inf, None)
            assert clip.recording == clip.name

    def test_files_of_one_name_are_recordings_of_their_own(self, tmp_path):
        clips = find_clips(make_files(tmp_path, "a/1.mp4", "b/1.mp4", "a/c/1.mp4"))
        assert len({clip.recording for clip in clips}) == 3

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("push ups", "Push-Ups"),
            (unicodedata.normalize("NFC", "kür"), unicodedata.normalize("NFD", "kür")),
        ],
        ids=["spelling", "unicode"],
    )
    def test_labels_that_clash(self, tmp_path, first, second):
        make_files(tmp_path, f"{first}/a.mp4", f"{second}/b.mp4")
        if len(list(tmp_path.iterdir())) == 1:
            pytest.skip("the file system takes both names for one")
        with pytest.raises(PoseActError, match="when cleaned; use one spelling"):
            find_clips(tmp_path)

    def test_no_clips(self, tmp_path):
        with pytest.raises(PoseActError, match="holds no clips; put a folder of videos"):
            find_clips(tmp_path)
        with pytest.raises(PoseActError, match="holds no clips"):
            find_clips(make_files(tmp_path, "squats/readme.txt", ".hidden/a.mp4"))
        with pytest.raises(PoseActError, match="There is no folder"):
            find_clips(tmp_path / "none")
        with pytest.raises(PoseActError, match="There is no folder"):
            find_clips(tmp_path / "squats" / "readme.txt")

    def test_a_video_beside_the_folders(self, tmp_path):
        with pytest.raises(PoseActError, match=r"stray\.mp4 is not in the folder of an action"):
            find_clips(make_files(tmp_path, "stray.mp4", "squats/a.mp4"))


class TestLabels:
    @pytest.mark.parametrize(
        ("text", "label"),
        [
            (" Push  Ups\t", "push_ups"),
            ("push-_ups", "push_ups"),
            ("_other", "_other"),
            ("深蹲 2", "深蹲_2"),
            ("ﬁt\u200bness", "fitness"),
        ],
    )
    def test_cleaned(self, text, label):
        assert clean_label(text) == label
        assert clean_label(label) == label

    @pytest.mark.parametrize("text", ["", " ", "--", "\u200b"])
    def test_nothing_left(self, text):
        with pytest.raises(PoseActError, match="names no action"):
            clean_label(text)


class TestTable:
    def test_clips_of_one_file_share_its_recording(self, tmp_path):
        make_files(tmp_path, "films/a b.mp4", "c.mp4")
        make_table(
            tmp_path,
            "label,file,start,end,recording,part,remark\n"
            "Squat,films/a b.mp4,0,2.5,,train,good\n"
            "jump,films/a b.mp4,2.5,,,train,\n"
            "\n"
            "Squat ,c.mp4,,,monday,test,\n",
            "utf-8-sig",
        )
        first, second, third = find_clips(tmp_path)
        assert first == Clip(
            tmp_path / "films" / "a b.mp4",
            "films/a b.mp4 [0-2.5 s]",
            "squat",
            "films/a b.mp4",
            0,
            2.5,
            "train",
        )
        assert second.recording == first.recording
        assert (second.start, second.end) == (2.5, math.inf)
        assert (third.name, third.recording, third.part) == ("c.mp4", "monday", "test")

    def test_it_comes_before_folders(self, tmp_path):
        make_files(tmp_path, "jump/a.mp4", "squat/b.mp4")
        make_table(tmp_path, "file,start,end,label\njump/a.mp4,1,2,hop\n")
        assert [clip.label for clip in find_clips(tmp_path)] == ["hop"]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("none.mp4,0,1,a", "Line 3 .*there is no file"),
            ("x.mp4,3,2,a", "Line 3 .*starts at 3 s and ends at 2 s"),
            ("x.mp4,-1,2,a", "starts at -1 s"),
            ("x.mp4,nan,2,a", "starts at nan s"),
            ("x.mp4,one,2,a", "could not convert"),
            ("x.mp4,0,1,A", "'a' and 'A' both become 'a'"),
            ("x.mp4,0,1,", "'' names no action"),
            ("x.mp4,5,6,a", "Line 3 .* again"),
            ("x.mp4", "names no action"),
        ],
    )
    def test_bad_lines(self, tmp_path, line, reason):
        make_files(tmp_path, "x.mp4")
        make_table(tmp_path, f"file,start,end,label\nx.mp4,5,6,a\n{line}\n")
        with pytest.raises(PoseActError, match=reason):
            find_clips(tmp_path)

    @pytest.mark.parametrize(
        ("text", "person"), [("", None), (" 3", 3), ("1 2.5 30 40", (1.0, 2.5, 30.0, 40.0))]
    )
    def test_a_person_is_named_by_id_or_box(self, tmp_path, text, person):
        (tmp_path / "a.mp4").touch()
        rows = f"file,start,end,label,person\na.mp4,1,2,run,{text}\na.mp4,1,2,run,7\n"
        (tmp_path / "clips.csv").write_text(rows)
        clip, other = find_clips(tmp_path)
        assert clip.stretch == (1.0, 2.0, person)
        assert other.stretch == (1.0, 2.0, 7)
        assert clip.name != other.name

    @pytest.mark.parametrize("text", ["-1", "1 2 3", "5 0 1 9", "me", "1 2 3 x"])
    def test_a_person_who_is_none(self, tmp_path, text):
        (tmp_path / "a.mp4").touch()
        (tmp_path / "clips.csv").write_text(f"file,start,end,label,person\na.mp4,,,run,{text}\n")
        with pytest.raises(PoseActError, match=r"Line 2 .* is not a clip"):
            find_clips(tmp_path)

    def test_bad_part(self, tmp_path):
        make_files(tmp_path, "x.mp4")
        make_table(tmp_path, "file,start,end,label,part\nx.mp4,5,6,a,validation\n")
        with pytest.raises(PoseActError, match="'validation', not train or test"):
            find_clips(tmp_path)

    def test_bad_tables(self, tmp_path):
        with pytest.raises(PoseActError, match="lacks the columns end, label"):
            find_clips(make_table(tmp_path, "file,start\n"))
        with pytest.raises(PoseActError, match="lacks the columns file"):
            find_clips(make_table(tmp_path, ""))
        with pytest.raises(PoseActError, match="holds no clips"):
            find_clips(make_table(tmp_path, "file,start,end,label\n"))
        (tmp_path / "clips.csv").write_bytes(b"file,start,end,label\n\xff\xfe,1,2,a\n")
        with pytest.raises(PoseActError, match="save it as UTF-8"):
            find_clips(tmp_path)


def clips_of(**recordings):
    """Clips of each label: a number of recordings of two clips each."""
    return [
        Clip(None, f"{label} {i} {k}", label, f"{label} {i}", k, k + 1)
        for label, count in recordings.items()
        for i in range(count)
        for k in range(2)
    ]


def labels_of(clips):
    return {clip.label for clip in clips}


class TestSplit:
    @pytest.mark.parametrize("seed", range(20))
    def test_recordings_stay_whole_and_labels_keep_their_share(self, seed):
        clips = clips_of(a=10, b=20, c=2, d=3, e=1)
        train, test = split_by_recording(clips, 0.3, seed)
        assert sorted(c.name for c in train + test) == sorted(c.name for c in clips)
        assert not {c.recording for c in train} & {c.recording for c in test}
        counts = {label: sum(c.label == label for c in test) / 2 for label in "abcde"}
        assert counts == {"a": 3, "b": 6, "c": 1, "d": 1, "e": 0}

    def test_the_seed_decides(self):
        clips = clips_of(a=10, b=10)
        assert split_by_recording(clips, seed=1) == split_by_recording(clips, seed=1)
        others = [split_by_recording(clips, seed=seed)[1] for seed in range(5)]
        assert any(other != others[0] for other in others)

    def test_each_label_comes_into_both_parts_where_recordings_hold_several(self):
        clips = [
            Clip(None, f"{i} {label}", label, f"{i}")
            for i in range(10)
            for label in ("abcde"[i % 5], "abcde"[(i + i // 5 + 1) % 5])
        ]
        for seed in range(20):
            train, test = split_by_recording(clips, 0.3, seed)
            assert labels_of(train) == labels_of(test) == set("abcde")

    def test_stated_parts_are_kept(self):
        clips = clips_of(a=10)
        clips[0] = replace(clips[0], part="test")
        clips[5] = replace(clips[5], part="train")
        for seed in range(10):
            train, test = split_by_recording(clips, 0.3, seed)
            assert set(clips[:2]) <= set(test)
            assert set(clips[4:6]) <= set(train)
            assert len(test) == 6

    def test_refusals(self):
        clips = clips_of(a=3)
        with pytest.raises(PoseActError, match="share of 1 "):
            split_by_recording(clips, 1)
        clips[:2] = replace(clips[0], part="test"), replace(clips[1], part="train")
        with pytest.raises(PoseActError, match="a 0 has clips of both parts"):
            split_by_recording(clips)


def test_what_was_drawn_beside_the_originals_is_left_out(tmp_path):
    (tmp_path / "wave").mkdir()
    for name in ("anna.mov", "anna_pose.mp4", "strike_a_pose.mp4"):
        (tmp_path / "wave" / name).touch()
    assert [clip.path.name for clip in find_clips(tmp_path)] == ["anna.mov", "strike_a_pose.mp4"]
