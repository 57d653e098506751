import json
import runpy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from typer.testing import CliRunner

import poseact
from helpers.paths import ROOT
from poseact._utils.errors import PoseActError
from poseact.cli import app
from poseact.data.augment import evaluation_crop
from poseact.data.camera import Camera
from poseact.data.sample import PoseSample, labelled_box
from poseact.data.sources import SourceSpec
from poseact.evaluation.eval_pose import eval_pose
from poseact.evaluation.pose_evaluation import describe_source, evaluate, predict_samples
from poseact.evaluation.pose_results import PoseScores
from poseact.evaluation.pose_scores import person_errors, score_poses
from poseact.media import write_image
from poseact.models.card import Card
from poseact.skeleton import LSP14, PA16

TORSO = ("pck", "pck_auc", "pck_limbs", "confidence_ece", "confidence_auroc")
SIDE = 200
SIZE = 96
ROOT_DEPTH_MM = 4000.0
CAMERA = Camera((800.0, 800.0), (SIDE / 2, SIDE / 2))


@dataclass(frozen=True)
class Coordinates:
    """A picture whose red and green are x and y, and whose blue tells the person's number."""

    number: int
    damaged: bool = False

    def __str__(self):
        return f"picture {self.number}"

    def exists(self):
        return True

    def read(self):
        if self.damaged:
            raise PoseActError(f"The {self} is damaged.")
        y, x = np.mgrid[:SIDE, :SIDE]
        return np.stack((x, y, np.full_like(x, self.number + 1)), -1).astype(np.uint8)


def people(count, **changes):
    rng = np.random.default_rng(1)
    samples = []
    for number in range(count):
        joints = rng.uniform(40, 160, (16, 3))
        joints[:, 2] = rng.uniform(-300, 300, 16)
        joints[0, 2] = 0
        valid = np.ones(16, bool)
        sample = PoseSample(
            f"person {number}",
            Coordinates(number),
            PA16,
            joints,
            valid,
            valid,
            valid,
            labelled_box(joints, valid),
            CAMERA,
            ROOT_DEPTH_MM,
        )
        samples.append(replace(sample, **changes))
    return samples


class Oracle(nn.Module):
    """Reads from each crop where it was cut, and answers with the labels.

    Like a network it goes by looks: in a mirrored crop it calls the person's right the left.
    """

    def __init__(self, samples, dims=3):
        super().__init__()
        self.samples, self.dims = samples, dims
        self.shift = np.zeros((16, 3))
        self.blocks = []

    def forward(self, frames, num_blocks=None):
        self.blocks.append(num_blocks)
        assert not self.training
        crops = ((frames[:, 0].permute(0, 2, 3, 1) + 1) * 127.5).numpy()
        joints = np.stack([self.answer(crop) for crop in crops])[:, None, :, : self.dims]
        confidence = torch.full(joints.shape[:3], 0.75)
        return SimpleNamespace(
            pose=SimpleNamespace(joints=torch.from_numpy(joints), confidence=confidence)
        )

    def answer(self, crop):
        size = len(crop)
        blue = np.rint(crop[..., 2])
        number = int(blue.max()) - 1
        y, x = np.nonzero(blue == number + 1)
        colours = np.column_stack((crop[y, x, :2] + 0.5, np.ones(len(x))))
        places = (np.column_stack((x, y)) + 0.5) / size
        to_crop = np.linalg.lstsq(colours, places)[0]
        joints = self.samples[number].joints + self.shift
        found = np.column_stack(
            (np.column_stack((joints[:, :2], np.ones(16))) @ to_crop, joints[:, 2] / 2000 + 0.5)
        )
        return found[list(PA16.flip_indices)] if to_crop[0, 0] < 0 else found


def run(samples, network=None, **options):
    network = network or Oracle(samples)
    return evaluate(network, samples, SIZE, data="made-up people", **options)


def test_a_perfect_network_scores_perfectly():
    samples = people(20, head_px=30.0, area_px=9000.0)
    scores = run(samples)
    for key in ("pck", "pckh", "pcp", "pck3d", "oks_ap", "oks_ar"):
        assert scores.metrics[key].mean == 1, key
    for key in ("mpjpe", "pa_mpjpe", "n_mpjpe", "depth"):
        assert scores.metrics[key].mean < 3, key
    assert scores.metrics["pck"].per_joint == dict.fromkeys(PA16.joints[2:], 1)
    assert set(scores.metrics["mpjpe"].per_joint) == set(PA16.joints)
    assert scores.people == scores.metrics["pck"].people == 20
    assert "20 people;" in scores.protocol
    assert PoseScores.from_json(json.loads(json.dumps(scores.to_json()))) == scores


def test_a_known_error_lowers_its_joint_alone():
    samples = people(20)
    network = Oracle(samples)
    wrist = PA16.index("right_wrist")
    network.shift[wrist] = (1000, 0, 200)
    scores = run(samples, network)
    expected = dict.fromkeys(PA16.joints[2:], 1.0) | {"right_wrist": 0.0}
    assert scores.metrics["pck"].per_joint == expected
    assert scores.metrics["pck"].mean == pytest.approx(13 / 14)
    parts = scores.metrics["pcp"].per_joint
    assert [name for name, value in parts.items() if value < 1] == ["right_elbow to wrist"]
    assert scores.metrics["depth"].per_joint["right_wrist"] == pytest.approx(200, abs=1)
    # 1000 px at 4 m and a focal length of 800 px are 5 m.
    assert 4500 < scores.metrics["mpjpe"].per_joint["right_wrist"] < 5500
    assert scores.metrics["mpjpe"].per_joint["left_wrist"] < 3


@pytest.mark.parametrize("crops", [1, 5])
def test_flip_and_crops_agree_with_the_plain_prediction(crops):
    samples = people(8)
    plain = predict_samples(Oracle(samples), samples, SIZE)
    averaged = predict_samples(Oracle(samples), samples, SIZE, flip=True, crops=crops, batch=3)
    np.testing.assert_allclose(averaged.joints, plain.joints, atol=0.5)
    np.testing.assert_allclose(averaged.depth_mm, plain.depth_mm, atol=1e-6)
    assert np.abs(plain.joints - [s.joints[:, :2] for s in samples]).max() < 0.5


class Constant(nn.Module):
    """Finds every joint of the left at one place of the crop, of the right at another."""

    def forward(self, frames, num_blocks=None):
        joints = torch.full((len(frames), 1, 16, 2), 0.5)
        for index, joint in enumerate(PA16.joints):
            joints[..., index, 0] += {"left": 0.2, "right": -0.1, "centre": 0.0}[PA16.side(joint)]
        confidence = torch.linspace(0, 1, 16).expand(len(frames), 1, 16)
        return SimpleNamespace(pose=SimpleNamespace(joints=joints, confidence=confidence))


def test_flip_is_the_mean_of_both_views():
    (sample,) = people(1, box=(50.0, 50.0, 130.0, 130.0))
    found = predict_samples(Constant(), [sample], SIZE, flip=True)
    # The window is 100 px around (90, 90). The left is at 0.7 of it; mirrored, what is called
    # right is at 0.4, which is 0.6 of the window and the person's left: 0.65.
    left, right = PA16.index("left_knee"), PA16.index("right_knee")
    np.testing.assert_allclose(found.joints[0, [left, right]], [[105, 90], [75, 90]], atol=1e-4)
    assert found.confidence[0, left] == pytest.approx(found.confidence[0, right])
    assert np.isnan(found.depth_mm).all()


def test_mode_blocks_and_progress():
    samples = people(5)
    network, seen = Oracle(samples).train(), []
    scores = run(
        samples, network, num_blocks=1, batch=2, on_step=lambda *step: seen.append(step), flip=True
    )
    assert network.training
    assert set(network.blocks) == {1}
    assert seen == [(2, 5), (4, 5), (5, 5)]
    assert "mean with the mirrored crop, block 1" in scores.protocol


def test_a_damaged_picture_is_named_and_left_out(caplog):
    samples = people(200)
    samples[7] = replace(samples[7], image=Coordinates(7, damaged=True))
    scores = run(samples)
    assert scores.unreadable == {"person 7": "The picture 7 is damaged."}
    assert scores.people == scores.metrics["pck"].people == 199
    assert scores.metrics["pck"].mean == 1
    assert "199 people, 1 unreadable pictures left out" in scores.protocol
    assert "picture 7" in caplog.text
    errors = person_errors(predict_samples(Oracle(samples), samples, SIZE), samples)
    assert np.flatnonzero(np.isnan(errors)).tolist() == [7]


def test_many_damaged_pictures_are_an_error():
    samples = people(20)
    samples[7] = replace(samples[7], image=Coordinates(7, damaged=True))
    with pytest.raises(PoseActError, match="1 of the 20 pictures"):
        run(samples)


def test_metrics_follow_the_labels():
    samples = people(4, camera=None, depth_valid=np.zeros(16, bool))
    assert set(run(samples).metrics) == {*TORSO, "pcp"} - {"confidence_auroc"}
    samples = people(4, camera=None)
    samples[2] = replace(samples[2], depth_valid=np.zeros(16, bool), head_px=10.0)
    metrics = run(samples).metrics
    named = {*TORSO, "pckh", "pckh_auc", "pcp", "depth"}
    assert set(metrics) == named - {"confidence_auroc"}
    assert (metrics["pckh"].people, metrics["pckh"].excluded) == (1, 3)
    assert (metrics["depth"].people, metrics["depth"].excluded) == (3, 1)
    samples = people(4)
    samples[2] = replace(samples[2], root_depth_mm=None)
    metrics = run(samples).metrics
    assert (metrics["mpjpe"].people, metrics["mpjpe"].excluded) == (3, 1)
    # Without the pelvis there is nothing to be relative to.
    samples[1] = replace(samples[1], depth_valid=np.arange(16) != PA16.index("pelvis"))
    metrics = run(samples).metrics
    assert (metrics["mpjpe"].people, metrics["mpjpe"].excluded) == (2, 2)
    assert (metrics["depth"].people, metrics["depth"].excluded) == (4, 0)
    plane = run(samples, Oracle(samples, dims=2)).metrics
    assert set(plane) == {*TORSO, "pcp"} - {"confidence_auroc"}


def test_labels_without_any_metric_are_an_error():
    valid = np.arange(16) == PA16.index("head")
    samples = people(3, camera=None, valid=valid, depth_valid=valid & False)
    with pytest.raises(PoseActError, match="None of the metrics fits the labels of made-up people"):
        run(samples)


def test_what_cannot_be_tested_is_refused():
    samples = people(2)
    with pytest.raises(PoseActError, match="choose one of 1, 5"):
        run(samples, crops=3)
    fewer = {
        name: getattr(samples[0], name)[:14]
        for name in ("joints", "valid", "visible", "depth_valid")
    }
    other = [replace(sample, skeleton=LSP14, **fewer) for sample in samples]
    with pytest.raises(PoseActError, match="16 joints, but the labels are lsp14 of 14"):
        predict_samples(Oracle(samples), other, SIZE)
    with pytest.raises(PoseActError, match="None of 0 people"):
        score_poses(predict_samples(Oracle([]), [], SIZE), [], data="nothing", testing="")


def test_protocol_names_options_and_filter(tmp_path):
    spec = SourceSpec(
        adapter="lsp-extended", root=str(tmp_path), options={"images": (8001, 9000)}, min_visible=12
    )
    text = describe_source("lspet", spec)
    for part in ("lspet", "lsp-extended", "8001", "9000", "at least 12 visible joints"):
        assert part in text


@pytest.fixture
def recipe(tmp_path):
    """A recipe of made-up photos with machine labels."""
    names = [f"Squat{i}_0.png" for i in range(10)]
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(20, 100, (10, 33, 4)).astype(np.float32)
    landmarks[..., 3] = 1
    np.savez(
        tmp_path / "blazepose.npz",
        names=names,
        landmarks=landmarks,
        world=rng.normal(0, 0.3, (10, 33, 3)).astype(np.float32),
    )
    for name in names:
        write_image(tmp_path / "images" / name, rng.integers(0, 256, (120, 120, 3), np.uint8))
    source = {"adapter": "blazepose", "root": str(tmp_path)}
    content = {
        "name": "check",
        "licence": "MIT",
        "network": {"preset": "tiny"},
        "steps": 10,
        "data": {"train": {"photos": source}, "validation": {"all": source, "again": source}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return tmp_path / "recipe.yaml"


def test_eval_pose_writes_scores_and_pictures(tmp_path, recipe):
    weights = poseact.save(poseact.create_model("tiny"), tmp_path / "weights.safetensors")
    out = tmp_path / "out"
    command = ["eval-pose", str(weights), str(recipe), "--out", str(out), "--data", "again"]
    result = CliRunner().invoke(app, [*command, "--flip", "--num-blocks", "1"])
    assert result.exit_code == 0, result.output
    assert "PCK@0.2 torso" in result.output
    assert "Protocol: again (blazepose): 10 people" in " ".join(result.output.split())
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores["data"]) == ["again"]
    assert scores["options"] == {"flip": True, "crops": 1, "num_blocks": 1, "data": ["again"]}
    assert scores["data"]["again"]["metrics"]["depth"]["people"] == 10
    pictures = {"again.png", "again-worst.jpg", "again-samples.jpg"}
    made = {*pictures, "scores.json", "report.html", "report.md"}
    assert {path.name for path in out.iterdir()} == made
    page = (out / "report.html").read_text("utf-8")
    assert page.count('src="data:image/png;base64,') == 1
    assert page.count('src="data:image/jpeg;base64,') == 2
    assert "PCK@0.2 torso" in page
    text = (out / "report.md").read_text("utf-8")
    assert all(f"]({name})" in text for name in pictures)


@pytest.mark.slow(covers=True)
def test_a_card_is_written_from_header_and_scores(tmp_path, recipe, monkeypatch):
    network = poseact.create_model("tiny")
    origin = {"weights": "made up", "data": {"photos": "noise, free"}, "recipe": {"name": "check"}}
    network.card = Card("tiny", provenance=origin, licence="MIT")
    weights = poseact.save(network, tmp_path / "weights.safetensors")
    eval_pose(weights, recipe, tmp_path / "out", data=["all"], crops=5)
    card = tmp_path / "docs/model-cards/good.md"
    arguments = [str(weights), str(tmp_path / "out/scores.json"), "-o", str(card)]
    monkeypatch.setattr("sys.argv", ["write_card.py", *arguments, "--pictures", "all"])
    runpy.run_path(str(ROOT / "tools/write_card.py"), run_name="__main__")
    text = card.read_text()
    for part in (
        "# Model card: good",
        "| licence of the weights | MIT |",
        "- photos: noise, free",
        "| right wrist |",
        "Protocol: all (blazepose): 10 people",
        f"poseact eval-pose good {recipe} --crops 5 --data all",
        "name: check",
        "](../images/good-all-worst.jpg)",
    ):
        assert part in text
    assert (tmp_path / "docs/images/good-all-worst.jpg").is_file()


def test_eval_pose_names_the_data_there_is(recipe):
    result = CliRunner().invoke(app, ["eval-pose", "small-open", str(recipe), "--data", "x"])
    assert isinstance(result.exception, PoseActError)
    assert "no validation data 'x'; choose from all, again" in str(result.exception)


@pytest.mark.slow(covers=True)
def test_evaluation_reads_what_the_predictor_reads(shared):
    """The same crops and weights as the package's predictor, on photos with human labels."""
    spec = SourceSpec(
        adapter="lsp-extended", root=str(shared / "data/lspet"), options={"images": (8001, 8020)}
    )
    predictor = poseact.Predictor("small-open", device="cpu")
    samples = spec.read(predictor.skeleton)
    crops = [evaluation_crop(s.image.read(), s, predictor.image_size) for s in samples]
    expected = predictor.crops(np.stack([crop.image for crop in crops])).joints
    network = poseact.load("small-open")
    found = predict_samples(network, samples, predictor.image_size)
    for crop, joints, pixels in zip(crops, expected, found.joints, strict=True):
        ours = pixels @ crop.matrix[:2, :2].T + crop.matrix[:2, 2]
        np.testing.assert_allclose(ours, joints[:, :2], atol=1e-3)
    scores = evaluate(network, samples, predictor.image_size, data="20 photos")
    assert len(samples) == scores.people == 20
    assert 0.2 < scores.metrics["pck"].mean < 0.7
