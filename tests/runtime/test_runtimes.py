"""Every runtime reads the poses that PyTorch reads; the fastest is found once."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import poseact
from poseact._utils.errors import PoseActError
from poseact.evaluation.eval_pose import InRuntime
from poseact.inference.predict import predict
from poseact.media import write_image
from poseact.media.crop import to_frames
from poseact.runtime import convert
from poseact.runtime.cache import ModelCache
from poseact.runtime.choose import TORCH, Choice, fastest
from poseact.runtime.int8 import MOST_LOSS, cached_int8, pck_loss
from poseact.runtime.int8_photos import JOINTS, pck, shipped_photos
from poseact.runtime.interface import installed
from poseact.runtime.pose_reader import PoseFacts, PoseSource, open_pose

SIZE = 32


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    network = poseact.create_model(
        "tiny",
        **{"image_size": SIZE, "num_blocks": 2, "depth_maps": 2, "channels": 8, "low_channels": 8},
    )
    return poseact.save(network, tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, cache):
    monkeypatch.setenv("POSEACT_CACHE", str(cache))


def crops(count):
    return np.random.default_rng(count).integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.slow(covers=True)
def test_runtimes_agree_with_torch(weights, name, count):
    if name not in installed():
        pytest.skip(f"{name} is not installed")
    wanted = open_pose(weights, runtime="torch")(crops(count))
    reader = open_pose(weights, runtime=name)
    assert reader.runtime.name == name
    for part, own, other in zip(wanted._fields, wanted, reader(crops(count)), strict=True):
        assert own.dtype == other.dtype == np.float32
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-3, err_msg=part)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_threads_share_a_reader(weights, name):
    if name not in installed():
        pytest.skip(f"{name} is not installed")
    reader = open_pose(weights, runtime=name)
    pictures = [crops(count) for count in (1, 2, 3, 4) * 10]
    wanted = [reader(one).joints for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = [reading.joints for reading in pool.map(reader, pictures)]
    for own, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-3)


@pytest.mark.slow
def test_a_model_of_any_batch_runs_as_one_of_8_bits(weights):
    openvino_runtime = pytest.importorskip("poseact.runtime.openvino_runtime")
    source = PoseSource(weights)
    running = openvino_runtime.OpenVinoRuntime(source.converted(), "int8")
    wanted = source.start(Choice("torch", "fp32"))(crops(3))[0]
    assert running.precision == "int8"
    np.testing.assert_allclose(running(crops(3))[0][..., :2], wanted[..., :2], atol=0.02)


@pytest.mark.slow
def test_blocks_are_left_out_in_other_runtimes_too(weights):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    one, two = (open_pose(weights, blocks, runtime="torch")(crops(1)) for blocks in (1, 2))
    found = open_pose(weights, 1, runtime="onnx")(crops(1))
    np.testing.assert_allclose(found.joints, one.joints, rtol=1e-3, atol=1e-3)
    assert not np.allclose(found.joints, two.joints, atol=1e-3)


@pytest.mark.slow
def test_weights_are_converted_once_and_then_import_nothing_slow(weights, cache):
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    before = poseact.Predictor(weights, people="one", runtime="openvino").crops(crops(1)).joints
    photo = cache / "photo.png"
    write_image(photo, crops(1)[0])
    script = (
        "import sys, numpy, poseact\n"
        f"predictor = poseact.Predictor({str(weights)!r}, people='one', runtime='openvino')\n"
        "random = numpy.random.default_rng(1)\n"
        f"crops = random.integers(0, 256, (1, {SIZE}, {SIZE}, 3), numpy.uint8)\n"
        "print(float(predictor.crops(crops).joints[0, 0, 0]))\n"
        "from poseact.inference.predict import predict\n"
        f"predict({str(photo)!r}, {str(cache / 'out')!r}, weights={str(weights)!r}, people='one',"
        " runtime='openvino')\n"
        "slow = {'torch', 'pandas', 'scipy', 'matplotlib', 'openvino.tools.ovc'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(before[0, 0, 0]), abs=1e-5)


def test_half_precision_stays_close(weights):
    exact, half = (
        open_pose(weights, runtime="torch", precision=p)(crops(2)) for p in ("fp32", "bf16")
    )
    assert not np.array_equal(exact.appearance, half.appearance)
    np.testing.assert_allclose(exact.joints[..., :2], half.joints[..., :2], atol=0.05)


def test_scores_in_another_runtime_are_of_the_same_poses(weights):
    network = poseact.load(weights)
    frames = to_frames(torch.from_numpy(crops(3)))
    with torch.inference_mode():
        wanted = network(frames).pose
    got = InRuntime(open_pose(weights, runtime="torch"))(frames).pose
    np.testing.assert_allclose(got.confidence, wanted.confidence, atol=1e-5)
    np.testing.assert_allclose(got.joints[..., :2], wanted.joints[..., :2], atol=1e-5)
    moved = wanted.joints[..., 2] - got.joints[..., 2]  # to the pelvis
    np.testing.assert_allclose(moved, moved[..., :1].expand_as(moved), atol=1e-5)


@pytest.mark.slow
def test_a_photo_has_the_same_table_in_another_runtime(weights, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    write_image(tmp_path / "photo.png", crops(1)[0])
    options = {"weights": weights, "people": "one", "draw": False}
    places = {}
    for name in ("torch", "onnx"):
        report = predict(tmp_path / "photo.png", tmp_path / name, runtime=name, **options)
        table = pq.read_table(report.parquet)
        places[name] = np.stack([table[axis].to_numpy() for axis in ("x", "y")])
    np.testing.assert_allclose(places["onnx"], places["torch"], atol=1e-3 * SIZE)


def test_streams_take_a_runtime_and_a_precision(weights):
    network = poseact.create_model(
        "tiny", image_size=SIZE, labels=("a", "b"), frames=8, person_square=True
    ).eval()
    network.card = replace(network.card, fps=10.0)
    stream = poseact.Stream(network, people="one", runtime="torch", precision="bf16")
    running = stream.predictor.reader.runtime
    assert (running.name, running.precision) == ("torch", "bf16")
    assert stream.push(crops(1)[0], 0.0)


class Fake:
    """Answers at once or after some loops, right or wrong."""

    precision = "fp32"

    def __init__(self, slow=False, wrong=False):
        self.slow, self.wrong, self.calls = slow, wrong, 0

    def __call__(self, pictures):
        self.calls += 1
        joints = np.zeros((len(pictures), 2, 2), np.float32) + (0.1 if self.wrong else 0)
        if self.slow:
            np.linalg.svd(np.random.default_rng(0).random((300, 300)))
        return [joints]


def test_auto_takes_the_fastest_that_is_right_and_remembers_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path))
    fakes = {
        TORCH: Fake(slow=True),
        Choice("onnx", "fp32"): Fake(wrong=True),
        Choice("openvino", "fp32"): Fake(),
    }
    kept = ModelCache(b"weights")
    best = fastest(list(fakes), fakes.__getitem__, SIZE, kept)
    assert best == Choice("openvino", "fp32")
    calls = fakes[best].calls
    fakes[best].slow = True
    assert fastest(list(fakes), fakes.__getitem__, SIZE, kept) == best
    assert fastest(list(fakes)[:2], fakes.__getitem__, SIZE, kept) == TORCH
    assert fakes[best].calls == calls

    def broken(choice):
        if choice != TORCH:
            raise RuntimeError("cannot be converted")
        return fakes[TORCH]

    assert fastest(list(fakes), broken, SIZE, ModelCache(b"others")) == TORCH
    assert "cannot be converted" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "tensorrt"}, "torch, onnx, openvino or auto"),
        ({"precision": "fp4"}, "fp32, bf16, int8 or auto"),
        ({"runtime": "onnx", "precision": "bf16"}, "computes in fp32"),
        ({"runtime": "openvino", "device": "cuda"}, "runs on the CPU"),
    ],
)
def test_what_does_not_go_together_is_refused(weights, options, message):
    with pytest.raises(PoseActError, match=message):
        open_pose(weights, **options)


def test_a_missing_extra_is_named(weights, monkeypatch):
    # As Python marks a module that cannot be imported.
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(PoseActError, match=r"pip install 'poseact\[openvino\]'"):
        open_pose(weights, runtime="openvino")
    assert "torch" in installed()
    assert "openvino" not in installed()


def test_the_environment_names_the_runtime(weights, monkeypatch):
    monkeypatch.setenv("POSEACT_RUNTIME", "tensorrt")
    with pytest.raises(PoseActError, match="tensorrt"):
        open_pose(weights)
    assert open_pose(weights, runtime="torch").runtime.name == "torch"


def test_damaged_notes_are_made_again(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path))
    monkeypatch.setattr(convert, "write_onnx", lambda _graph, path: path.write_bytes(b"model"))
    source = PoseSource(weights)
    source.converted()
    facts = PoseFacts.of(source.network, 2)
    assert PoseSource(weights).facts == facts
    assert PoseFacts.read(asdict(facts)) == facts
    for damaged in ("{", "{}", json.dumps({**asdict(facts), "skeleton": 3, "more": 1})):
        (source.cache.folder / "facts.json").write_text(damaged)
        assert PoseSource(weights).facts == facts


@pytest.mark.parametrize("loss", [2.0, None])
def test_costly_8_bit_numbers_are_refused_unless_forced(weights, tmp_path, monkeypatch, loss):
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path))
    source = PoseSource(weights)
    (source.cache.folder / "int8").mkdir(parents=True)
    (source.cache.folder / "int8" / "pose.xml").write_text("model")
    source.cache.write("int8.json", {"pck_loss": loss})
    with pytest.raises(PoseActError, match="--force"):
        cached_int8(source)
    assert cached_int8(source, force=True).name == "pose.xml"
    source.cache.write("int8.json", {"pck_loss": 0.4})
    assert cached_int8(source).name == "pose.xml"


@pytest.mark.slow(covers=True)
def test_8_bit_numbers_of_the_default_weights_cost_at_most_a_point():
    pytest.importorskip("nncf")
    pytest.importorskip("onnxscript")
    source = PoseSource("small-open")
    cached_int8(source)
    assert pck_loss(source) <= MOST_LOSS


def test_the_shipped_photos_score_their_own_labels():
    photos = shipped_photos(64)
    assert photos.crops.shape == (len(photos.joints), 64, 64, 3)
    assert photos.joints.shape[1:] == (len(JOINTS), 2)
    assert pck(photos.joints, photos.joints) == 100
    assert pck(photos.joints + 1, photos.joints) == 0
