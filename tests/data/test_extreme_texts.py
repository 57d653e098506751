"""Texts: tables, recipes and motion files with repeated names, open quotes, claims and extremes."""

from __future__ import annotations

import os

import numpy as np
import pytest
import yaml

from helpers.ntu_jhmdb_files import ntu_body, write_skeletons
from poseact import PoseActError
from poseact._utils.yaml_text import parse_yaml
from poseact.actions.action_names import clean_label
from poseact.clips.folder import find_clips
from poseact.data.sequences.registry import read_sequences
from poseact.inference.boxes import read_boxes
from poseact.inference.inputs import Input, boxes_of
from poseact.recipe import load_recipe

CLIPS = "file,start,end,label,person\n"
BOXES = "source,frame,x0,y0,x1,y1\n"


def bvh(hierarchy="", motion="", root="CHANNELS 3 Zrotation Xrotation Yrotation"):
    end = "End Site\n{\nOFFSET 0 1 0\n}\n"
    tree = f"HIERARCHY\nROOT {hierarchy or 'Hips'}\n{{\nOFFSET 0 1 0\n{root}\n{end}}}\n"
    return f"{tree}MOTION\nFrames: 2\nFrame Time: 0.1\n1 2 3\n4 5 6\n{motion}"


class TestTables:
    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (CLIPS + 'a.mp4,0,1,"run,\na.mp4,1,2,jump,\n', "unexpected end of data"),
            ("file,start,end,label,Label\na.mp4,0,1,run,jump\n", "the column label occurs twice"),
            (CLIPS + "../b.mp4,0,1,run,\n", r"Line 2 .* leads out of"),
            (CLIPS + "/etc/hostname,0,1,run,\n", r"Line 2 .* leads out of"),
            (CLIPS + "a.mp4,0,1,,\n", r"Line 2 .* names no action"),
            (CLIPS + f"a.mp4,0,1,{'x' * 201},\n", r"Line 2 .* at most 200"),
            (CLIPS + "a.mp4,0,1,run,0 0 inf inf\n", r"Line 2 .* any picture"),
            (CLIPS + "a.mp4,0,1,run,0 0 1e300 1e300\n", r"Line 2 .* any picture"),
        ],
    )
    def test_clips(self, rows, reason, tmp_path):
        (tmp_path / "a.mp4").touch()
        (tmp_path.parent / "b.mp4").touch()
        (tmp_path / "clips.csv").write_text(rows)
        with pytest.raises(PoseActError, match=reason):
            find_clips(tmp_path)

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (BOXES, "holds no boxes"),
            (BOXES + 'a.mp4,0,1,2,3,"4\n', "unexpected end of data"),
            (BOXES + "a.mp4,1e300,1,2,3,4\n", "is not a whole number"),
            ("source,frame,x0,y0,x1,y1,X0\na.mp4,0,1,2,3,4,5\n", "the column x0 occurs twice"),
        ],
    )
    def test_boxes(self, rows, reason, tmp_path):
        (tmp_path / "boxes.csv").write_text(rows)
        with pytest.raises(PoseActError, match=reason):
            read_boxes(tmp_path / "boxes.csv")

    def test_boxes_of_files_that_are_not_read(self, tmp_path, caplog):
        (tmp_path / "boxes.csv").write_text(BOXES + "a.mp4,0,1,2,3,4\nb\x1b.mp4,0,1,2,3,4\n")
        assert set(boxes_of([Input(tmp_path, "a.mp4", None, None)], tmp_path / "boxes.csv")) == {
            "a.mp4"
        }
        assert "1 of 2 files with boxes" in caplog.text
        assert r"'b\x1b.mp4'" in caplog.text
        with pytest.raises(PoseActError, match="None of the 2 files with boxes"):
            boxes_of([Input(tmp_path, "c.mp4", None, None)], tmp_path / "boxes.csv")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes.")
    def test_a_pipe_is_no_table_and_no_recipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for read in (read_boxes, load_recipe):
            with pytest.raises(PoseActError, match="it is a device or a pipe"):
                read(tmp_path / "pipe")

    def test_a_label_of_200_characters_is_one(self):
        assert len(clean_label("x" * 200)) == 200


class TestRecipes:
    @pytest.mark.parametrize(
        "change",
        [
            {"optimiser": {"lr": float("inf")}},
            {"optimiser": {"weight_decay": float("inf")}},
            {"schedule": {"milestones": [float("nan")]}},
            {"loss": {"sigma": float("nan")}},
            {"loss": {"weights": {"joints": float("inf")}}},
            {"augment": {"rotation_deg": float("nan")}},
            {"checkpoint_minutes": float("inf")},
            {"batch": 10**9},
            {"clip_length": 10**9},
            {"accumulate": 10**12},
            {"sizes": [[0, 10**9]]},
            {"name": ".."},
            {"name": "x" * 200},
            {"stages": {f"s{number}": {} for number in range(101)}},
        ],
    )
    def test_a_value_that_no_training_can_have(self, change, tmp_path):
        source = {"adapter": "lsp", "root": "a"}
        content = {"name": "a", "licence": "MIT", "network": {"preset": "tiny"}, "steps": 1}
        content["data"] = {"train": {"lsp": source}}
        path = tmp_path / "a.yaml"
        path.write_text(yaml.safe_dump(content))
        assert load_recipe(path).steps == 1
        path.write_text(yaml.safe_dump(content | change))
        with pytest.raises(PoseActError, match=r"a\.yaml (is wrong|has invalid stages)"):
            load_recipe(path)

    def test_a_name_that_is_there_twice(self):
        with pytest.raises(ValueError, match="steps occurs twice"):
            parse_yaml("steps: 10\nseed: 1\nsteps: 20\n")
        merged = parse_yaml("a: &a {steps: 10}\nb:\n  <<: *a\n  steps: 20\n")
        assert merged["b"] == {"steps": 20}


class TestMotion:
    def test_names_of_joints_in_any_encoding(self, tmp_path):
        (tmp_path / "a.bvh").write_bytes(bvh("MOTIONHüfte").encode("latin-1"))
        assert len(read_sequences(tmp_path / "a.bvh")[0]) == 2

    @pytest.mark.parametrize(
        "text",
        [
            bvh(root="CHANNELS 1000000000 Zrotation Xrotation Yrotation"),
            bvh(root="CHANNELS 2 Zrotation Xrotation Yrotation"),
            bvh(motion="MOTION\nFrames: 1\nFrame Time: 1\n1 2 3\n"),
            bvh().replace("MOTION", ""),
        ],
    )
    def test_claims_that_differ(self, text, tmp_path):
        (tmp_path / "a.bvh").write_text(text)
        with pytest.raises(PoseActError, match="is cut short or not BVH"):
            read_sequences(tmp_path / "a.bvh")

    def test_bodies_of_one_number(self, tmp_path):
        """Each is a body of its own: the moving one is still the first."""
        file = tmp_path / "a.skeleton"
        write_skeletons(file, [[ntu_body(0, 0.1 * n), ntu_body(0, 3.0)] for n in range(3)])
        apart = read_sequences(file)[0].joints
        file.write_text(file.read_text().replace("72057594037944731", "72057594037944730"))
        np.testing.assert_array_equal(read_sequences(file)[0].joints, apart)
        assert np.ptp(apart[:, 0, 0]) == pytest.approx(200, abs=1)

    def test_a_long_word_takes_no_longer_than_its_length(self, tmp_path):
        file = tmp_path / "a.skeleton"
        file.write_text("1\n1\n" + "9" * 2_000_000)
        with pytest.raises(PoseActError, match="cut short"):
            read_sequences(file)
