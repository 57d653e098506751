"""MoveNet's network as a stem: parity with the published graphs, and the faults of stem files."""

import importlib.util
import json
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.movenet import PublishedMoveNet, decode_single
from helpers.paths import ROOT
from poseact import create_model
from poseact._utils.errors import PoseActError
from poseact.losses import PoseCriterion, PoseTargets
from poseact.models.pyramid_stem import PyramidStem
from poseact.skeleton import COCO17, PA16, PA21
from poseact.weights import movenet as stem_files
from poseact.weights.movenet import HEADER_KEY, begin_with_stem, digest, read_stem

NAMES = ("lightning", "thunder", "multipose")
WIDTH = 0.25


@pytest.fixture(scope="module")
def converted(shared, tmp_path_factory):
    """The published graphs, converted by the tool."""
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "convert_movenet.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    folder = tmp_path_factory.mktemp("movenet")
    for name in NAMES:
        tool.convert(shared / "reference" / "movenet", name, folder)
    return {name: folder / f"movenet-{name}.safetensors" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_stem_and_heads_give_the_published_outputs(shared, converted, name):
    golden = np.load(shared / "reference" / "golden" / f"movenet_{name}.npz")
    frames = torch.from_numpy(golden["image"])[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        maps = PublishedMoveNet.read(converted[name])(frames)
    for head in set(golden.files) - {"image", "output"}:
        expected = torch.from_numpy(golden[head]).permute(2, 0, 1)
        difference = (maps[head.removesuffix("_0")][0] - expected).abs().max()
        assert difference <= 1e-4 * expected.abs().max()
    if name != "multipose":
        answer = decode_single(maps)
        torch.testing.assert_close(
            answer, torch.from_numpy(golden["output"]).reshape(17, 3), atol=3e-4, rtol=0
        )


def test_a_network_begins_with_what_the_published_head_knows(converted):
    network = create_model("small").eval()
    begin_with_stem(network, converted["lightning"])
    image = torch.rand(1, 3, 192, 192, generator=torch.manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        published = PublishedMoveNet.read(converted["lightning"])(image)["kpt_heatmap"]
        first, last = network(image[:, None]).poses
    for joint in COCO17.joints:
        own = first.heatmaps[0, 0, PA21.index(joint)]
        expected = (stem_files.SHARPNESS * published[0, COCO17.index(joint)]).flatten().softmax(0)
        torch.testing.assert_close(own.flatten(), expected, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(first.joints, last.joints)


def test_the_shipped_person_detector_is_a_part_of_the_published_network(converted):
    with as_file(files("poseact.assets") / "movenet/person-detector.safetensors") as path:
        shipped = read_stem(path)
    published = read_stem(converted["multipose"])
    assert shipped.tensors.keys() < published.tensors.keys()
    for name, value in shipped.tensors.items():
        assert torch.equal(value, published.tensors[name])


@pytest.fixture
def stem_file(tmp_path, monkeypatch):
    """A stem of a narrow network in the layout of the converted files, and its network."""
    trunk = {f"trunk.{k}": v for k, v in PyramidStem(WIDTH).state_dict().items()}
    network = create_model("small", stem_width=WIDTH, channels=16, low_channels=16)
    head = {f"heads.kpt_heatmap.{k}": v for k, v in network.stem.head.state_dict().items()}
    for part in ("weight", "bias"):
        head[f"heads.kpt_heatmap.to_maps.{part}"] = torch.randn_like(
            head[f"heads.kpt_heatmap.to_maps.{part}"][: len(COCO17)]
        )
    tensors = {name: value.half().contiguous() for name, value in (trunk | head).items()}
    header = {"name": "narrow", "width": WIDTH, "provenance": {"licence": "none"}}
    path = tmp_path / "stem.safetensors"
    save_file(tensors, path, {HEADER_KEY: json.dumps(header)})
    monkeypatch.setitem(stem_files.CHECKSUMS, "narrow", digest(tensors))
    return path, network


def test_half_precision_stems_are_read_as_float32(stem_file):
    path, network = stem_file
    begin_with_stem(network, path)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    expected = read_stem(path).tensors["heads.kpt_heatmap.to_maps.weight"]
    own = network.stem.head.to_maps.weight
    torch.testing.assert_close(
        own[PA21.index("nose")], stem_files.SHARPNESS * expected[COCO17.index("nose")]
    )
    assert not own[PA21.index("pelvis")].any()


def test_a_stem_of_another_width_is_refused(stem_file):
    other = create_model("small", stem_width=0.5, channels=16, low_channels=16)
    with pytest.raises(PoseActError, match=r"width 0.25, but the network's stem_width is 0.5"):
        begin_with_stem(other, stem_file[0])


def test_a_network_without_a_pyramid_is_refused(stem_file):
    with pytest.raises(PoseActError, match="without a pyramid stem"):
        begin_with_stem(create_model("tiny"), stem_file[0])


def test_truncated_changed_and_foreign_stems_are_refused(stem_file, tmp_path):
    path, network = stem_file
    before = {name: value.clone() for name, value in network.state_dict().items()}
    content = path.read_bytes()
    cut, foreign = tmp_path / "cut.safetensors", tmp_path / "foreign.safetensors"
    cut.write_bytes(content[: len(content) // 2])
    save_file({"weight": torch.zeros(3)}, foreign)
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(content[:-2] + bytes((content[-2] ^ 1, content[-1])))
    for file, message in (
        (cut, "is cut off"),
        (foreign, "not a converted MoveNet"),
        (changed, "checksum differs"),
        (tmp_path / "missing.safetensors", "not a converted MoveNet"),
    ):
        with pytest.raises(PoseActError, match=message):
            begin_with_stem(network, file)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert load_file(path)


@pytest.mark.parametrize("size", [(64, 64), (100, 100), (97, 131)])
def test_any_size_and_any_number_of_blocks(size):
    network = create_model(
        "small", stem_width=WIDTH, channels=16, low_channels=16, labels=("a", "b")
    ).eval()
    frames = torch.rand(1, 2, 3, *size)
    with torch.inference_mode():
        whole, short = network(frames), network(frames, num_blocks=1)
    assert len(whole.poses) == 2
    assert len(short.poses) == 1
    assert whole.pose.heatmaps.shape[-2:] == tuple(-(-side // 4) for side in size)
    torch.testing.assert_close(short.pose.joints, whole.poses[0].joints)
    torch.testing.assert_close(whole.pose.heatmaps.sum((-1, -2)), torch.ones(1, 2, len(PA21)))


def test_the_confidence_learns_whether_joints_are_right_without_moving_them():
    network = create_model("small", stem_width=WIDTH, channels=16, low_channels=16)
    criterion = PoseCriterion({"joints": 0, "depth": 0, "heatmap": 0}, skeleton=PA21)
    joints = torch.rand(2, 1, len(PA21), 3, generator=torch.manual_seed(0))
    mask = torch.ones(2, 1, len(PA21), dtype=torch.bool)
    prediction = network(torch.rand(2, 1, 3, 64, 64))
    terms = criterion(prediction, PoseTargets(joints, mask, mask, mask))
    criterion.total(terms).backward()
    learned = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert learned
    assert all(name.startswith("pose_model.head.confidence.") for name in learned)


def test_correct_means_near_and_is_known_only_where_the_torso_is():
    criterion = PoseCriterion(skeleton=PA16)
    target = torch.rand(3, 1, 16, 2, generator=torch.manual_seed(0))
    target[:, :, PA16.index("right_hip")] = 0.0
    target[:, :, PA16.index("left_shoulder")] = torch.tensor((0.0, 0.5))
    known = torch.ones(3, 1, 16, dtype=torch.bool)
    known[1, 0, PA16.index("right_hip")] = known[1, 0, PA16.index("left_hip")] = False
    known[2, 0, PA16.index("head")] = False
    predicted = target + torch.tensor((0.09, 0.0))
    predicted[:, :, PA16.index("head")] = target[:, :, PA16.index("head")] + 0.11
    correct, defined = criterion.correctness(predicted, PoseTargets(target, known, known, known))
    assert correct[0, 0].sum() == 15
    assert not correct[0, 0, PA16.index("head")]
    assert not defined[1].any()
    assert not defined[2, 0, PA16.index("head")]


@pytest.mark.parametrize("kind", ["head", "left_eye"])
def test_joints_that_a_data_set_never_labels_are_masked(kind):
    network = create_model("small", stem_width=WIDTH, channels=16, low_channels=16)
    criterion = PoseCriterion(skeleton=PA21)
    joints = torch.rand(2, 1, len(PA21), 3, generator=torch.manual_seed(0))
    known = torch.ones(2, 1, len(PA21), dtype=torch.bool)
    known[:, :, PA21.index(kind)] = False
    frames = torch.rand(2, 1, 3, 64, 64)

    def loss(value):
        joints[:, :, PA21.index(kind)] = value
        network.eval()
        terms = criterion(network(frames), PoseTargets(joints.clone(), known, known, known))
        return criterion.total(terms)

    torch.testing.assert_close(loss(0.1), loss(0.9), rtol=0, atol=0)
