"""Checkpoints: one safetensors file whose header says everything needed to use the weights."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from poseact.errors import PoseActError
from poseact.files import replacing
from poseact.models.base import Card, Network
from poseact.models.config import NetworkConfig
from poseact.models.multitask import MultitaskConfig
from poseact.models.pyramid import SPNetConfig
from poseact.skeleton import Skeleton
from poseact.weights.catalogue import cached_file
from poseact.weights.keras_import import import_keras

HEADER_KEY = "poseact"
FORMAT = 1
CONFIGS = {config.__name__: config for config in (MultitaskConfig, SPNetConfig)}


def save(network: Network, path: str | Path) -> Path:
    """Write a network to a safetensors file, atomically.

    The header carries preset, configuration, skeleton, labels, preprocessing, fps, provenance and
    licence as JSON under the metadata key ``poseact``.

    Raises:
        PoseActError: The file cannot be written.
    """
    path = Path(path)
    header = {
        "format": FORMAT,
        **asdict(network.card),
        "architecture": type(network.config).__name__,
        "config": asdict(network.config),
        "preprocessing": {
            "image_size": network.config.image_size,
            "colour": "RGB",
            "range": [-1, 1],
            "outside": -1,
        },
    }
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        with replacing(path) as temporary:
            save_file(state, temporary, {HEADER_KEY: json.dumps(header)})
    except (OSError, SafetensorError) as error:
        raise PoseActError(
            f"The weights could not be written to {path} ({error}); give a place with room."
        ) from error
    return path


def load(path_or_name: str | Path) -> Network:
    """Read a network from a checkpoint, ready for inference (eval mode).

    Args:
        path_or_name: A safetensors file written by :func:`save`, the name of weights that ship with
            the package, or a preset whose published file was fetched (``poseact weights``).

    Raises:
        PoseActError: There is no such file or name, or it is no PoseAct checkpoint, or its tensors
            do not fit its own header.
    """
    cached = None if Path(path_or_name).is_file() else cached_file(str(path_or_name))
    if cached is not None:
        return import_keras(cached, str(path_or_name))
    path = _find(path_or_name)
    header, state = _read(path)
    config = _config(path, header)
    network = config.build()
    network.card = Card(**{field.name: header[field.name] for field in fields(Card)})
    expected = network.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unexpected:
        raise PoseActError(
            f"{path} does not fit its own header: {len(missing)} tensors missing, "
            f"{len(unexpected)} unexpected ({', '.join(sorted(missing | unexpected)[:3])} …); "
            "write it again with this version of poseact."
        )
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise PoseActError(
                f"{path} holds {name} with shape {tuple(tensor.shape)}, but its header asks for "
                f"{tuple(expected[name].shape)}; write it again with this version of poseact."
            )
    network.load_state_dict(state)
    return network.eval()


def describe(path_or_name: str | Path) -> dict[str, Any]:
    """The header of a checkpoint, without reading its tensors.

    Raises:
        PoseActError: As :func:`load`.
    """
    return _header(_find(path_or_name))


def shipped_weights() -> dict[str, Path]:
    """Weights inside the package, by name."""
    folder = Path(str(files("poseact.assets")))
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.is_file():
        return path
    known = shipped_weights()
    if str(path_or_name) in known:
        return known[str(path_or_name)]
    raise PoseActError(
        f"There are no weights {str(path_or_name)!r}: neither a file nor a shipped name "
        f"({', '.join(known) or 'none'}); give a .safetensors file, or get published ones by "
        "'poseact weights fetch PRESET'."
    )


def _header(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise PoseActError(
            f"{path} is not a safetensors file or is cut off ({error}); "
            "give a checkpoint written by poseact."
        ) from error
    try:
        header = json.loads(metadata[HEADER_KEY])
    except (KeyError, ValueError):
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


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    header = _header(path)
    with safe_open(path, "pt") as file:
        return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _config(path: Path, header: dict[str, Any]) -> NetworkConfig:
    try:
        config = CONFIGS[header["architecture"]]
        values = dict(header["config"])
        skeleton = values.pop("skeleton")
        values["skeleton"] = Skeleton(
            skeleton["name"],
            tuple(skeleton["joints"]),
            tuple((a, b) for a, b in skeleton["limbs"]),
        )
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return config(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise PoseActError(
            f"The header of {path} does not describe a network ({error!r}); "
            "write it again with this version of poseact."
        ) from error
