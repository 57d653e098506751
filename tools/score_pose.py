"""Score a pose network on the validation block of LSP extended.

    python tools/score_pose.py runs/tiny/last.pt --out runs/tiny/score

Writes score.json and crops.png (predicted joints green, labels white) to the output folder.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import poseact
from poseact.augment import Crop, evaluation_crop
from poseact.crop import DEPTH_RANGE_MM, to_frames, transform_points
from poseact.data.lsp import read_lsp_extended
from poseact.data.sample import PoseSample
from poseact.media import read_image
from poseact.metrics import Pck, pck, torso_size
from poseact.models.multitask import MultitaskConfig
from poseact.skeleton import LSP14, PA16, SKELETONS

VALIDATION_IMAGES = 1000
MIN_JOINTS = 12
THRESHOLD = 0.2
PROTOCOL = (
    "LSP extended, last 1000 images (im08001 to im09000), those with at least 12 visible joints; "
    "square crop around the labelled joints, 1.25 times the longest side of their box; single "
    "crop, no flip, last block; PCK@0.2 of the torso (right hip to left shoulder, else left hip to "
    "right shoulder; images without either are left out), mean over all visible of the 14 joints"
)

log = logging.getLogger(__name__)


class Predicted(NamedTuple):
    """Joints in image px ``(N, J, 2)`` and depth in mm ``(N, J)``, NaN for a 2D network."""

    joints: np.ndarray
    depth_mm: np.ndarray


def validation_block(lsp: list[PoseSample]) -> list[PoseSample]:
    """The samples that the protocol scores."""
    measured = [PA16.index(joint) for joint in LSP14.joints]
    block = lsp[-VALIDATION_IMAGES:]
    return [sample for sample in block if sample.visible[measured].sum() >= MIN_JOINTS]


def evaluation_crops(samples: list[PoseSample], size: int) -> list[Crop]:
    """Upright crops of PA16 samples, images read from disk."""
    return [evaluation_crop(read_image(s.image), s, PA16, size) for s in samples]


@torch.inference_mode()
def predict(network: nn.Module, crops: list[Crop], batch: int = 64) -> Predicted:
    """Joints of the last block for every crop, mapped back to the image."""
    network.eval()
    outputs = []
    for start in range(0, len(crops), batch):
        images = np.stack([crop.image for crop in crops[start : start + batch]])
        outputs.append(network(to_frames(torch.from_numpy(images))).pose.joints[:, 0])
    joints = torch.cat(outputs).numpy()
    plane = [
        transform_points(np.linalg.inv(crop.matrix), points[:, :2])
        for crop, points in zip(crops, joints, strict=True)
    ]
    is_3d = joints.shape[-1] == 3
    depth = (joints[..., 2] - 0.5) * DEPTH_RANGE_MM if is_3d else np.full(joints.shape[:2], np.nan)
    return Predicted(np.stack(plane), depth)


def score(predicted: Predicted, samples: list[PoseSample]) -> Pck:
    """PCK of PA16 predictions over the 14 joints of LSP."""
    measured = [PA16.index(joint) for joint in LSP14.joints]
    target = np.stack([sample.joints[:, :2] for sample in samples])
    visible = np.stack([sample.visible for sample in samples])
    scale = torso_size(target, visible, PA16)
    return pck(
        predicted.joints[:, measured], target[:, measured], visible[:, measured], scale, THRESHOLD
    )


def draw_grid(
    crops: list[Crop], predicted: np.ndarray | None = None, columns: int = 6, size: int = 256
) -> np.ndarray:
    """Crops side by side with labels (thin white; right limbs red-tipped) and predictions (green).

    Args:
        crops: What to draw.
        predicted: ``(N, J, 2)`` px of the image, or None for labels alone.
        columns: Crops in a row.
        size: Side of each in px.

    Returns:
        ``(H, W, 3)`` BGR uint8.
    """
    tiles = []
    for number, crop in enumerate(crops):
        tile = cv2.resize(crop.image[..., ::-1], (size, size), interpolation=cv2.INTER_CUBIC)
        if predicted is not None:
            points = transform_points(crop.matrix, predicted[number]) * size
            draw_body(tile, points, np.ones(len(PA16), bool), (0, 220, 0), 2)
        draw_body(tile, crop.joints[:, :2] * size, crop.valid, (255, 255, 255), 1)
        tiles.append(tile)
    blank = np.zeros((size, size, 3), np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def draw_body(
    tile: np.ndarray,
    points: np.ndarray,
    valid: np.ndarray,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    """Draw limbs, and dots that are red on the person's right and blue on the left (BGR)."""
    dots = {"right": (60, 60, 255), "left": (255, 160, 0), "centre": colour}
    pixels = [tuple(round(float(v)) for v in point) for point in points]
    for a, b in PA16.limb_indices:
        if valid[a] and valid[b]:
            cv2.line(tile, pixels[a], pixels[b], colour, width, cv2.LINE_AA)
    for joint, pixel, known in zip(PA16.joints, pixels, valid, strict=True):
        if known:
            cv2.circle(tile, pixel, width + 1, dots[PA16.side(joint)], -1, cv2.LINE_AA)


def network_from_run(state: dict[str, Any]) -> nn.Module:
    """The EMA network of a checkpoint that train_tiny.py wrote."""
    config = dict(state["config"])
    config["skeleton"] = SKELETONS[config["skeleton"]]
    network = MultitaskConfig(**config).build()
    network.load_state_dict(state["ema"])
    return network


def load_network(path: Path) -> nn.Module:
    """A network from a training run (``.pt``) or from a PoseAct checkpoint."""
    if path.suffix == ".pt":
        return network_from_run(torch.load(path, weights_only=True))
    return poseact.load(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("weights", type=Path, help="last.pt of a run, or a PoseAct checkpoint")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("POSEACT_SHARED", "../shared"))
    )
    parser.add_argument("--out", type=Path, default=Path("runs/score"))
    parser.add_argument("--size", type=int, default=128, help="side of the crop in px")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    torch.set_num_threads(args.threads)

    samples = validation_block(read_lsp_extended(args.shared / "data/lspet"))
    crops = evaluation_crops(samples, args.size)
    predicted = predict(load_network(args.weights), crops)
    result = score(predicted, samples)

    table = Table("joint", "PCK@0.2 %")
    for joint, value in zip(LSP14.joints, result.per_joint, strict=True):
        table.add_row(joint, f"{100 * value:.1f}")
    table.add_row("all", f"{100 * result.mean:.1f}", style="bold")
    console = Console()
    console.print(table)
    console.print(f"{PROTOCOL}; {result.images} images, {result.excluded} left out.")

    args.out.mkdir(parents=True, exist_ok=True)
    report = {
        "weights": str(args.weights),
        "protocol": PROTOCOL,
        "pck": result.mean,
        "per_joint": dict(zip(LSP14.joints, result.per_joint.tolist(), strict=True)),
        "images": result.images,
        "excluded": result.excluded,
    }
    (args.out / "score.json").write_text(json.dumps(report, indent=2) + "\n")
    shown = np.linspace(0, len(crops) - 1, 24).astype(int)
    grid = draw_grid([crops[i] for i in shown], predicted.joints[shown])
    cv2.imwrite(str(args.out / "crops.png"), grid)
    log.info("Wrote %s and crops.png.", args.out / "score.json")


if __name__ == "__main__":
    main()
