"""Exported networks run without this package and answer as PyTorch does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import poseact
from helpers.clips import write_video
from poseact._utils.errors import PoseActError
from poseact.actions.answers import answer_windows
from poseact.actions.pose_sequence import PoseSequence
from poseact.media import write_image
from poseact.models.card import Card
from poseact.models.sequence import SequenceConfig
from poseact.runtime import convert, export
from poseact.runtime.export import export_bundle
from poseact.runtime.graphs import action_graphs
from poseact.runtime.torch_runtime import TorchRuntime
from poseact.skeleton import PA16

SIZE = 32
SMALL = {"image_size": SIZE, "num_blocks": 1, "depth_maps": 2, "channels": 8, "low_channels": 8}


def pose_network():
    network = poseact.create_model("tiny", **SMALL)
    network.card = replace(network.card, licence="CC0", provenance={"data": "none"})
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of poses, and of actions that are told from them."""
    folder = tmp_path_factory.mktemp("weights")
    poseact.save(pose_network(), folder / "pose.safetensors")
    actions = SequenceConfig(
        PA16, labels=("jump", "sit"), frames=8, coordinates=3, heads="temporal", head_width=8
    ).build()
    actions.action_model.known_looks.copy_(torch.tensor([[0.1, 0.2], [0.5, 0.6]]))
    actions.card = Card("actions", 12.5, temperature=1.5, pose_weights="pose.safetensors")
    poseact.save(actions, folder / "actions.safetensors")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, folder):
    monkeypatch.setenv("POSEACT_CACHE", str(folder / "cache"))


def run(folder, *arguments):
    """The exported script in a Python that cannot import this package."""
    blocked = "import sys; sys.modules['poseact'] = None; import runpy; sys.argv = sys.argv[1:]; "
    call = [sys.executable, "-c", blocked + "runpy.run_path(sys.argv[0])", str(folder / "run.py")]
    done = subprocess.run(
        [*call, *map(str, arguments)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def without_durations(film):
    """An MP4 of three frames without time stamps, of which OpenCV says 3000 frames per second."""
    start = film.index(b"stts") + 12
    rows = np.frombuffer(film, ">u4", 6, start).reshape(3, 2).copy()
    rows[:, 1] = 0, 0, 90  # of 90,000 per second
    return film[:start] + rows.tobytes() + film[start + rows.nbytes :]


@pytest.fixture(scope="module")
def written_once(folder):
    """Writes each graph as ONNX once for all formats, which takes seconds."""

    def write(graph, path, really=convert.write_onnx):
        made = folder / f"{'-'.join(graph.inputs)}.onnx"
        if not made.exists():
            really(graph, made)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert, "write_onnx", write)
        yield


@pytest.mark.parametrize(
    "to", ["pt2", "onnx", pytest.param("openvino", marks=pytest.mark.slow(covers=True))]
)
@pytest.mark.usefixtures("written_once")
@pytest.mark.slow
def test_the_folder_runs_alone(folder, tmp_path, to):
    if to != "pt2":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime" if to == "onnx" else "openvino")
    out = tmp_path / "exported"
    report = export_bundle(folder / "actions.safetensors", out, to)
    assert sorted(report.files) == sorted(out.iterdir())
    assert set(report.parity) == {"pose", "actions", "actions_stream"}
    assert max(report.parity.values()) <= 1e-3
    card = json.loads((out / "card.json").read_text())
    assert card["skeleton"]["joints"] == list(PA16.joints)
    assert (card["licence"], card["provenance"]) == ("CC0", {"data": "none"})
    assert card["actions"]["labels"] == ["jump", "sit"]
    assert (card["actions"]["fps"], card["actions"]["temperature"]) == (12.5, 1.5)
    assert len((out / "run.py").read_text().splitlines()) <= 60
    if to == "onnx":
        model = pytest.importorskip("onnx").load(out / "pose.onnx")
        (entry,) = model.metadata_props
        assert (entry.key, json.loads(entry.value)) == ("poseact", card)
        assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    film = write_video(tmp_path / "film.mp4", [picture] * 3, times=[0, 0.2, 0.5])
    answers = run(out, film)
    assert [answer["time"] for answer in answers] == [0, 0.2, 0.5]
    for answer in answers:
        assert np.array(answer["joints"]).shape == (16, 4)
        assert answer["action"] in ("jump", "sit", "unknown")
        assert 0.5 <= answer["probability"] <= 1
    film.write_bytes(without_durations(film.read_bytes()))
    times = [answer["time"] for answer in run(out, film)]
    assert times == pytest.approx([0, 1 / 30, 2 / 30], abs=1e-3)
    done = subprocess.run(
        [sys.executable, out / "run.py", out / "card.json"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode
    assert done.stderr.endswith("is no photo or video; use: python run.py PHOTO_OR_VIDEO\n")
    assert "Traceback" not in done.stderr
    if to == "onnx":
        write_image(tmp_path / "photo.png", picture)
        assert len(run(out, tmp_path / "photo.png")) == 1


def test_frame_by_frame_is_the_window(folder):
    actions = poseact.load(folder / "actions.safetensors")
    graphs = action_graphs(actions, pose_network())
    whole, stream = (TorchRuntime(graphs[name], "cpu") for name in ("actions", "actions_stream"))
    random = np.random.default_rng(0)
    joints = random.random((1, 11, 16, 3), np.float32)
    confidence = random.random((1, 11, 16), np.float32)
    state = [np.repeat(part[:, :1], 8, 1) for part in (joints, confidence)]
    for frame in range(11):
        probabilities, _, *state = stream(joints[:, frame], confidence[:, frame], *state)
    wanted, _ = whole(joints[:, 3:], confidence[:, 3:])
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    np.testing.assert_array_equal(state[0], joints[:, 3:])


def test_the_probabilities_are_those_of_the_program(folder):
    actions = poseact.load(folder / "actions.safetensors")
    random = np.random.default_rng(0)
    joints = (100 * random.random((8, 16, 3))).astype(np.float32)
    confidence = random.random((8, 16)).astype(np.float32)
    sequence = PoseSequence("clip", PA16, np.arange(8) / 12.5, joints, confidence)
    wanted = answer_windows(actions, sequence)[-1]
    graph = action_graphs(actions, pose_network())["actions"]
    (probabilities,), (familiarity,) = TorchRuntime(graph, "cpu")(joints[None], confidence[None])
    np.testing.assert_allclose(probabilities, wanted.probabilities, atol=1e-5)
    assert familiarity == pytest.approx(wanted.familiarity, abs=1e-4)
    assert familiarity != 0


@pytest.mark.slow
def test_a_network_that_differs_is_refused_and_not_kept(folder, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(export, "MOST_DIFFERENCE", -1.0)
    with pytest.raises(PoseActError, match="differs by"):
        export_bundle(folder / "pose.safetensors", tmp_path / "exported", "onnx")
    assert not list((tmp_path / "exported").glob("pose*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "tflite"}, "onnx, openvino, pt2"),
        ({"to": "pt2", "precision": "int8"}, "fp32"),
        ({"to": "onnx", "precision": "int8"}, "openvino"),
    ],
)
def test_what_cannot_be_exported_is_refused(folder, tmp_path, options, message):
    with pytest.raises(PoseActError, match=message):
        export_bundle(folder / "pose.safetensors", tmp_path / "exported", **options)


def test_a_stream_with_appearance(folder):
    network = poseact.create_model(
        "tiny", **SMALL, labels=("a", "b"), frames=8, person_square=True
    ).eval()
    network.card = Card("tiny", 10.0)
    graph = action_graphs(network, network)["actions_stream"]
    outputs = TorchRuntime(graph, "cpu")(*(value.numpy() for value in graph.inputs.values()))
    assert len(graph.outputs) == len(outputs) == 5
    assert torch.equal(torch.from_numpy(outputs[4][:, -1]), graph.inputs["appearance"])
