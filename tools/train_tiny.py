"""Train the `tiny` pose network on LSP extended and the exercise photos.

    python tools/train_tiny.py --out runs/tiny --minutes 80

Interrupt it at any time; the same command with --resume goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import csv
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from score_pose import (
    PROTOCOL,
    VALIDATION_IMAGES,
    evaluation_crops,
    predict,
    score,
    validation_block,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from poseact.augment import AugmentRanges, augmented_crop
from poseact.crop import to_frames
from poseact.data.blazepose import read_blazepose
from poseact.data.lsp import read_lsp_extended
from poseact.data.sample import PoseSample
from poseact.files import replacing
from poseact.losses import PoseCriterion, PoseTargets
from poseact.media import read_image
from poseact.models.presets import create_model
from poseact.skeleton import PA16

WEIGHT_DECAY = 0.02
WARM_UP_STEPS = 300
MAX_GRADIENT_NORM = 1.0
EMA_DECAY = 0.999
LOG_EVERY = 50
CHECKPOINT_SECONDS = 180

log = logging.getLogger("train")


# --- data -----------------------------------------------------------------------------------------


def exercise_of(sample: PoseSample) -> str:
    """The exercise that a photo shows: `Squat_0.jpg` and `Squat_1.jpg` are one."""
    return sample.name.rsplit("_", 1)[0]


def split_exercises(samples: list[PoseSample]) -> tuple[list[PoseSample], list[PoseSample]]:
    """Training and held-out photos; the last 10 % of the exercise names are held out."""
    names = sorted({exercise_of(sample) for sample in samples})
    held_out = set(names[len(names) * 9 // 10 :])
    return (
        [sample for sample in samples if exercise_of(sample) not in held_out],
        [sample for sample in samples if exercise_of(sample) in held_out],
    )


class AugmentedCrops(Dataset):
    """Random crops of images held in memory.

    An item is asked for by (epoch, index), which alone decides its randomness: a resumed run sees
    what an uninterrupted one would.
    """

    def __init__(self, samples: list[PoseSample], size: int, seed: int) -> None:
        self.samples = samples
        self.images = [read_image(sample.image) for sample in samples]
        self.size = size
        self.seed = seed
        self.ranges = AugmentRanges()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Any, ...]:
        epoch, index = key
        crop = augmented_crop(
            self.images[index],
            self.samples[index],
            PA16,
            self.size,
            ranges=self.ranges,
            rng=np.random.default_rng((self.seed, epoch, index)),
        )
        return crop.image, crop.joints, crop.valid, crop.known, crop.depth_valid, index


class EndlessBatches:
    """Batches of (epoch, index) for `AugmentedCrops`, shuffled anew each epoch, from any step."""

    def __init__(self, count: int, batch: int, seed: int, first_step: int) -> None:
        self.count, self.batch, self.seed, self.first_step = count, batch, seed, first_step

    @property
    def per_epoch(self) -> int:
        """Whole batches in an epoch; the rest of each shuffle is dropped."""
        return self.count // self.batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skip = divmod(self.first_step, self.per_epoch)
        while True:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.count).tolist()
            for number in range(skip, self.per_epoch):
                chosen = order[number * self.batch : (number + 1) * self.batch]
                yield [(epoch, index) for index in chosen]
            epoch, skip = epoch + 1, 0


def quiet_worker(_: int) -> None:
    """Leave Ctrl-C to the main process, and the cores to the network."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)


def to_targets(joints: Tensor, valid: Tensor, known: Tensor, depth_valid: Tensor) -> PoseTargets:
    """Stills to clips of one frame."""
    return PoseTargets(*(t.unsqueeze(1) for t in (joints, valid, known, depth_valid)))


# --- optimisation ---------------------------------------------------------------------------------


def make_optimizer(network: nn.Module) -> torch.optim.AdamW:
    """AdamW that decays convolution kernels but neither normalisations nor biases."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": kernels, "weight_decay": WEIGHT_DECAY},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def learning_rate(peak: float, step: int, progress: float) -> float:
    """Linear warm-up by steps, then cosine over the share of the budget that is spent."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return peak * min((step + 1) / WARM_UP_STEPS, 1.0) * (0.01 + 0.99 * cosine)


@torch.no_grad()
def update_ema(ema: nn.Module, network: nn.Module, step: int) -> None:
    """Move the average towards the weights; faster at first, for then they are still random."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    for average, value in zip(
        ema.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if average.is_floating_point():
            average.lerp_(value, 1 - decay)
        else:
            average.copy_(value)


# --- records --------------------------------------------------------------------------------------


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that an interruption leaves the old one whole."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


class Record:
    """The run's CSV, one row per log line or evaluation, and its picture."""

    COLUMNS = (
        *("step", "epoch", "minutes", "lr", "loss", "joints", "depth", "confidence", "heatmap"),
        *("images_per_s", "wait_share", "pck", "exercise_pck", "exercise_depth_mm"),
    )

    def __init__(self, folder: Path, resume: bool) -> None:
        self.csv = folder / "log.csv"
        self.png = folder / "curve.png"
        if not (resume and self.csv.exists()):
            self.csv.write_text(",".join(self.COLUMNS) + "\n")

    def add(self, row: dict[str, float]) -> None:
        """Append a row to the CSV and to the log."""
        with self.csv.open("a", newline="") as file:
            csv.DictWriter(file, self.COLUMNS).writerow(row)
        log.info("  ".join(f"{name} {value:.5g}" for name, value in row.items()))

    def draw(self) -> None:
        """Draw loss and score over time."""
        with self.csv.open() as file:
            rows = list(csv.DictReader(file))
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
        for name in ("loss", "joints", "depth"):
            points = [(float(r["minutes"]), float(r[name])) for r in rows if r[name]]
            left.plot(*zip(*points, strict=True), label=name, linewidth=1)
        left.set(xlabel="minutes", ylabel="training loss", yscale="log")
        left.legend()
        for name, label in (("pck", "LSP extended"), ("exercise_pck", "held-out exercises")):
            points = [(float(r["minutes"]), 100 * float(r[name])) for r in rows if r[name]]
            if points:
                right.plot(*zip(*points, strict=True), marker=".", label=label)
        right.set(xlabel="minutes", ylabel="PCK@0.2 of the torso, %", title="validation, EMA")
        right.legend()
        right.grid(alpha=0.3)
        figure.savefig(self.png, dpi=120)
        plt.close(figure)


class StopSignal:
    """Becomes true on SIGINT or SIGTERM, so that the loop ends between two steps."""

    def __init__(self) -> None:
        self.received = False
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, _: object) -> None:
        log.info("%s: stopping after this step.", signal.Signals(number).name)
        self.received = True

    def __bool__(self) -> bool:
        return self.received


# --- the run --------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("POSEACT_SHARED", "../shared"))
    )
    parser.add_argument("--out", type=Path, default=Path("runs/tiny"))
    parser.add_argument("--minutes", type=float, help="budget of training time; or give --epochs")
    parser.add_argument("--epochs", type=float, default=50, help="budget without --minutes")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--heatmap", type=float, default=0.5, help="weight of the heat-map loss")
    parser.add_argument("--eval-every", type=int, default=1000, help="steps between evaluations")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from --out/last.pt")
    return parser.parse_args()


def main() -> None:  # noqa: PLR0915 - a training loop reads best in one piece
    args = parse_arguments()
    mpl.use("Agg")
    args.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    network = create_model("tiny").to(memory_format=torch.channels_last)
    config = network.config
    ema = copy.deepcopy(network).eval()
    optimizer = make_optimizer(network)
    criterion = PoseCriterion({"heatmap": args.heatmap})

    step, spent = 0, 0.0
    checkpoint = args.out / "last.pt"
    if args.resume:
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["model"])
        ema.load_state_dict(state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        step, spent = state["step"], state["spent"]
        log.info("Resuming at step %d after %.1f minutes.", step, spent / 60)

    lsp = read_lsp_extended(args.shared / "data/lspet")
    exercises, exercises_held_out = split_exercises(
        read_blazepose(args.shared / "data/exercise_photos")
    )
    data = AugmentedCrops(lsp[:-VALIDATION_IMAGES] + exercises, config.image_size, args.seed)
    validation = validation_block(lsp)
    validation_crops = evaluation_crops(validation, config.image_size)
    held_out_crops = evaluation_crops(exercises_held_out, config.image_size)
    batches = EndlessBatches(len(data), args.batch, args.seed, first_step=step)
    loader = DataLoader(
        data,
        batch_sampler=batches,
        num_workers=args.workers,
        worker_init_fn=quiet_worker,
        prefetch_factor=4 if args.workers else None,
    )
    log.info(
        "%d training images (%d LSP extended), %d and %d for validation, %.2f M weights. %s",
        *(len(data), len(data) - len(exercises), len(validation), len(exercises_held_out)),
        *(sum(p.numel() for p in network.parameters()) / 1e6, PROTOCOL),
    )
    record = Record(args.out, args.resume)

    def evaluate() -> None:
        """Score the EMA weights: PCK on both validation sets, depth error on the exercises."""
        result = score(predict(ema, validation_crops), validation)
        held_out = predict(ema, held_out_crops)
        labelled = np.stack([sample.depth_valid for sample in exercises_held_out])
        depth = np.stack([sample.joints[:, 2] for sample in exercises_held_out])
        record.add(
            {
                "step": step,
                "minutes": spent / 60,
                "pck": result.mean,
                "exercise_pck": score(held_out, exercises_held_out).mean,
                "exercise_depth_mm": float(np.abs(held_out.depth_mm - depth)[labelled].mean()),
            }
        )
        record.draw()

    def save_checkpoint() -> None:
        save(
            checkpoint,
            {
                "config": {**asdict(config), "skeleton": config.skeleton.name},
                "model": network.state_dict(),
                "ema": ema.state_dict(),
                "optimizer": optimizer.state_dict(),
                "rng": torch.get_rng_state(),
                "step": step,
                "spent": spent,
            },
        )

    stop = StopSignal()
    last_save, last_log, logged = spent, spent, step
    waited, sums = 0.0, torch.zeros(1 + len(criterion.weights))
    network.train()
    feed = iter(loader)
    clock = time.perf_counter()
    while not stop:
        progress = (
            spent / (60 * args.minutes)
            if args.minutes
            else (step / (args.epochs * batches.per_epoch))
        )
        if progress >= 1:
            break
        before = time.perf_counter()
        images, *labels, indices = next(feed)
        waited += time.perf_counter() - before

        rate = learning_rate(args.lr, step, progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        terms = criterion(network(to_frames(images)), to_targets(*labels))
        loss = criterion.total(terms)
        if not loss.isfinite():
            names = ", ".join(data.samples[index].name for index in indices.tolist())
            log.error("The loss is %s at step %d, in the batch of %s.", loss.item(), step, names)
            sys.exit(1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        update_ema(ema, network, step)
        sums += torch.stack([loss, *terms.values()]).detach()
        step += 1

        now = time.perf_counter()
        spent, clock = spent + now - clock, now
        if step % LOG_EVERY == 0:
            means = dict(zip(("loss", *terms), (sums / (step - logged)).tolist(), strict=True))
            row = {"step": step, "epoch": step / batches.per_epoch, "minutes": spent / 60}
            pace = (step - logged) * args.batch / (spent - last_log)
            wait = waited / (spent - last_log)
            record.add({**row, "lr": rate, **means, "images_per_s": pace, "wait_share": wait})
            waited, last_log, logged = 0.0, spent, step
            sums.zero_()
        if step % args.eval_every == 0:
            evaluate()
            now = time.perf_counter()
            spent, clock = spent + now - clock, now
            last_log = spent  # the pace is that of training alone
        if spent - last_save >= CHECKPOINT_SECONDS:
            save_checkpoint()
            last_save = spent

    save_checkpoint()
    if stop:
        log.info("Stopped at step %d; go on with --resume.", step)
    else:
        evaluate()
        log.info("Done: %s.", checkpoint)


if __name__ == "__main__":
    main()
