"""Train on packed people for a quarter of an hour of a GPU.

    python tools/pack_crops.py recipes/small-open.yaml packs/small-open
    PYTHONPATH=src python tools/gpu_train.py packs/small-open runs/small-open --minutes 12

The second command needs a checkout, torch, Pillow, NumPy and safetensors. It decodes all pictures
once into the device's memory and augments them there. The learning rate follows the share of the
time that has passed, reading and compiling included. The folder of results holds
``NAME.safetensors``, the averaged weights as float16, ``log.csv`` and ``last.ckpt``. They are
renewed every few minutes, at the end, and at SIGTERM or Ctrl-C; the same command with ``--resume``
then trains for the rest of the time.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import math
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from gpu_augment import People, augmented, draw
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest
from poseact.data.mix import rows_of
from poseact.losses import PoseCriterion, PoseTargets, calibrated_skeleton
from poseact.models.base import Network
from poseact.training.optimisation import average_into, freeze_stages, make_optimiser, rate_factor
from poseact.training.run_table import RunTable
from poseact.training.state import read_state
from poseact.weights import checkpoint


@dataclass(frozen=True)
class Limits:
    """When a training ends and what is the same for all its steps.

    Attributes:
        minutes: Of the whole training, those before it was resumed included.
        steps: At most; None for what the minutes allow.
        batch: People in a batch.
        rate: Factor on the recipe's learning rates.
        log_every: Steps between two rows of the log.
    """

    minutes: float = 12.0
    steps: int | None = None
    batch: int = 512
    rate: float = 1.0
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("minutes", "steps", "batch", "rate", "log_every"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise PoseActError(f"{name}={value} was given; give a number above 0.")

    def share(self, step: int, seconds: float) -> float:
        """The share of the training that is done."""
        by_steps = step / self.steps if self.steps else 0.0
        return max(by_steps, seconds / (60 * self.minutes))


def read_pack(folder: Path) -> dict[str, Any]:
    """``pack.json``: the recipe, the files, and how the crops were cut.

    Raises:
        PoseActError: It is missing or damaged.
    """
    with one_sentence(f"{folder} holds no packs ({{error}}); write them with tools/pack_crops.py."):
        return json.loads((folder / "pack.json").read_text("utf-8"))


def read_people(path: Path, side: int) -> People:
    """The people of one file, their pictures enlarged to one side in px.

    Raises:
        PoseActError: The file is missing, cut off or no pack.
    """
    with (
        one_sentence(f"{path} cannot be read as packed people ({{error}}); pack them again."),
        safe_open(path, "pt") as file,
    ):
        labels = [file.get_tensor(name) for name in People._fields[1:]]
        content = file.get_tensor("pictures").numpy()
        places = list(pairwise([0, *file.get_tensor("ends").tolist()]))
        pictures = torch.empty(len(places), side, side, 3, dtype=torch.uint8)

        def decode(number: int) -> None:
            start, end = places[number]
            with Image.open(io.BytesIO(content[start:end].tobytes())) as image:
                resized = image.resize((side, side), Image.Resampling.BILINEAR)
            pictures[number] = torch.from_numpy(np.array(resized))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(decode, range(len(places))))
    return People(pictures.permute(0, 3, 1, 2), *labels)


class Batches:
    """Random batches of a recipe's data sets, mixed by their ratios; the step alone decides them.

    Args:
        folder: Of the packs.
        pack: Its ``pack.json``.
        batch: People in a batch.
        network: Says the size of its crops and its joints.
        device: Where the pictures lie and are augmented.

    Raises:
        PoseActError: A file cannot be read, or the batch is too small for a data set.
    """

    def __init__(
        self,
        folder: Path,
        pack: Mapping[str, Any],
        batch: int,
        network: Network,
        device: torch.device,
    ) -> None:
        recipe = pack["recipe"]
        self.size = network.config.image_size
        self.mirror = list(network.config.skeleton.flip_indices)
        self.room, self.seed = pack["room"], recipe["seed"]
        self.ranges = SimpleNamespace(**recipe["augment"])
        ratios = {name: spec["ratio"] for name, spec in recipe["data"]["train"].items()}
        self.rows = rows_of(ratios, batch)
        self.sources: dict[str, People] = {}
        for name, files in pack["files"].items():
            parts = [read_people(folder / file, pack["side"]) for file in files]
            self.sources[name] = People(
                *(torch.cat(part).to(device) for part in zip(*parts, strict=True))
            )
            logging.info("%s: %d people", name, len(self.sources[name].joints))

    def __getitem__(self, step: int) -> tuple[Tensor, PoseTargets]:
        """``(B, 1, 3, S, S)`` crops in [-1, 1] and what they show."""
        rng = np.random.default_rng((self.seed, step))
        chosen = []
        for name, rows in self.rows.items():
            people = self.sources[name]
            numbers = torch.from_numpy(rng.integers(0, len(people.joints), rows))
            chosen.append([part[numbers.to(part.device)] for part in people])
        people = People(*(torch.cat(part) for part in zip(*chosen, strict=True)))
        draws = draw(self.ranges, len(people.joints), self.room, rng)
        return augmented(people, draws, self.size, self.mirror)


class Training:
    """A network on its way, with its average, its optimiser and its folder.

    Args:
        network: With the weights to begin with.
        recipe: Of the pack.
        limits: See there.
        out: Folder of the results.
        device: Where to train.

    Attributes:
        step: Steps done.
        seconds: Spent before this process.
    """

    def __init__(
        self,
        network: Network,
        recipe: Mapping[str, Any],
        limits: Limits,
        out: Path,
        device: torch.device,
    ) -> None:
        self.recipe, self.limits, self.out, self.device = recipe, limits, out, device
        self.network = network.to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
        self.average = deepcopy(self.network)
        self.spec = SimpleNamespace(**recipe["optimiser"])
        self.schedule = SimpleNamespace(**recipe["schedule"])
        freeze_stages(self.network, self.spec.frozen_stages)
        self.optimiser = make_optimiser(self.network, self.spec)
        self.rates = [limits.rate * group["lr"] for group in self.optimiser.param_groups]
        loss = recipe["loss"]
        self.criterion = PoseCriterion(loss["weights"], loss["sigma"], calibrated_skeleton(network))
        self.table = RunTable(out / "log.csv")
        self.step, self.seconds = 0, 0.0
        self.terms: dict[str, Tensor] = {}

    def learn(self, images: Tensor, targets: PoseTargets, share: float) -> None:
        """One step.

        Raises:
            PoseActError: The network's prediction is not finite.
        """
        expected = self.step / share if self.step else 1  # steps in all, at the speed so far
        factor = rate_factor(self.step, expected, self.schedule)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = factor * rate
        with torch.autocast(self.device.type, torch.bfloat16):
            prediction = self.network(images)
        # Before the loss: a cross-entropy of what is no number ends the process on a GPU.
        if not all(pose.confidence.isfinite().all() for pose in prediction.poses):
            raise PoseActError(
                f"The prediction at step {self.step} is not finite; resume with a lower --rate."
            )
        terms = self.criterion(prediction.in_full_precision(), targets)
        loss = self.criterion.total(terms)
        self.optimiser.zero_grad()
        loss.backward()
        if self.spec.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.clip_norm)
        self.optimiser.step()
        self.move_average()
        self.step += 1
        for name, value in {"loss": loss, **terms}.items():
            self.terms[name] = self.terms.get(name, 0) + value.detach()

    @torch.no_grad()
    def move_average(self) -> None:
        """Let the average follow the weights."""
        pairs = zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        for average, value in pairs:
            average_into(self.spec.ema or 0.0, [average], [value], self.step)

    def log(self, seconds: float, images_per_second: float) -> None:
        """Write a row with the means of the loss terms since the last one."""
        means = {name: float(v) / self.limits.log_every for name, v in self.terms.items()}
        self.terms = {}
        row = {
            "step": self.step,
            "minutes": seconds / 60,
            "lr": self.optimiser.param_groups[0]["lr"],
            **means,
            "images_per_second": images_per_second,
        }
        self.table.add(row)
        logging.info("  ".join(f"{name} {value:.5g}" for name, value in row.items()))

    def save(self, seconds: float) -> None:
        """Write the state and the averaged weights.

        Raises:
            PoseActError: They cannot be written.
        """
        state = {
            "recipe": self.recipe,
            "step": self.step,
            "seconds": seconds,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        atomic_write(self.out / "last.ckpt", lambda path: torch.save(state, path))
        provenance = {
            "weights": f"tools/gpu_train.py, recipe {self.recipe['name']}, {self.step} steps of "
            f"{self.limits.batch} people, {seconds / 60:.1f} minutes, moving average",
            "data": self.recipe["terms"],
            "recipe": self.recipe,
        }
        self.average.card = replace(self.average.card, provenance=provenance)
        checkpoint.save(self.average, self.out / f"{self.recipe['name']}.safetensors", half=True)

    def try_to_save(self, seconds: float) -> None:
        """Write them, or warn: the files before them are whole."""
        try:
            self.save(seconds)
        except PoseActError as error:
            logging.warning("%s The training goes on.", error)

    def resume(self) -> None:
        """Go on from the folder's state.

        Raises:
            PoseActError: There is none, or one of another recipe.
        """
        path = self.out / "last.ckpt"
        state = read_state(path, "recipe", "step", "seconds", "network", "average", "optimiser")
        if state is None or state["recipe"] != self.recipe:
            raise PoseActError(
                f"{path} is missing, damaged or of another recipe; leave --resume out to begin."
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.table.cut(self.step)


def gpu_train(
    packs: Path, out: Path, limits: Limits, *, device: str | None = None, resume: bool = False
) -> int:
    """Train on packs until the time or the steps are over, or a signal comes; gives the steps done.

    Raises:
        PoseActError: The packs or the state cannot be read, the folder holds a training and
            ``resume`` is not given, the prediction is not finite, or the results cannot be written.
    """
    begun = time.monotonic()
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if not resume and (out / "last.ckpt").exists():
        raise PoseActError(f"{out} already holds a training; give --resume, or another folder.")
    pack = read_pack(packs)
    network = checkpoint.load(packs / "start.safetensors")
    batches = Batches(packs, pack, limits.batch, network, place)
    training = Training(network, pack["recipe"], limits, out, place)
    if resume:
        training.resume()
    if place.type == "cuda":
        training.network.compile()

    def seconds() -> float:
        return training.seconds + time.monotonic() - begun

    saved = logged = seconds()
    with StopRequest() as stop:
        while not stop and (share := limits.share(training.step, seconds())) < 1:
            training.learn(*batches[training.step], share)
            if training.step % limits.log_every == 0:
                speed = limits.log_every * limits.batch / (seconds() - logged)
                training.log(seconds(), speed)
                logged = seconds()
            if seconds() - saved > 60 * pack["recipe"]["checkpoint_minutes"]:
                training.try_to_save(seconds())
                saved = seconds()
    training.save(seconds())
    return training.step


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("packs", type=Path, help="folder that tools/pack_crops.py wrote")
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=12.0, help="of the whole training")
    parser.add_argument("--steps", type=int, help="at most")
    parser.add_argument("--batch", type=int, default=512, help="people in a batch")
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--log-every", type=int, default=50, help="steps between rows of the log")
    parser.add_argument("--device", help="such as cpu (default: cuda where there is one)")
    parser.add_argument("--resume", action="store_true", help="go on with a training")
    given = parser.parse_args()
    try:
        limits = Limits(given.minutes, given.steps, given.batch, given.rate, given.log_every)
        gpu_train(given.packs, given.out, limits, device=given.device, resume=given.resume)
    except PoseActError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
