"""End-to-end training of pose and action from the pixels of the user's clips."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch import Tensor, nn

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import window_fps
from poseact.data.dataset import PoseBatch
from poseact.data.pixel_windows import PixelBatch, PixelWindows, VideoClip, collate_windows
from poseact.evaluation.pose_evaluation import describe_source, evaluate
from poseact.layers.time_folding import fold_time
from poseact.losses import ActionCriterion, PoseCriterion, PoseTargets
from poseact.media.crop import to_frames
from poseact.models.multitask import MultitaskNetwork
from poseact.models.outputs import Prediction
from poseact.recipe import Recipe
from poseact.training.engine import TrainingModule, on_device_of, run_steps
from poseact.training.loaders import (
    PoseData,
    SteadyLoader,
    ValidationSet,
    ValidationVideos,
    quiet_worker,
)
from poseact.training.state import RunState, digest_of, weights_of

STATE_NAME = "finetune.ckpt"
"""File of a run's state within its folder."""

OnStep = Callable[[int, int, float], None]
"""Called with the steps done, their total, and the loss."""


@dataclass(frozen=True)
class FinetunePlan:
    """Settings of end-to-end training.

    Attributes:
        steps: Steps of the optimiser.
        clips: Clips per step.
        lr: Highest learning rate of stem and pose model.
        head_lr: Highest learning rate of the action model.
        pose_weight: Weight of the pose losses relative to the action loss.
        max_pck_drop: Largest accepted drop of PCK on any pose validation set.
        seed: Random seed of the choice of windows.
        save_every: Steps between two checkpoints.
    """

    steps: int = 300
    clips: int = 2
    lr: float = 3e-5
    head_lr: float = 5e-4
    pose_weight: float = 1.0
    max_pck_drop: float = 0.01
    seed: int = 0
    save_every: int = 50


@dataclass
class FinetuneReport:
    """Result of end-to-end training.

    Attributes:
        network: The trained network, or the given one if ``kept`` is false.
        kept: Whether PCK dropped no more than accepted.
        finished: Whether all steps were done.
        before: PCK by validation set before training.
        after: PCK by validation set after training; empty if the run was stopped.
    """

    network: MultitaskNetwork
    kept: bool
    finished: bool
    before: dict[str, float] = field(default_factory=dict[str, float])
    after: dict[str, float] = field(default_factory=dict[str, float])

    def describe(self) -> str:
        """One sentence about the pose scores before and after."""
        pairs = [
            f"{name} {100 * self.before[name]:.1f} % -> {100 * value:.1f} %"
            for name, value in self.after.items()
        ]
        end = "kept" if self.kept else "not kept, because PCK dropped too much"
        return f"PCK on the pose validation data: {', '.join(pairs)}; the training is {end}."


def finetune(
    network: MultitaskNetwork,
    clips: Sequence[VideoClip],
    recipe: Recipe,
    out: Path,
    *,
    plan: FinetunePlan | None = None,
    workers: int = 1,
    on_step: OnStep | None = None,
    stop: object = None,
) -> FinetuneReport:
    """Train a whole network on clips, with pose and action losses (CVPR 2018, section 5.2).

    Every step uses windows of the clips and a batch of the pose recipe. The predicted poses of the
    clips are pose targets too. Normalisation statistics are frozen.

    If PCK then drops by more than ``plan.max_pck_drop`` on any validation set of the recipe, the
    given network is returned.

    Args:
        network: With trained heads.
        clips: Clips of the training part only.
        recipe: Pose data, of which the training and validation sets are used.
        out: Folder for the state of the run, from which the same call resumes it. The state of a
            run with other arguments is replaced.
        plan: Settings; None for the defaults.
        workers: Number of processes that prepare windows.
        on_step: Called after every step.
        stop: The run ends after the current step once this is true; None listens to SIGINT and
            SIGTERM here.

    Raises:
        PoseActError: The recipe is for other joints, or the state on disk cannot be read or
            written.
    """
    plan = plan or FinetunePlan()
    _require_same_joints(recipe, network)
    poses = PoseData(recipe, workers=0)
    poses.setup("fit")
    config = network.config
    settings = (plan, recipe.model_dump(mode="json"), config)
    data = (weights_of(network), _contents(clips), poses.contents())
    state = RunState(out / STATE_NAME, digest_of(settings, *data))
    begun = state.find()
    windows = PixelWindows(clips, config.frames, window_fps(network), config.image_size, plan.seed)
    module = EndToEndTraining(copy.deepcopy(network), recipe, plan)

    def tell(trainer: L.Trainer, *_: Any) -> None:
        loss = module.take_terms()["loss"]
        if on_step is not None:
            on_step(trainer.global_step, plan.steps, loss)

    trainer = run_steps(
        module,
        _batches(windows, poses, plan, begun["global_step"] if begun else 0, workers),
        plan.steps,
        state=state,
        resume=begun is not None,
        every=plan.save_every,
        stop=stop,
        callbacks=[LambdaCallback(on_train_batch_end=tell)],
        default_root_dir=out,
        gradient_clip_val=1.0,
        **on_device_of(network),
    )
    if trainer.global_step < plan.steps:
        return FinetuneReport(network, kept=False, finished=False)
    trained = module.network.to(next(network.parameters()).device).eval()
    before, after = (pose_scores(one, poses.validation) for one in (network, trained))
    kept = all(after[name] >= before[name] - plan.max_pck_drop for name in before)
    return FinetuneReport(trained if kept else network, kept, True, before, after)


def _require_same_joints(recipe: Recipe, network: MultitaskNetwork) -> None:
    if recipe.skeleton.joints != network.config.skeleton.joints:
        raise PoseActError(
            f"The pose recipe {recipe.name} is for the joints of {recipe.skeleton.name}, but the "
            f"network has those of {network.config.skeleton.name}; give a recipe for these."
        )


def pose_scores(
    network: MultitaskNetwork, sets: Sequence[ValidationSet | ValidationVideos]
) -> dict[str, float]:
    """PCK@0.2 of the torso by validation set; sets without a torso are left out.

    Raises:
        PoseActError: None has one.
    """
    scores = {
        people.name: evaluate(
            network,
            people.samples,
            network.config.image_size,
            data=describe_source(people.name, people.spec),
        ).metrics
        for people in sets
        if isinstance(people, ValidationSet)
    }
    found = {name: metrics["pck"].mean for name, metrics in scores.items() if "pck" in metrics}
    if not found:
        raise PoseActError(
            "The pose recipe has no validation data to measure PCK on; add a set with a torso."
        )
    return found


class EndToEndTraining(TrainingModule):
    """Training of a whole network with pose and action losses.

    Normalisation statistics are frozen.

    Args:
        network: Network with trained heads; it is changed.
        recipe: Settings of the pose losses.
        plan: Settings of the optimiser.
    """

    def __init__(self, network: MultitaskNetwork, recipe: Recipe, plan: FinetunePlan) -> None:
        super().__init__()
        self.network = network.requires_grad_(True)
        self.plan = plan
        self.action_criterion = ActionCriterion()
        self.pose_criterion = PoseCriterion(recipe.loss.weights, recipe.loss.sigma)
        # Lightning keeps the modes as they are.
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode; batch normalisation stays in eval mode."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def training_step(self, batch: tuple[PixelBatch, PoseBatch], _: int) -> Tensor:
        """Loss of a batch of clips and a batch of people.

        Raises:
            PoseActError: It is not finite.
        """
        film, people = batch
        prediction = self.look(film.images)
        actions = self.action_criterion.total(
            self.action_criterion(prediction.actions, film.labels)
        )
        poses = self.pose_loss(prediction, film.targets)
        poses = poses + self.pose_loss(self.look(people.images), people.targets)
        loss = actions + self.plan.pose_weight * poses
        if not loss.isfinite():
            raise PoseActError(
                f"The loss is {loss.item()} in end-to-end training; lower the learning rate."
            )
        return self.add_terms(loss, {})

    def pose_loss(self, prediction: Prediction, targets: PoseTargets) -> Tensor:
        """Weighted pose loss of a prediction."""
        return self.pose_criterion.total(self.pose_criterion(prediction, targets))

    def look(self, images: Tensor) -> Prediction:
        """Predict ``(B, T, S, S, 3)`` uint8 crops."""
        rows, frames = images.shape[:2]
        crops = to_frames(fold_time(images))
        return self.network(crops.squeeze(1).unflatten(0, (rows, frames)))

    def configure_optimizers(self) -> dict[str, Any]:
        """AdamW with a one-cycle schedule, and a separate learning rate for the heads."""
        network, plan = self.network, self.plan
        heads = list(network.action_model.parameters()) if network.action_model else []
        trunk = [*network.stem.parameters(), *network.pose_model.parameters()]
        optimiser = torch.optim.AdamW(
            [{"params": trunk, "lr": plan.lr}, {"params": heads, "lr": plan.head_lr}]
        )
        rates = [plan.lr, plan.head_lr]
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rates, total_steps=plan.steps, pct_start=0.1, cycle_momentum=False
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _batches(
    windows: PixelWindows, poses: PoseData, plan: FinetunePlan, first: int, workers: int
) -> Iterator[tuple[PixelBatch, PoseBatch]]:
    """Batches from step ``first`` on."""
    count = plan.clips
    films = SteadyLoader(
        windows,
        batch_sampler=[
            list(range(step * count, (step + 1) * count)) for step in range(first, plan.steps)
        ],
        collate_fn=collate_windows,
        num_workers=workers,
        worker_init_fn=quiet_worker,
        persistent_workers=workers > 0,
    )
    return zip(films, poses.loader(poses.batches(first)), strict=False)


def _contents(clips: Sequence[VideoClip]) -> Iterator[str | np.ndarray]:
    """The clips, for the digest of a run."""
    for clip in clips:
        yield f"{clip.label} {clip.sequence.name}"
        yield clip.sequence.times
        yield clip.sequence.joints
        yield clip.sequence.confidence
