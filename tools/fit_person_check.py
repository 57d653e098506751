"""Fit the check of doubtful people in photos, on photos other than those it is scored on.

    python tools/fit_person_check.py SHARED_DATA BACKGROUNDS OUT.safetensors

Pictures are put together from windows of freely licensed crops of COCO (``coco`` of SHARED_DATA,
``annotations-train-free.json``), exercise photos (``exercise_photos``) and backgrounds without
people (by ``tools/cut_backgrounds.py``). Windows cut people off as edges and others do. The
detector's doubtful boxes in them are right where they are the best of a labelled person, wrong
where they are another box of one, a part of one, or far from everybody; boxes beside the people of
COCO crops, in which not everybody is labelled, are left out.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

from poseact import Predictor
from poseact.data.blazepose import read_blazepose
from poseact.data.coco import read_coco
from poseact.data.sample import PoseSample
from poseact.inference.boxes import square_of
from poseact.inference.confirm import CHECK_FROM, facts_of
from poseact.inference.detect import PersonDetector
from poseact.media import find_media, read_image
from poseact.metrics import overlaps, shares_inside
from poseact.runtime.graphs import person_graph
from poseact.runtime.source import PERSON_WEIGHTS
from poseact.runtime.torch_runtime import TorchRuntime
from poseact.skeleton import COCO17

SIZES = (480, 360), (480, 320), (360, 480), (480, 480)
SIZE_SHARES = 0.45, 0.2, 0.25, 0.1
GRIDS = ((1, 1), (1, 1), (1, 1), (2, 1), (2, 1), (1, 2), (2, 2), (3, 2))
# Of the photos of COCO, the exercise photos and the backgrounds.
SHARES = 0.45, 0.3, 0.25
LEAST_JOINTS = 2
CHANNELS = 144
# Of the few facts, and of the cells: with an earlier set of 667 boxes, the best of twelve pairs on
# the first half of the photos of ``poseact eval-people``.
RIDGES = 0.3, 3.0


class Labelled(NamedTuple):
    """A picture with the boxes ``(P, 4)`` x0, y0, x1, y1 and joints ``(J, 2)`` of its people."""

    path: Path
    boxes: list[np.ndarray]
    joints: list[np.ndarray]


class Seen(NamedTuple):
    """A person in a window: box in px, and how many labelled joints are in it."""

    box: np.ndarray
    joints: int


def by_picture(samples: list[PoseSample], reach: float = 0.0) -> list[Labelled]:
    """The pictures of people; ``reach`` of a box's longer side is added on each of its sides."""
    found: dict[str, Labelled] = {}
    for sample in samples:
        one = found.setdefault(str(sample.image), Labelled(Path(str(sample.image)), [], []))
        low, high = np.array(sample.box).reshape(2, 2)
        more = reach * (high - low).max()
        one.boxes.append(np.concatenate((low - more, high + more)))
        one.joints.append(sample.joints[sample.valid, :2])
    return list(found.values())


def read_sources(shared: Path, backgrounds: Path) -> list[list[Labelled]]:
    """The pictures of COCO, the exercise photos and the backgrounds."""
    coco = read_coco(shared / "coco", COCO17, labels="annotations-train-free.json")
    return [
        by_picture(coco),
        # Landmarks end before hands, feet and hair.
        by_picture(read_blazepose(shared / "exercise_photos", COCO17), 0.06),
        [Labelled(path, [], []) for path in find_media(backgrounds)],
    ]


def window(
    one: Labelled, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, list[Seen]]:
    """A random window of a picture, most of them near a person, in a size, and who is in it."""
    image = read_image(one.path)
    limits = np.array(image.shape[1::-1], float)
    near = bool(one.boxes) and rng.random() < 0.75
    part = np.array(size) * min(limits / size) * rng.uniform(0.2 if near else 0.35, 1)
    middle = rng.uniform(0, limits)
    if near:
        low, high = np.split(one.boxes[rng.integers(len(one.boxes))], 2)
        middle = low + rng.uniform(-0.1, 1.1, 2) * (high - low)
    start = (middle - part / 2).clip(0, limits - part)
    scale = size[0] / part[0]
    matrix = np.column_stack((scale * np.eye(2), -scale * start))
    smoothly = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    cut = cv2.warpAffine(image, matrix, size, flags=smoothly, borderMode=cv2.BORDER_REPLICATE)
    seen: list[Seen] = []
    for box, joints in zip(one.boxes, one.joints, strict=True):
        visible = ((box.reshape(2, 2) - start) * scale).clip(0, size)
        places = (joints - start) * scale
        if (visible[1] > visible[0]).all():
            seen.append(Seen(visible.ravel(), int(((places > 0) & (places < size)).all(1).sum())))
    if rng.random() < 0.5:
        turned = (np.array([size[0], 0, size[0], 0]) - box * [1, -1, 1, -1] for box, _ in seen)
        seen = [Seen(box[[2, 1, 0, 3]], n) for box, (_, n) in zip(turned, seen, strict=True)]
        cut = cut[:, ::-1]
    return cut, seen


def compose(
    sources: list[list[Labelled]], rng: np.random.Generator
) -> tuple[np.ndarray, list[Seen], np.ndarray]:
    """A picture of one to six windows, who is in it, and a mask of where everybody is labelled."""
    width, height = SIZES[rng.choice(len(SIZES), p=SIZE_SHARES)]
    columns, lines = GRIDS[rng.integers(len(GRIDS))]
    across, down = _edges(width, columns, rng), _edges(height, lines, rng)
    canvas, people = np.zeros((height, width, 3), np.uint8), []
    complete = np.zeros((height, width), bool)
    for line, column in np.ndindex(lines, columns):
        kind = rng.choice(len(SHARES), p=SHARES)
        (x, right), (y, low) = across[column : column + 2], down[line : line + 2]
        one = sources[kind][rng.integers(len(sources[kind]))]
        canvas[y:low, x:right], seen = window(one, (right - x, low - y), rng)
        people += [Seen(np.add(box, (x, y, x, y)), joints) for box, joints in seen]
        # Others are in the photos of COCO, of whom only one is labelled.
        complete[y:low, x:right] = kind > 0
    return canvas, people, complete


def _edges(side: int, cells: int, rng: np.random.Generator) -> list[int]:
    """Where uneven cells along a side begin, and its end."""
    edges = np.linspace(0, side, cells + 1)
    edges[1:-1] += rng.uniform(-0.25, 0.25, cells - 1) * side / cells
    return np.rint(edges).astype(int).tolist()


def truth_of(boxes: np.ndarray, people: list[Seen], sure: np.ndarray) -> np.ndarray:
    """1 for right boxes, the surest first, 0 for wrong ones, NaN for the others.

    Args:
        boxes: ``(N, 4)``, the surest first.
        people: Everybody who is labelled.
        sure: ``(N,)`` whether everybody is labelled where a box lies.
    """
    labelled = np.array([one.box for one in people]).reshape(-1, 4)
    same = overlaps(boxes, labelled)
    closest = same.max(1, initial=0)
    truth = np.where(sure & (closest < 0.15), 0.0, np.nan)
    inside = shares_inside(boxes, labelled).max(1, initial=0)
    truth[(inside > 0.7) & (closest < 0.45)] = 0
    truth[closest >= 0.5] = 0
    for person, one in enumerate(people):
        matching = np.flatnonzero(same[:, person] >= 0.5)
        if len(matching):
            truth[matching[0]] = 1 if one.joints >= LEAST_JOINTS else np.nan
    return truth


def open_detector() -> PersonDetector:
    """The detector, with the backbone's maps themselves as the evidence."""
    graph = person_graph(PERSON_WEIGHTS, torch.zeros(CHANNELS))
    graph.module.network.evidence = nn.Identity()  # pyright: ignore
    return PersonDetector(run=TorchRuntime(graph, "cpu"))


def examples(
    sources: list[list[Labelled]], pictures: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Facts and evidence ``(N, 6 + C)`` of doubtful boxes, and which are right ``(N,)``."""
    rng = np.random.default_rng(seed)
    detector, predictor = open_detector(), Predictor(people="one")
    rows, truth = [], []
    for number in range(pictures):
        canvas, people, complete = compose(sources, rng)
        found = detector.find(canvas, CHECK_FROM)
        if not found:
            continue
        readings = predictor.read(canvas, [square_of(person.box) for person in found])
        boxes = np.array([person.box for person in found])
        x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int).T
        right = truth_of(boxes, people, complete[y, x])
        facts = facts_of(found, readings)
        for k, person in enumerate(found):
            if person.evidence.size and not np.isnan(right[k]):
                rows.append(np.concatenate((facts[k], person.evidence)))
                truth.append(right[k])
        if number % 50 == 49:
            logging.info("%d pictures, %d boxes, %d right", number + 1, len(rows), sum(truth))
    return np.array(rows), np.array(truth)


def fit(
    rows: np.ndarray, truth: np.ndarray, ridges: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """Weights ``(F,)`` and bias of a logistic regression in which both classes weigh the same."""
    strength = torch.full(rows.shape[1:], ridges[0], dtype=torch.double)
    strength[-CHANNELS:] = ridges[1]
    values, right = torch.from_numpy(rows).double(), torch.from_numpy(truth).double()
    middle, spread = values.mean(0), values.std(0) + 1e-6
    share = right.mean()
    weight = torch.where(right > 0, 0.5 / share, 0.5 / (1 - share))
    found = torch.zeros(rows.shape[1] + 1, dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([found], max_iter=200)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = (values - middle) / spread @ found[:-1] + found[-1]
        total = F.binary_cross_entropy_with_logits(logits, right, weight)
        total = total + (strength * found[:-1].square()).sum()
        total.backward()
        return total

    optimiser.step(loss)
    weights = found.detach()[:-1] / spread
    return weights.numpy(), float(found.detach()[-1] - weights @ middle)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("shared", "backgrounds", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--pictures", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    sources = read_sources(args.shared, args.backgrounds)
    rows, truth = examples(sources, args.pictures, args.seed)
    weights, bias = fit(rows, truth, RIDGES)
    facts = rows.shape[1] - CHANNELS
    made = {
        "pictures": args.pictures,
        "seed": args.seed,
        "boxes": len(rows),
        "right": int(truth.sum()),
    }
    save_file(
        {
            "facts": weights[:facts].astype(np.float32),
            "cells": weights[facts:].astype(np.float32),
            "bias": np.array([bias], np.float32),
        },
        args.out,
        {"made": json.dumps(made)},
    )


if __name__ == "__main__":
    main()
