"""The data sets of a recipe as loaders for Lightning."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import cv2
import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader

from poseact._utils.errors import PoseActError
from poseact.data.dataset import (
    PoseBatch,
    PoseRows,
    Source,
    UnitSource,
    VideoSource,
    clips,
    collate,
    stills,
)
from poseact.data.mix import MixedBatches, MixedSource
from poseact.data.sample import PoseSample
from poseact.data.sources import SourceSpec
from poseact.data.unreadable import UnreadableTally, existing
from poseact.data.video import LabelledVideo, action_numbers
from poseact.recipe import Recipe


class ValidationVideos(NamedTuple):
    """A validation set of videos with actions."""

    name: str
    spec: SourceSpec
    videos: list[LabelledVideo]


class ValidationSet(NamedTuple):
    """A validation set of people."""

    name: str
    spec: SourceSpec
    samples: list[PoseSample]


class PoseData(L.LightningDataModule):
    """Mixed batches of a recipe's training sets, from the current step of the trainer on.

    Args:
        recipe: Names the data sets.
        workers: Number of loader processes; 0 to load in the training process.

    Attributes:
        tally: Counts pictures that could not be read.
    """

    def __init__(self, recipe: Recipe, workers: int = 1) -> None:
        super().__init__()
        self.recipe = recipe
        self.workers = workers
        self.sources: list[Source] = []
        self.validation: list[ValidationSet | ValidationVideos] = []
        self.tally = UnreadableTally({})

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Read the labels.

        Raises:
            PoseActError: A data set is missing or wrong, or too many of its pictures are missing.
        """
        if self.sources:
            return
        skeleton = self.recipe.skeleton
        read = {
            name: spec.read(skeleton)
            for name, spec in self.recipe.train.items()
            if not spec.reads_videos
        }
        pictures = {name: {str(s.image) for s in samples} for name, samples in read.items()}
        videos = {
            name: self._videos(name)
            for name, spec in self.recipe.train.items()
            if spec.reads_videos
        }
        self.tally = UnreadableTally(
            {name: len(found) for name, found in pictures.items()}
            | {name: len(source) for name, source in videos.items()}
        )
        for name, spec in self.recipe.train.items():
            if name in videos:
                self.sources.append(videos[name])
                continue
            samples = existing(name, read[name], self.tally)
            units = clips(samples, self.recipe.clip_length) if spec.clips else stills(samples)
            self.sources.append(UnitSource(name, units))
        self.validation = [
            ValidationVideos(name, spec, spec.read_videos(skeleton))
            if spec.reads_videos
            else ValidationSet(name, spec, spec.read(skeleton))
            for name, spec in self.recipe.validation.items()
        ]

    def _videos(self, name: str) -> VideoSource:
        recipe, spec = self.recipe, self.recipe.train[name]
        videos = spec.read_videos(recipe.skeleton)
        actions = None
        if "action" in recipe.learn:
            actions = action_numbers(videos, recipe.network.config.labels)
        return VideoSource(name, videos, recipe.clip_length, spec.strides, actions)

    def contents(self) -> Iterator[str | np.ndarray]:
        """The training data as read, for the digest of a run."""
        for source in self.sources:
            yield source.name
            if isinstance(source, VideoSource):
                yield from (f"{len(video)} {video.action} {video.name}" for video in source.videos)
                continue
            for unit in source.units:
                for sample in unit:
                    yield sample.name
                    yield sample.joints
                    yield sample.valid

    def batches(self, first_step: int, rank: int = 0, world_size: int = 1) -> MixedBatches:
        """The batches of one process, from a step on."""
        recipe = self.recipe
        return MixedBatches(
            sources=tuple(
                MixedSource(len(source), recipe.clip_length // source.unit_length)
                for source in self.sources
            ),
            # All batches of one step belong to one turn.
            turns=tuple(
                tuple(rows.get(source.name, 0) for source in self.sources)
                for rows in recipe.rows
                for _ in range(recipe.accumulate)
            ),
            seed=recipe.seed,
            size_at=lambda batch: recipe.size_at(batch // recipe.accumulate),
            first_batch=first_step * recipe.accumulate,
            rank=rank,
            world_size=world_size,
        )

    def loader(self, batches: MixedBatches) -> DataLoader[Any]:
        return SteadyLoader(
            PoseRows(self.sources, self.recipe.augment, self.recipe.seed),
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=self.workers,
            worker_init_fn=quiet_worker,
            prefetch_factor=4 if self.workers else None,
            # torch ends persistent workers at exit too, others only when they are collected.
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader[Any]:
        """Endless batches, from the step on at which the run is resumed."""
        trainer = self.trainer
        if trainer is None:
            raise PoseActError("The loader belongs to a trainer; ask for batches() without one.")
        return self.loader(
            self.batches(trainer.global_step, trainer.global_rank, trainer.world_size)
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation sets, each as one item."""
        return DataLoader(self.validation, batch_size=None)  # pyright: ignore[reportArgumentType]

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> PoseBatch | ValidationSet | ValidationVideos:
        """Move training batches; validation sets hold no tensors."""
        if isinstance(batch, ValidationSet | ValidationVideos):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


class SteadyLoader(DataLoader[Any]):
    """A loader that reports a dead worker between steps, when its batch is due."""

    def __iter__(self) -> Any:
        # Torch would raise from the signal handler, in the middle of a step. It also notices a dead
        # worker while it waits for a batch.
        number = getattr(signal, "SIGCHLD", None)  # Windows has none
        former = None if number is None else signal.getsignal(number)
        batches = super().__iter__()
        if number is not None and threading.current_thread() is threading.main_thread():
            signal.signal(number, former or signal.SIG_DFL)
        try:
            yield from batches
        except (ConnectionError, EOFError) as error:
            # The worker died while it handed over the memory of a batch.
            raise RuntimeError(f"A DataLoader worker is gone: {error}") from error


def quiet_worker(_: int) -> None:
    """Make a worker ignore stop signals and use one thread.

    A terminal or a cluster signals all processes of a job, but the main process still needs
    batches to finish its step. A second SIGTERM ends the worker.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _spare_once)
    cv2.setNumThreads(0)


def _spare_once(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
