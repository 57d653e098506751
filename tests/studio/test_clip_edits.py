"""Changes of a folder of clips: what they write, what they keep, how they are undone."""

from __future__ import annotations

import csv
import os

import pytest

from helpers.clips import write_video
from poseact import PoseActError
from poseact.clips.folder import find_clips
from poseact.studio.clip_edits import TRASH, ClipEdits, ConflictError, safe_name
from studio.conftest import ODD, pictures


@pytest.fixture
def edits(folder):
    return ClipEdits(folder)


def names(edits):
    return [clip.name for clip in find_clips(edits.folder)]


def test_a_trim_is_what_training_reads(edits):
    clip = edits.change("squat/a.mp4", start=0.1, end=0.4)
    assert clip.name == "squat/a.mp4 [0.1-0.4 s]"
    found = {clip.name: clip for clip in find_clips(edits.folder)}
    assert (found[clip.name].start, found[clip.name].end) == (0.1, 0.4)
    assert len(found) == 4


def test_a_video_is_cut_into_clips_of_one_recording(edits):
    edits.change("squat/a.mp4", end=0.2)
    edits.add("squat/a.mp4", "jump", 0.2, 0.5)
    pair = [clip for clip in find_clips(edits.folder) if clip.recording == "squat/a.mp4"]
    assert [(clip.label, clip.start, clip.end) for clip in pair] == [
        ("squat", 0, 0.2),
        ("jump", 0.2, 0.5),
    ]


def test_changes_made_in_the_table_elsewhere_are_kept(edits):
    edits.change("squat/a.mp4", label="jump")
    rows = list(csv.DictReader(edits.table.open(encoding="utf-8")))
    for row in rows:
        row["notes"] = f"by hand {row['file']}"
    with edits.table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    edits.change("squat/b.mp4", part="test")
    after = list(csv.DictReader(edits.table.open(encoding="utf-8")))
    assert [row["notes"] for row in after] == [row["notes"] for row in rows]
    assert {row["file"]: row["part"] for row in after}["squat/b.mp4"] == "test"


def test_files_put_into_the_folder_or_taken_away_are_reported(edits):
    edits.change("squat/a.mp4", part="test")
    write_video(edits.folder / "squat" / "new.mp4", pictures())
    write_video(edits.folder / "loose.mp4", pictures())
    (edits.folder / "jump" / "c.mp4").unlink()
    listing = edits.listing()
    assert listing.unlisted == ["loose.mp4", "squat/new.mp4"]
    assert [row["file"] for row in listing.missing] == ["jump/c.mp4"]
    edits.discard("jump/c.mp4")
    assert len(find_clips(edits.folder)) == 3


def test_the_part_is_that_of_the_whole_recording(edits):
    edits.add("squat/a.mp4", "jump", 0.2, 0.5)
    edits.change("squat/a.mp4", part="test")
    assert [c.part for c in find_clips(edits.folder) if c.recording == "squat/a.mp4"] == [
        "test",
        "test",
    ]


def test_deleted_files_lie_in_the_trash_until_it_is_emptied(edits):
    content = (edits.folder / "squat" / "a.mp4").read_bytes()
    edits.delete(["squat/a.mp4"])
    assert "squat/a.mp4" not in names(edits)
    assert (edits.folder / TRASH / "squat" / "a.mp4").read_bytes() == content
    assert edits.trash() == ["squat/a.mp4"]
    edits.empty_trash()
    assert edits.trash() == []
    assert len(names(edits)) == 3


def test_a_file_that_shows_other_clips_stays(edits):
    edits.add("squat/a.mp4", "jump", 0.2, 0.5)
    edits.delete(["squat/a.mp4"])
    assert (edits.folder / "squat" / "a.mp4").exists()
    assert edits.trash() == []


def test_undo_takes_back_every_change_in_turn(edits):
    before = sorted(names(edits))
    edits.change("squat/a.mp4", start=0.1)
    edits.rename("jump", "hop")
    edits.delete(["squat/b.mp4"])
    for _ in range(3):
        edits.undo()
    assert sorted(names(edits)) == before
    assert {clip.label for clip in find_clips(edits.folder)} == {"squat", "jump"}
    with pytest.raises(ConflictError, match="nothing to undo"):
        edits.undo()


def test_undo_leaves_what_was_changed_elsewhere(edits):
    edits.change("squat/a.mp4", part="test")
    ClipEdits(edits.folder).change("squat/a.mp4", part="train")
    with pytest.raises(ConflictError, match="changed elsewhere"):
        edits.undo()
    assert {clip.name: clip.part for clip in find_clips(edits.folder)}["squat/a.mp4"] == "train"


def test_a_clip_that_another_tab_trimmed_is_a_conflict(edits):
    edits.change("squat/a.mp4", start=0.1)
    for change in (
        lambda: edits.change("squat/a.mp4", start=0.2),
        lambda: edits.delete(["squat/a.mp4"]),
    ):
        with pytest.raises(ConflictError, match="changed elsewhere"):
            change()
    assert len(names(edits)) == 4


def test_labels_keep_the_spelling_of_the_table(tmp_path):
    for name in ("Push-Ups/a.mp4", "Push-Ups/b.mp4"):
        write_video(tmp_path / name, pictures())
    edits = ClipEdits(tmp_path)
    write_video(tmp_path / "c.mp4", pictures())
    edits.add("c.mp4", "push ups")
    assert {clip.label for clip in find_clips(tmp_path)} == {"push_ups"}


@pytest.mark.parametrize("label", ["=cmd", "../up", "", "   ", "x" * 61, "<b>", "-1", "Unknown"])
def test_names_of_actions_that_could_mean_something_else_are_refused(edits, label):
    with pytest.raises(PoseActError):
        edits.change("squat/a.mp4", label=label)
    assert not edits.table.exists()


@pytest.mark.parametrize("label", ["Kniebeuge <script>", "跳", "naïve", "2 steps"])
def test_names_of_actions_in_any_script_are_kept(edits, label):
    clip = edits.change("squat/a.mp4", label=label)
    assert clip.label in {found.label for found in find_clips(edits.folder)}


@pytest.mark.parametrize("name", ODD)
def test_no_name_leaves_the_folder(edits, name):
    place = edits.place_for("squat", name)
    assert place.parent == edits.folder / "squat"
    assert len(place.name.encode()) < 200
    place.with_name(place.name + ".mp4").touch()
    assert edits.place_for("squat", name) != place
    assert safe_name(name) not in {"", ".", ".."}


@pytest.mark.parametrize(
    "file",
    [
        "../outside.mp4",
        "/etc/passwd",
        "squat/../../outside.mp4",
        "squat/a\0.mp4",
        "x" * 300,
        "🤸.mp4",
        ".studio/lock",
        "clips.csv",
        "squat",
    ],
)
def test_no_path_leaves_the_folder(edits, file):
    (edits.folder.parent / "outside.mp4").touch()
    with pytest.raises(PoseActError):
        edits.own_file(file)
    edits.discard(file)
    assert (edits.folder.parent / "outside.mp4").exists()
    assert len(edits.listing().clips) == 4


def test_links_do_not_leave_the_folder(edits):
    outside = write_video(edits.folder.parent / "outside.mp4", pictures())
    (edits.folder / "squat" / "link.mp4").symlink_to(outside)
    assert "squat/link.mp4" in [clip.name for clip in edits.listing().clips]
    with pytest.raises(ConflictError):
        edits.own_file("squat/link.mp4")
    edits.delete(["squat/link.mp4"])
    assert outside.exists()
    assert edits.trash() == []


def test_a_trash_that_is_a_link_is_not_emptied(edits):
    other = edits.folder.parent / "other"
    other.mkdir()
    (other / "kept").touch()
    (edits.folder / TRASH).symlink_to(other)
    edits.empty_trash()
    assert os.listdir(other) == ["kept"]


def test_a_folder_without_clips_is_empty(tmp_path):
    edits = ClipEdits(tmp_path)
    assert edits.listing().clips == []
    write_video(tmp_path / "squat" / "a.mp4", pictures())
    assert [clip.name for clip in edits.listing().clips] == ["squat/a.mp4"]
    edits.delete(["squat/a.mp4"])
    assert edits.listing().clips == []
