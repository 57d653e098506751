"""From clips to weights and a report, as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from dataclasses import asdict, replace
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from helpers.lsp_files import write_lsp_people
from helpers.paths import ROOT
from poseact._utils.errors import PoseActError
from poseact._utils.report import Picture, Section, write_html, write_markdown
from poseact.actions.pose_sequence import PoseSequence
from poseact.cli import app
from poseact.clips.action_data import only_part
from poseact.clips.eval_actions import eval_actions
from poseact.clips.eval_unknown import eval_unknown
from poseact.clips.train_actions import TrainPlan, train_actions
from poseact.data.sequences.registry import read_sequences
from poseact.evaluation.action_evaluation import ActionProtocol
from poseact.evaluation.action_figures import STRIP_FRAMES, TILE_PX, filmstrip
from poseact.media import read_image, write_image
from poseact.models.multitask import MultitaskNetwork
from poseact.models.sequence import SequenceNetwork
from poseact.skeleton import PENN13
from poseact.training.finetune import FinetunePlan
from poseact.training.heads import HeadRecipe
from poseact.weights.checkpoint import load

RECIPE = HeadRecipe(batch=8, width=16)
PLAN = TrainPlan(frames=8, fps=10.0, epochs=3, curve=False, recipe=RECIPE)
POSE_RECIPE = ROOT / "recipes" / "small-open.yaml"
ACTIONS = ("wave", "squat", "stand")


def body(action: str, seed: int, frames: int = 24) -> np.ndarray:
    """``(N, 13, 2)`` px of somebody who moves as the action says."""
    rng = np.random.default_rng(seed)
    joints = np.repeat(rng.normal(0, 1, (1, 13, 2)), frames, 0)
    joints[..., 1] += np.linspace(-3, 3, 13)
    phase = np.sin(np.arange(frames) * 2 * np.pi / 10 + rng.uniform(0, 6))[:, None]
    if action == "wave":
        joints[:, [PENN13.index("left_wrist"), PENN13.index("right_wrist")], 0] += 4 * phase
    if action == "squat":
        joints[:, :7, 1] += 2 + 2 * phase
    return 100 + 20 * joints + rng.normal(0, 0.2, joints.shape)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three actions of five recordings each."""
    root = tmp_path_factory.mktemp("my poses ü")
    for action in ACTIONS:
        (root / action).mkdir()
        for number in range(5):
            joints = body(action, 10 * number + ACTIONS.index(action))
            np.savez(root / action / f"{number}.npz", joints=joints, fps=10, skeleton="penn13")
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return train_actions(folder, out, replace(PLAN, epochs=20, curve=True))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Stretches of the clip that ships, called three actions, trained on both streams."""
    root = tmp_path_factory.mktemp("film")
    with as_file(files("poseact.assets") / "demo.mp4") as clip:
        (root / "demo.mp4").write_bytes(clip.read_bytes())
    rows = ["file,start,end,label,recording"]
    for number in range(6):
        start = 0.2 * number
        rows.append(f"demo.mp4,{start:.2f},{start + 0.12:.2f},{'ab'[number % 2]},{number}")
    rows.append("demo.mp4,500,501,a,late")
    (root / "clips.csv").write_text("\n".join(rows))
    return root, train_actions(root, root / "out", replace(PLAN, epochs=2))


class TestTraining:
    def test_the_actions_are_learnt(self, trained):
        scores = trained.scores["multi clip"]
        assert scores.stream().accuracy > scores.majority
        network = load(trained.weights)
        assert isinstance(network, SequenceNetwork)
        assert network.config.labels == tuple(sorted(ACTIONS))
        assert network.card.fps == 10.0
        assert network.card.temperature != 1.0
        assert 0 < network.card.unknown_below < 1
        assert network.card.provenance["accuracy"]["multi clip"].keys() == {"pose"}

    def test_recordings_are_not_divided(self, folder, trained):
        sequences = read_sequences(folder)
        parts = [only_part(sequences, trained.split, part) for part in ("train", "test")]
        recordings = [{sequence.recording for sequence in part} for part in parts]
        assert recordings[0] | recordings[1] == {s.recording for s in sequences}
        assert not recordings[0] & recordings[1]
        assert {sequence.label for sequence in parts[1]} == set(ACTIONS)
        assert trained.scores["multi clip"].clips == tuple(s.name for s in parts[1])

    def test_the_report_tells_all(self, trained):
        text = trained.files.markdown.read_text("utf-8")
        for part in (
            "95 % interval",
            "wave",
            "learning_curve.png",
            "confusion.png",
            "multi clip",
        ):
            assert part in text
        for line in text.splitlines():
            if line.startswith("!["):
                picture = trained.out / line.rpartition("(")[2].rstrip(")")
                assert read_image(picture).std() > 0
        page = trained.files.html.read_text("utf-8")
        assert page.count("<img") == text.count("![") >= 4
        assert page.count('src="data:image/png;base64,') == page.count("<img")

    def test_the_numbers_are_those_of_the_weights(self, folder, trained, tmp_path):
        content = json.loads(trained.files.json.read_text("utf-8"))
        again = eval_actions(trained.weights, folder, tmp_path, split=trained.split)
        saved = content["scores"]["multi clip"]["log_probabilities"]["fused"]
        np.testing.assert_allclose(again.scores.log_probabilities["fused"], saved, atol=1e-3)
        assert content["curve"][-1]["accuracy"]["pose"][0] == again.scores.stream().accuracy

    def test_the_curve_ends_with_all_clips(self, trained):
        curve = json.loads(trained.files.json.read_text("utf-8"))["curve"]
        assert [point["per_class"] for point in curve] == [2, 3]
        assert [point["clips"] for point in curve] == [6, 9]

    @pytest.mark.slow
    def test_a_stopped_run_resumes_and_ends_the_same(self, folder, tmp_path):
        def interrupt(stage, done, total):
            if (stage, done) == ("training, heads", 2):
                os.kill(os.getpid(), signal.SIGINT)

        stopped = train_actions(folder, tmp_path / "a", PLAN, on_stage=interrupt)
        assert stopped.interrupted
        assert stopped.files is None
        assert not stopped.weights.exists()
        stages = []
        resumed = train_actions(folder, tmp_path / "a", PLAN, on_stage=lambda *s: stages.append(s))
        assert [s for s in stages if s[0].startswith("training")] == [("training, heads", 3, 3)]
        straight = train_actions(folder, tmp_path / "b", PLAN)
        ours, theirs = (load(report.weights).state_dict() for report in (resumed, straight))
        assert all((ours[name] == theirs[name]).all() for name in theirs)
        assert resumed.scores["multi clip"].protocol == straight.scores["multi clip"].protocol

    def test_results_that_were_removed_meanwhile_are_an_error(self, folder, tmp_path):
        def remove(stage, done, _):
            if (stage, done) == ("report", 0):
                (tmp_path / "split.csv").unlink()

        with pytest.raises(PoseActError, match=r"split\.csv was removed"):
            train_actions(folder, tmp_path, PLAN, on_stage=remove)

    def test_weights_of_other_joints(self, folder, tmp_path):
        with pytest.raises(PoseActError, match="predict the joints of"):
            train_actions(folder, tmp_path, replace(PLAN, weights="small-open"))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"epochs": 0}, "epochs=0"),
            ({"frames": 1}, "frames=1"),
            ({"fps": -1.0}, "fps=-1"),
            ({"fps": float("nan")}, "fps=nan"),
            ({"fps": 1e9}, "frame rate above 0 and up to"),
            ({"instant": True, "epochs": 5}, "epochs=5 was given with instant"),
            ({"seed": -1}, "seed -1"),
            ({"seed": 2**63}, "seed 9223372036854775808"),
            ({"test": 1.5}, "test share of 1.5"),
            ({"finetune": "nowhere.yaml"}, "nowhere.yaml"),
        ],
    )
    def test_impossible_plans_cost_nothing(self, folder, tmp_path, changes, message):
        with pytest.raises(PoseActError, match=message):
            train_actions(folder, tmp_path / "out", replace(PLAN, **changes))
        assert not (tmp_path / "out").exists()

    def test_impossible_places_cost_nothing(self, folder, tmp_path):
        (tmp_path / "empty" / "squats").mkdir(parents=True)
        (tmp_path / "one.mp4").touch()
        for source in ("empty", "empty/squats", "nowhere", "one.mp4"):
            with pytest.raises(PoseActError, match=f"{source} is not a folder of clips"):
                train_actions(tmp_path / source, tmp_path / "out", PLAN)
        with pytest.raises(PoseActError, match=r"could not be written|cannot be written"):
            train_actions(folder, tmp_path / "one.mp4" / "out", PLAN)
        with pytest.raises(PoseActError, match="'toaster' cannot be used"):
            train_actions(folder, tmp_path / "out", PLAN, device="toaster")
        with pytest.raises(PoseActError, match="0 workers"):
            train_actions(folder, tmp_path / "out", PLAN, workers=0)

    def test_no_appearance_without_video(self, folder, tmp_path):
        with pytest.raises(PoseActError, match="holds no videos"):
            train_actions(folder, tmp_path, replace(PLAN, streams="both"))

    def test_too_little_data(self, folder, tmp_path):
        few = tmp_path / "few"
        (few / "wave").mkdir(parents=True)
        for number in range(3):
            source = folder / "wave" / f"{number}.npz"
            (few / "wave" / source.name).write_bytes(source.read_bytes())
        with pytest.raises(PoseActError, match="of one action, wave"):
            train_actions(few, tmp_path / "out", PLAN)
        (few / "wave" / "1.npz").unlink()
        (few / "wave" / "2.npz").unlink()
        (few / "stand").mkdir()
        (few / "stand" / "0.npz").write_bytes((folder / "stand" / "0.npz").read_bytes())
        with pytest.raises(PoseActError, match="No action has two recordings"):
            train_actions(few, tmp_path / "out", PLAN)


class TestUnknown:
    def test_each_action_is_left_out_once(self, folder, tmp_path):
        result = eval_unknown(folder, tmp_path, replace(PLAN, instant=True, epochs=None))
        *actions, mean = result.actions
        assert [one.action for one in actions] == sorted(ACTIONS)
        assert mean.auroc == pytest.approx(np.mean([one.auroc for one in actions]))
        squat, stand, wave = actions
        # Who stands still also waves and squats a little; who waves or squats never stands still.
        assert min(squat.auroc, wave.auroc) > 0.95 > stand.auroc
        assert max(squat.passing, wave.passing) < 0.1 < stand.passing
        content = json.loads(result.json.read_text("utf-8"))
        assert [asdict(one) for one in result.actions] == content["actions"]

    def test_two_actions_are_too_few(self, folder, tmp_path):
        few = tmp_path / "few"
        for action in ACTIONS[:2]:
            shutil.copytree(folder / action, few / action)
        with pytest.raises(PoseActError, match="2 actions"):
            eval_unknown(few, tmp_path / "out", PLAN)


@pytest.mark.slow(covers=True)
class TestFilmed:
    def test_both_streams_are_trained_and_scored(self, filmed):
        _, report = filmed
        assert set(report.scores["multi clip"].log_probabilities) == {
            *("pose", "appearance", "fused")
        }
        network, source = load(report.weights), load("small-open")
        assert isinstance(network, MultitaskNetwork)
        ours = network.state_dict()
        for name, value in source.state_dict().items():
            assert (ours[name] == value).all(), name

    def test_a_clip_without_frames_is_left_out_and_reported(self, filmed):
        _, report = filmed
        assert sum("no frame from 500 s" in note for note in report.notes) == 1
        assert "demo.mp4 [500-501 s]" not in report.split.read_text("utf-8")
        assert "no frame from 500 s" in report.files.markdown.read_text("utf-8")

    def test_the_worst_clips_are_shown(self, filmed):
        _, report = filmed
        picture = read_image(report.out / "worst" / "1.png")
        assert picture.shape[0] == TILE_PX
        assert picture.shape[1] % TILE_PX == 0
        assert picture.std() > 20

    def test_features_are_read_once(self, filmed):
        root, report = filmed
        stages = []
        train_actions(
            root, report.out, replace(PLAN, epochs=2), on_stage=lambda *s: stages.append(s)
        )
        assert not [s for s in stages if s[0].startswith("training")]

    def test_the_whole_network_is_trained_finally(self, filmed, tmp_path):
        root, report = filmed
        write_lsp_people(tmp_path / "people", 6)
        source = {"adapter": "lsp-extended", "root": str(tmp_path / "people")}
        recipe = {
            "name": "small",
            "licence": "none",
            "network": {"preset": "small"},
            "data": {
                "train": {"people": {**source, "options": {"images": [1, 4]}}},
                "validation": {"held-out": {**source, "options": {"images": [5, 6]}}},
            },
            "batch": 2,
            "steps": 1,
        }
        path = tmp_path / "pose.yaml"
        path.write_text(yaml.safe_dump(recipe))
        plan = replace(PLAN, epochs=2, finetune=path, finetune_plan=FinetunePlan(steps=2, clips=1))
        again = train_actions(root, tmp_path / "out", plan, cache=root / "out" / "cache")
        (sentence,) = [note for note in again.notes if note.startswith("PCK on the pose")]
        assert "held-out" in sentence
        trained, heads = (load(r.weights).state_dict() for r in (again, report))
        changed = any(not torch.equal(trained[n], heads[n]) for n in heads if "stem" in n)
        assert changed == sentence.endswith("the training is kept.")

        def steps_of(plan) -> list[int]:
            stages = []
            place = {"out": tmp_path / "out", "cache": root / "out" / "cache"}
            train_actions(root, plan=plan, on_stage=lambda *s: stages.append(s), **place)
            return [done for stage, done, _ in stages if stage == "training, end to end"]

        assert steps_of(plan) == []
        assert steps_of(replace(plan, seed=1)) == [1, 2]

    def test_no_training_end_to_end_without_video(self, folder, tmp_path):
        with pytest.raises(PoseActError, match=r"end to end was asked for, but .* no videos"):
            train_actions(folder, tmp_path, replace(PLAN, finetune=POSE_RECIPE))


class TestEvaluation:
    def test_groups_and_protocol(self, folder, trained, tmp_path):
        report = eval_actions(
            trained.weights,
            folder,
            tmp_path,
            protocol=ActionProtocol("centre", flip=True),
            groups={"moving": ["wave", "squat"]},
        )
        assert len(report.scores.clips) == 15
        assert len(report.groups["moving"].clips) == 10
        assert "single clip" in report.scores.protocol
        assert "actions.safetensors" in report.scores.protocol
        assert "moving" in report.files.markdown.read_text("utf-8")

    def test_unknown_labels_are_an_error(self, trained, tmp_path):
        (tmp_path / "fly").mkdir()
        np.savez(tmp_path / "fly" / "0.npz", joints=body("wave", 0), fps=10, skeleton="penn13")
        with pytest.raises(PoseActError, match="cannot be scored"):
            eval_actions(trained.weights, tmp_path, tmp_path / "out")

    def test_other_joints_are_an_error(self, trained, tmp_path):
        (tmp_path / "wave").mkdir()
        np.savez(tmp_path / "wave" / "0.npz", joints=np.ones((9, 16, 2)), fps=10, skeleton="pa16")
        with pytest.raises(PoseActError, match="convert it first"):
            eval_actions(trained.weights, tmp_path, tmp_path / "out")

    def test_weights_of_a_pose_network(self, folder, tmp_path):
        with pytest.raises(PoseActError, match="do not recognise actions"):
            eval_actions("small-open", folder, tmp_path)

    def test_a_split_of_other_data(self, folder, trained, tmp_path):
        split = tmp_path / "split.csv"
        split.write_text("clip,label,recording,part\nelsewhere,wave,,test\n")
        with pytest.raises(PoseActError, match="elsewhere"):
            eval_actions(trained.weights, folder, tmp_path, split=split)

    @pytest.mark.slow
    def test_options_are_checked_before_the_videos_are_read(self, filmed, tmp_path):
        root, report = filmed
        split = tmp_path / "split.csv"
        split.write_text("clip,label,recording,part\nelsewhere,a,,test\n")
        wrong = {
            "elsewhere": {"split": split},
            "is not there|could not be read": {"split": tmp_path / "none.csv"},
            "belongs to the part 'test'": {"part": "test"},
            "group yoga of padmasana has padmasana, unknown": {"groups": {"yoga": ["padmasana"]}},
        }
        for message, options in wrong.items():
            with pytest.raises(PoseActError, match=message):
                eval_actions(report.weights, root, cache=tmp_path / "cache", **options)
        assert not (tmp_path / "cache").exists()

    @pytest.mark.slow
    def test_only_the_clips_of_the_split_are_read(self, filmed, tmp_path):
        root, report = filmed
        found = eval_actions(
            report.weights,
            root,
            tmp_path / "out",
            split=report.split,
            background="blank",
            cache=tmp_path / "cache",
        )
        assert len(list((tmp_path / "cache").iterdir())) == len(found.scores.clips) < 6
        assert "outside the box" in found.scores.protocol

    def test_poses_have_no_background(self, folder, trained, tmp_path):
        with pytest.raises(PoseActError, match="no background"):
            eval_actions(trained.weights, folder, tmp_path, background="blank")


class TestCommands:
    def test_training_follows_its_options_and_names_the_results(self, folder, tmp_path):
        options = "--streams pose --frames 8 --fps 10 --epochs 1 --no-curve --seed 3 --test 0.4"
        command = ["train-actions", str(folder), "--out", str(tmp_path), *options.split()]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        network = load(tmp_path / "actions.safetensors")
        assert (network.config.frames, network.card.fps) == (8, 10)
        assert (tmp_path / "split.csv").read_text("utf-8").count("test") == 2 * len(ACTIONS)
        assert not (tmp_path / "learning_curve.png").exists()
        for name in ("actions.safetensors", "report.html", "report.md", "split.csv"):
            assert str(tmp_path / name) in result.output.replace("\n", "")

    def test_an_interrupted_training_says_how_to_resume(self, folder, tmp_path, monkeypatch):
        def interrupt():
            # The state of the first step; the last of the epochs would never be reached.
            while not (tmp_path / "training" / "heads" / "heads.pt").exists():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr("sys.argv", ["poseact", "train-actions", "my clips"])
        threading.Thread(target=interrupt, daemon=True).start()
        command = ["train-actions", folder, "--out", tmp_path, "--epochs", 100_000]
        result = CliRunner().invoke(app, list(map(str, command)))
        assert result.exit_code == 130
        assert "poseact train-actions 'my clips'" in result.output

    def test_evaluation(self, folder, trained, tmp_path):
        arguments = [trained.weights, folder, "--out", tmp_path, "--crop", "centre", "--flip"]
        groups = ["--group", "moving=wave,squat"]
        result = CliRunner().invoke(app, ["eval-actions", *map(str, arguments), *groups])
        assert result.exit_code == 0, result.output
        for part in ("moving", "single clip", "mirrored", "report.html"):
            assert part in result.output

    def test_a_group_of_another_form(self, folder, trained):
        result = CliRunner().invoke(
            app, ["eval-actions", str(trained.weights), str(folder), "--group", "moving"]
        )
        assert isinstance(result.exception, PoseActError)
        assert "NAME=ACTION" in str(result.exception)


class TestDocument:
    def sections(self, tmp_path) -> list[Section]:
        picture = tmp_path / "a" / "b.png"
        write_image(picture, np.zeros((4, 4, 3), np.uint8))
        return [
            Section("A | B", ["x_1 < *y*"], [("na|me", "n"), ("<b>", "1")], [Picture(picture, "c")])
        ]

    def test_markdown_keeps_the_text(self, tmp_path):
        write_markdown(tmp_path / "r.md", "T", self.sections(tmp_path))
        text = (tmp_path / "r.md").read_text()
        for part in ("# T", "x\\_1 \\< \\*y\\*", "| na\\|me | n |", "|---|---:|", "![c](a/b.png)"):
            assert part in text

    def test_html_keeps_the_text(self, tmp_path):
        write_html(tmp_path / "r.html", "T", self.sections(tmp_path))
        text = (tmp_path / "r.html").read_text()
        for part in ("<h1>T</h1>", "x_1 &lt; *y*", "<td>&lt;b&gt;</td>", "base64,"):
            assert part in text


class TestFilmstrip:
    def sequence(self, scale: float, confidence: float = 1.0, frames: int = 24) -> PoseSequence:
        joints = (body("wave", 0, frames) * scale).astype(np.float32)
        sure = np.full(joints.shape[:2], confidence, np.float32)
        return PoseSequence("clip", PENN13, np.arange(len(joints)) / 10, joints, sure)

    def test_a_unit_makes_no_difference(self):
        strips = [filmstrip(self.sequence(scale), None) for scale in (1, 1000)]
        assert strips[0].shape == (TILE_PX, STRIP_FRAMES * TILE_PX, 3)
        assert strips[0].std() > 10
        assert np.abs(strips[0].astype(int) - strips[1]).mean() < 1

    def test_nobody_seen(self):
        assert filmstrip(self.sequence(1, 0.1), None).std() < 5

    def test_a_clip_of_one_frame(self):
        assert filmstrip(self.sequence(1, frames=1), None).shape == (TILE_PX, TILE_PX, 3)
