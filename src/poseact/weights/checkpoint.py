"""Checkpoints: a safetensors file whose header holds everything needed to use the weights."""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialise

from poseact._utils.boundary import one_sentence, parse_json, require_bounded
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.models.base import Network
from poseact.models.card import Card
from poseact.models.multitask import MultitaskConfig
from poseact.models.pyramid import SPNetConfig
from poseact.models.sequence import SequenceConfig
from poseact.skeleton import Skeleton
from poseact.weights.weight_files import find_weights, published_weights

HEADER_KEY = "poseact"
HALF = "float16"
FORMAT = 1
CONFIGS = {config.__name__: config for config in (MultitaskConfig, SPNetConfig, SequenceConfig)}

_LATER = frozenset({"temperature", "unknown_below", "pose_weights"})
"""What files of earlier versions do not say of their weights."""

_MOST_FACTS = 10**5
_MOST_FPS = 1000

PREPROCESSING = {"colour": "RGB", "range": [-1, 1], "outside": -1}
"""What every network here expects of its frames, besides their size."""


def save(network: Network, path: str | Path, half: bool = False) -> Path:
    """Write a network to a safetensors file, atomically.

    The header carries preset, configuration, skeleton, labels, preprocessing, fps, provenance and
    licence as JSON under the metadata key ``poseact``.

    Args:
        network: To write.
        path: The file.
        half: Store the numbers as float16, in half the space; a network read from it is float32.

    Raises:
        PoseActError: The network is a folded copy or not float32, or the file cannot be written.
    """
    if network.folded:
        raise PoseActError(
            "A folded copy of a network was given to save; save the network it was made from."
        )
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    others = {t.dtype for t in state.values() if t.is_floating_point()} - {torch.float32}
    if others:
        raise PoseActError(
            f"A network of type {others.pop()} was given to save; checkpoints are float32, so "
            "save network.float()."
        )
    if half:
        state = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    header = header_of(network)
    if half:
        header["stored"] = HALF
    content = serialise(state, {HEADER_KEY: json.dumps(header)})
    atomic_write(Path(path), lambda temporary: temporary.write_bytes(content))
    return Path(path)


def load(path_or_name: str | Path) -> Network:
    """Read a network from a checkpoint, ready for inference (eval mode).

    Args:
        path_or_name: A safetensors file written by :func:`save`, the name of weights that ship with
            the package, or a preset whose published file was fetched (``poseact weights``).

    Raises:
        PoseActError: There is no such file or name, or it is no PoseAct checkpoint, or its tensors
            do not fit its own header.
    """
    published = published_weights(path_or_name)
    if published is not None:
        # h5py is needed for the authors' files alone.
        from poseact.weights.keras_import import import_keras  # noqa: PLC0415

        return import_keras(published, str(path_or_name))
    path = find_weights(path_or_name)
    header = _header(path)
    # Without memory for its numbers until the file has been checked.
    with torch.device("meta"):
        shape = _network(path, header)
    state = _state(path, shape, half=header.get("stored") == HALF)
    network = _network(path, header)
    network.load_state_dict(state)
    return network.eval()


def header_of(network: Network) -> dict[str, Any]:
    """Header of a checkpoint of this network, as JSON values."""
    return {
        "format": FORMAT,
        **asdict(network.card),
        "architecture": type(network.config).__name__,
        "config": asdict(network.config),
        "preprocessing": preprocessing_of(network),
    }


def preprocessing_of(network: Network) -> dict[str, Any]:
    """Preprocessing that the network expects of its frames."""
    return {"image_size": network.config.image_size, **PREPROCESSING}


def describe(path_or_name: str | Path) -> dict[str, Any]:
    """The header of a checkpoint.

    Args:
        path_or_name: As for :func:`load`; the tensors of a checkpoint are not read.

    Raises:
        PoseActError: As :func:`load`.
    """
    if published_weights(path_or_name) is not None:
        return header_of(load(path_or_name))
    return _header(find_weights(path_or_name))


def _header(path: Path) -> dict[str, Any]:
    with (
        one_sentence(
            f"{path} is not a safetensors file or is cut off ({{error}}); "
            "give a checkpoint written by poseact."
        ),
        safe_open(path, "pt") as file,
    ):
        metadata = file.metadata() or {}
    try:
        header = dict(parse_json(metadata[HEADER_KEY]))
        require_bounded(header, _MOST_FACTS)
    except (KeyError, ValueError, TypeError):
        raise PoseActError(
            f"{path} has no PoseAct header; give a checkpoint written by poseact, "
            "or import a Keras file with 'poseact import-keras'."
        ) from None
    if header.get("format") != FORMAT:
        raise PoseActError(
            f"{path} has checkpoint format {header.get('format')}, this version reads {FORMAT}; "
            "update poseact."
        )
    return header


def _state(path: Path, network: Network, half: bool) -> dict[str, torch.Tensor]:
    """The tensors of a file, which have to be those of the network."""
    expected = network.state_dict()
    sentence = f"{path} cannot be read as a checkpoint ({{error}}); write it again."
    with one_sentence(sentence), safe_open(path, "pt") as file:
        stored = {network.current_name(name): name for name in file.keys()}  # noqa: SIM118
        missing, unexpected = expected.keys() - stored.keys(), stored.keys() - expected.keys()
        if missing or unexpected:
            raise PoseActError(
                f"{path} does not fit its own header: {len(missing)} tensors missing, "
                f"{len(unexpected)} unexpected ({', '.join(sorted(missing | unexpected)[:3])} …); "
                "write it again with this version of poseact."
            )
        state = {}
        for name, wanted in expected.items():
            tensor = file.get_tensor(stored[name])
            if half and tensor.is_floating_point():
                tensor = tensor.float()
            if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
                raise PoseActError(
                    f"{path} holds {name} as {tensor.dtype} with shape {tuple(tensor.shape)}, but "
                    f"its header asks for {wanted.dtype} with shape {tuple(wanted.shape)}; write "
                    "it again with this version of poseact."
                )
            if not tensor.isfinite().all():
                raise PoseActError(
                    f"{path} holds numbers in {name} that are not finite; give weights of a "
                    "training that did not diverge."
                )
            state[name] = tensor
    return state


def _network(path: Path, header: dict[str, Any]) -> Network:
    """The network that a header describes, with fresh weights."""
    with one_sentence(
        f"The header of {path} does not describe a network ({{error}}); "
        "write it again with this version of poseact.",
        around=True,
    ):
        config = CONFIGS[header["architecture"]]
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in header["config"].items()
        }
        skeleton = values.pop("skeleton")
        joints, limbs = skeleton["joints"], skeleton["limbs"]
        values["skeleton"] = Skeleton(
            skeleton["name"], tuple(joints), tuple((a, b) for a, b in limbs)
        )
        names = [f.name for f in fields(Card) if f.name in header or f.name not in _LATER]
        card = _checked(Card(**{name: header[name] for name in names}))
        network = config(**values).build()
        stated = header["preprocessing"]
    if stated != preprocessing_of(network):
        raise PoseActError(
            f"The header of {path} asks for another preprocessing ({stated}); this version knows "
            f"{preprocessing_of(network)}, so convert the weights."
        )
    network.card = card
    return network


def _checked(card: Card) -> Card:
    """A card whose facts are of their types."""
    texts = (card.preset, card.licence, *([] if card.pose_weights is None else [card.pose_weights]))
    numbers = [card.temperature, *(n for n in (card.fps, card.unknown_below) if n is not None)]
    if not all(isinstance(text, str) for text in texts) or not isinstance(card.provenance, dict):
        raise TypeError("preset, licence or provenance are of another type")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{number!r} is no number")
        if not (math.isfinite(number) and 0 <= number <= _MOST_FPS):
            raise ValueError(f"fps, temperature or unknown_below is {number}")
    if card.temperature == 0 or card.fps == 0:
        raise ValueError("fps or temperature is 0")
    return card
