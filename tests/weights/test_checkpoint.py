"""Saving and loading, bit for bit, and files that are none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import poseact
from helpers.networks import KINDS, clip, small
from poseact.models.card import Card
from poseact.skeleton import PA16, Skeleton
from poseact.weights.checkpoint import describe
from poseact.weights.hub import CHECKPOINT_NAME, HubNetwork


def randomised(kind="cvpr18-3d"):
    network = small(kind)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1)
    return network


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load_are_bit_equal(kind, tmp_path):
    network = randomised(kind).to(memory_format=torch.channels_last)
    again = poseact.load(poseact.save(network, tmp_path / "some folder" / "wéights.safetensors"))
    assert again.config == network.config
    assert not again.training
    for (name, a), (_, b) in zip(
        network.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), name


def test_the_header_says_everything(tmp_path):
    network = poseact.create_model("tiny", labels=("sit", "stand"))
    network.card = Card("tiny", fps=15.0, provenance={"data": "mine"}, licence="CC0")
    header = describe(poseact.save(network, tmp_path / "w.safetensors"))
    assert header["preset"] == "tiny"
    assert header["config"]["skeleton"]["joints"] == list(PA16.joints)
    assert header["config"]["labels"] == ["sit", "stand"]
    assert header["preprocessing"] == {
        "image_size": 128,
        "colour": "RGB",
        "range": [-1, 1],
        "outside": -1,
    }
    assert (header["fps"], header["provenance"], header["licence"]) == (
        15.0,
        {"data": "mine"},
        "CC0",
    )
    assert poseact.load(tmp_path / "w.safetensors").card == network.card


def test_the_depth_grid_is_part_of_the_weights(tmp_path):
    network = randomised()
    network.pose_model.head.depth_grid.copy_(torch.linspace(0.125, 0.875, 4))
    again = poseact.load(poseact.save(network, tmp_path / "w.safetensors"))
    assert torch.equal(again.pose_model.head.depth_grid, torch.linspace(0.125, 0.875, 4))


def test_hub_round_trip_on_disk(tmp_path):
    network = small("cvpr18-3d")
    HubNetwork(network).save_pretrained(tmp_path)
    again = HubNetwork.from_pretrained(tmp_path, local_files_only=True).network
    assert type(again) is type(network)
    frames = clip()
    with torch.inference_mode():
        assert torch.equal(again(frames).pose.joints, network(frames).pose.joints)
    again = HubNetwork.from_pretrained(str(tmp_path)).network
    assert again.config == network.config
    assert (tmp_path / CHECKPOINT_NAME).exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", b"\x08" + bytes(7) + b"{}      "]
)
def test_no_checkpoint(content, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(poseact.PoseActError, match=r"bad\.safetensors"):
        poseact.load(path)


def test_truncated_checkpoint(tmp_path):
    path = poseact.save(randomised(), tmp_path / "w.safetensors")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(poseact.PoseActError, match="cut off"):
        poseact.load(path)


def test_foreign_safetensors(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(poseact.PoseActError, match="no PoseAct header"):
        poseact.load(path)


def changed(path, change):
    """Rewrite a checkpoint with its header and tensors changed in place."""
    header, tensors = describe(path), load_file(path)
    change(header, tensors)
    save_file(tensors, path, {"poseact": json.dumps(header)})


def drop_tensor(_, tensors):
    tensors.popitem()


def reshape_tensor(_, tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 4)
    tensors[name] = tensors[name].flatten()


def other_type(_, tensors):
    name = next(name for name, tensor in tensors.items() if tensor.ndim == 4)
    tensors[name] = tensors[name].half()


def other_preprocessing(header, _):
    header["preprocessing"]["colour"] = "BGR"


def no_licence(header, _):
    del header["licence"]


def unknown_stem(header, _):
    header["config"]["stem"] = "x"


def future_format(header, _):
    header["format"] = 99


def unknown_field(header, _):
    header["config"]["surprise"] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_tensor, "1 tensors missing"),
        (reshape_tensor, "with shape"),
        (other_type, "float16"),
        (other_preprocessing, "another preprocessing"),
        (no_licence, "does not describe a network"),
        (unknown_stem, "does not describe a network"),
        (future_format, "format 99"),
        (unknown_field, "does not describe a network"),
    ],
)
def test_checkpoint_that_contradicts_itself(change, message, tmp_path):
    path = poseact.save(randomised(), tmp_path / "w.safetensors")
    changed(path, change)
    with pytest.raises(poseact.PoseActError, match=message):
        poseact.load(path)


@pytest.mark.parametrize("header", ["[1]", "null", '"text"', "3", "{"])
def test_header_that_is_no_object(header, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "w.safetensors", {"poseact": header})
    with pytest.raises(poseact.PoseActError, match=r"w\.safetensors"):
        poseact.load(tmp_path / "w.safetensors")


def test_what_cannot_be_saved(tmp_path):
    network = small("cvpr18-3d")
    with pytest.raises(poseact.PoseActError, match="folded copy"):
        poseact.save(poseact.fused(network), tmp_path / "w.safetensors")
    with pytest.raises(poseact.PoseActError, match="float64"):
        poseact.save(network.double(), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_readable_like_any_file(tmp_path):
    path = poseact.save(small("cvpr18-2d"), tmp_path / "w.safetensors")
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_hub_download_and_upload(tmp_path, monkeypatch):
    network = small("spnet-2d")
    saved = poseact.save(network, tmp_path / "remote.safetensors")
    asked = {}

    config = tmp_path / "config.json"
    config.write_text("{}")

    def download(repo_id, filename, **options):
        if filename == config.name:
            return str(config)
        asked.update(options, repo=repo_id, name=filename)
        return str(saved)

    monkeypatch.setattr("poseact.weights.hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    again = HubNetwork.from_pretrained("someone/weights", revision="v2").network
    assert again.config == network.config
    assert (asked["repo"], asked["name"]) == ("someone/weights", CHECKPOINT_NAME)
    assert asked["revision"] == "v2"

    uploaded = {}
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.HfApi.create_repo",
        lambda *_, **options: SimpleNamespace(repo_id=options["repo_id"]),
    )
    monkeypatch.setattr(
        "huggingface_hub.hub_mixin.HfApi.upload_folder",
        lambda *_, folder_path, **__: uploaded.update(
            {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
        ),
    )
    HubNetwork(network).push_to_hub("someone/weights")
    assert uploaded[CHECKPOINT_NAME] == saved.read_bytes()


def test_unknown_name():
    with pytest.raises(poseact.PoseActError, match="no weights 'huge'"):
        poseact.load("huge")


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = poseact.save(randomised(), tmp_path / "w.safetensors")
    before = path.read_bytes()

    def full_disk(target, content):
        with target.open("wb") as file:
            file.write(content[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(poseact.PoseActError, match="No space left"):
        poseact.save(randomised("cvpr18-2d"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_skeleton_checks():
    with pytest.raises(poseact.PoseActError, match="joint twice"):
        Skeleton("s", ("a", "a"))
    with pytest.raises(poseact.PoseActError, match="no joint 'c'"):
        Skeleton("s", ("a", "b"), (("a", "c"),))
    assert replace(PA16, name="mine").flip_indices == PA16.flip_indices


def test_half_the_size_costs_half_the_digits(tmp_path):
    network = randomised()
    whole = poseact.save(network, tmp_path / "whole.safetensors")
    half = poseact.save(network, tmp_path / "half.safetensors", half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    read = poseact.load(half).state_dict()
    for name, tensor in network.state_dict().items():
        assert read[name].dtype == tensor.dtype
        torch.testing.assert_close(read[name], tensor, rtol=1e-3, atol=1e-6)


def test_names_of_retired_weights_lead_to_their_successor(tmp_path):
    with pytest.raises(poseact.PoseActError, match=r"tiny-open are no longer .* small-open"):
        poseact.load("tiny-open")


def test_a_checkpoint_from_before_the_pyramid_stem_still_loads(tmp_path):
    path = poseact.save(poseact.create_model("tiny"), tmp_path / "old.safetensors")
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["poseact"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["config"]["stem_width"]
    save_file(state, path, {"poseact": json.dumps(header)})
    assert poseact.load(path).config.stem == "light"


def test_spnet_checkpoints_with_all_levels_in_one_row_still_load(tmp_path):
    network = poseact.create_model(
        "spnet-penn",
        num_actions=3,
        pyramids=2,
        action_pyramids=(1, 2),
        levels=3,
        channels=16,
        growth=8,
        action_channels=16,
    )
    new = poseact.save(network, tmp_path / "new.safetensors")
    parts = {
        "unit": "transition",
        "block": "block",
        "action.transition": "action_transition",
        "action.block": "action_block",
    }
    pattern = re.compile(r"pyramids\.(\d)\.levels\.(\d)\.(unit|block|action\.\w+)\.(.+)")
    earlier = {}
    for name, tensor in load_file(new).items():
        match = pattern.fullmatch(name)
        if match is None:
            earlier[name] = tensor
            continue
        pyramid, level, part, rest = match.groups()
        earlier[f"levels.{2 * int(pyramid) + int(level)}.{parts[part]}.{rest}"] = tensor
    assert {name.split(".")[0] for name in earlier} == {"entry", "levels"}
    with safe_open(new, "pt") as file:
        save_file(earlier, tmp_path / "earlier.safetensors", file.metadata())
    loaded = poseact.load(tmp_path / "earlier.safetensors").state_dict()
    assert loaded.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_blocks", 10**6),
        ("num_blocks", 64),
        ("channels", 10**12),
        ("depth_maps", 10**9),
        ("depth_maps", 2**14),
        ("image_size", 10**6),
        ("frames", 10**9),
        ("labels", [[]]),
        ("skeleton", {"name": "a", "joints": [1, [2]], "limbs": []}),
    ],
)
def test_a_header_that_asks_for_a_giant(tmp_path, field, value):
    path = poseact.save(randomised(), tmp_path / "w.safetensors")
    changed(path, lambda header, _: header["config"].update({field: value}))
    with pytest.raises(poseact.PoseActError, match=r"w\.safetensors"):
        poseact.load(path)


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0}, {"temperature": "1"}, {"fps": -1}, {"licence": 5}, {"provenance": [1]}],
)
def test_a_header_with_facts_of_wrong_types(tmp_path, change):
    path = poseact.save(randomised(), tmp_path / "w.safetensors")
    changed(path, lambda header, _: header.update(change))
    with pytest.raises(poseact.PoseActError, match="does not describe a network"):
        poseact.load(path)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 500 + "1" + "}" * 500, "9" * 5000])
def test_a_header_that_is_nested_or_long(tmp_path, text):
    save_file({"weight": torch.zeros(3)}, tmp_path / "w.safetensors", {"poseact": text})
    with pytest.raises(poseact.PoseActError, match="no PoseAct header"):
        poseact.load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path, number):
    network = randomised()
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = number
    path = poseact.save(network, tmp_path / "w.safetensors")
    with pytest.raises(poseact.PoseActError, match="not finite"):
        poseact.load(path)
