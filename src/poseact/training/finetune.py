"""Training pose and action together, end to end, from the pixels of one's own clips."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact._utils.interrupt import StopRequest
from poseact.actions.clip_inputs import window_fps
from poseact.data.dataset import PoseBatch
from poseact.data.filmed_clips import FilmBatch, FilmedClip, FilmWindows, collate_windows
from poseact.evaluation.pose_evaluation import describe_source, evaluate
from poseact.layers.time_folding import fold_time
from poseact.losses import ActionCriterion, PoseCriterion, PoseTargets
from poseact.media.crop import to_frames
from poseact.models.multitask import MultitaskNetwork
from poseact.models.outputs import Prediction
from poseact.recipe import Recipe
from poseact.training.loaders import PoseData, ValidationSet, ValidationVideos, quiet_worker
from poseact.training.state import read_state

_log = logging.getLogger(__name__)

OnStep = Callable[[int, int, float], None]
"""Told the steps done, those in all, and the loss."""


@dataclass(frozen=True)
class FinetunePlan:
    """How to train end to end.

    Attributes:
        steps: Steps of the optimiser.
        clips: Clips per step.
        lr: Highest learning rate of stem and pose model.
        head_lr: Highest learning rate of the action model.
        pose_weight: Factor of the pose losses beside the action loss.
        may_lose: PCK that the pose may lose on any validation set.
        seed: Of the choice of windows.
        save_every: Steps between two states on disk.
    """

    steps: int = 300
    clips: int = 2
    lr: float = 3e-5
    head_lr: float = 5e-4
    pose_weight: float = 1.0
    may_lose: float = 0.01
    seed: int = 0
    save_every: int = 50


@dataclass
class FinetuneReport:
    """What came of it.

    Attributes:
        network: The trained network; the one that was given where ``kept`` is false.
        kept: Whether the pose lost no more than allowed.
        finished: Whether all steps were made.
        before: PCK by validation set before the training.
        after: The same after it; empty where the run was stopped.
    """

    network: MultitaskNetwork
    kept: bool
    finished: bool
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)

    def describe(self) -> str:
        """One sentence on the pose before and after."""
        pairs = [
            f"{name} {100 * self.before[name]:.1f} % -> {100 * value:.1f} %"
            for name, value in self.after.items()
        ]
        end = "kept" if self.kept else "not kept, for the pose lost too much"
        return f"PCK on the pose validation data: {', '.join(pairs)}; the training is {end}."


def finetune(
    network: MultitaskNetwork,
    clips: Sequence[FilmedClip],
    recipe: Recipe,
    out: Path,
    *,
    plan: FinetunePlan | None = None,
    workers: int = 1,
    on_step: OnStep | None = None,
) -> FinetuneReport:
    """Train a whole network with actions on clips, the pose loss kept on (CVPR 2018, section 5.2).

    Every step reads windows of the clips and a batch of the pose recipe. The poses of the clips'
    own frames, as they were read before, are targets too. Normalisation statistics stay as they
    are. If the pose then loses more than ``plan.may_lose`` of PCK on any validation set of the
    recipe, the network is given back as it was.

    Args:
        network: With trained heads.
        clips: Of the training part only.
        recipe: Pose data to keep the pose by; its training and validation sets are used.
        out: Folder of the state, from which the same call goes on after an interruption.
        plan: How.
        workers: Processes that prepare windows.
        on_step: Called after every step.

    Raises:
        PoseActError: The recipe is for other joints, or the state on disk is of another plan.
    """
    plan = plan or FinetunePlan()
    if recipe.skeleton.joints != network.config.skeleton.joints:
        raise PoseActError(
            f"The pose recipe {recipe.name} is for the joints of {recipe.skeleton.name}, but the "
            f"network has those of {network.config.skeleton.name}; give a recipe for these."
        )
    poses = PoseData(recipe, workers=0)
    poses.setup("fit")
    run = _Finetuning(
        copy.deepcopy(network), clips, poses, plan, out / "finetune.ckpt", workers, on_step
    )
    finished = run.train()
    if not finished:
        return FinetuneReport(network, kept=False, finished=False)
    before = pose_scores(network, poses.validation)
    after = pose_scores(run.network, poses.validation)
    kept = all(after[name] >= before[name] - plan.may_lose for name in before)
    return FinetuneReport(run.network if kept else network, kept, True, before, after)


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
            "The pose recipe has no validation data by which a loss of PCK could be seen; "
            "add some to it."
        )
    return found


class _Finetuning:
    def __init__(
        self,
        network: MultitaskNetwork,
        clips: Sequence[FilmedClip],
        poses: PoseData,
        plan: FinetunePlan,
        state: Path,
        workers: int,
        on_step: OnStep | None,
    ) -> None:
        self.network = network.train().requires_grad_(True)
        self.plan, self.poses, self.workers, self.on_step = plan, poses, workers, on_step
        self.state = state
        self.device = next(network.parameters()).device
        config = network.config
        self.windows = FilmWindows(
            clips, config.frames, window_fps(network), config.image_size, plan.seed
        )
        self.action_criterion = ActionCriterion()
        loss = poses.recipe.loss
        self.pose_criterion = PoseCriterion(loss.weights, loss.sigma)
        heads = list(network.action_model.parameters()) if network.action_model else []
        trunk = [*network.stem.parameters(), *network.pose_model.parameters()]
        self.optimiser = torch.optim.AdamW(
            [{"params": trunk, "lr": plan.lr}, {"params": heads, "lr": plan.head_lr}]
        )
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rates, total_steps=plan.steps, pct_start=0.1, cycle_momentum=False
        )

    def train(self) -> bool:
        """Make the steps that are left; whether all were made."""
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        step = self.restore()
        with StopRequest() as stop:
            for film, people in self.batches(step):
                loss = self.step(film, people)
                step += 1
                if self.on_step is not None:
                    self.on_step(step, self.plan.steps, loss)
                if stop or step % self.plan.save_every == 0 or step == self.plan.steps:
                    self.save(step)
                if stop:
                    break
        self.network.eval()
        return step == self.plan.steps

    def batches(self, first: int) -> Iterator[tuple[FilmBatch, PoseBatch]]:
        """Those of the steps from ``first`` on."""
        count = self.plan.clips
        numbers = [
            list(range(step * count, (step + 1) * count)) for step in range(first, self.plan.steps)
        ]
        films = DataLoader(
            self.windows,
            batch_sampler=numbers,
            collate_fn=collate_windows,
            num_workers=self.workers,
            worker_init_fn=quiet_worker,
            persistent_workers=self.workers > 0,
        )
        yield from zip(films, self.poses.loader(self.poses.batches(first)), strict=False)

    def step(self, film: FilmBatch, people: PoseBatch) -> float:
        """One step; returns the loss."""
        prediction = self.look(film.images)
        actions = self.action_criterion(prediction.actions, film.labels.to(self.device))
        poses = self.pose_loss(prediction, film.targets)
        poses = poses + self.pose_loss(self.look(people.images), people.targets)
        loss = self.action_criterion.total(actions) + self.plan.pose_weight * poses
        if not loss.isfinite():
            raise PoseActError(
                f"The loss is {loss.item()} in the training end to end; lower the learning rate."
            )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        return loss.item()

    def pose_loss(self, prediction: Prediction, targets: PoseTargets) -> Tensor:
        """Weighted pose loss of a prediction."""
        return self.pose_criterion.total(self.pose_criterion(prediction, targets.to(self.device)))

    def look(self, images: Tensor) -> Prediction:
        """Predict ``(B, T, S, S, 3)`` uint8 crops."""
        rows, frames = images.shape[:2]
        crops = to_frames(fold_time(images.to(self.device)))
        return self.network(crops.squeeze(1).unflatten(0, (rows, frames)))

    def save(self, step: int) -> None:
        """Keep the state."""
        state = {
            "step": step,
            "plan": vars(self.plan),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        atomic_write(self.state, lambda partial: torch.save(state, partial))

    def restore(self) -> int:
        """Take up the state on disk, if there is one; returns its step."""
        if not self.state.is_file():
            return 0
        state = read_state(self.state, "step", "plan", "network", "optimiser", "schedule")
        if state is None:
            _log.warning("The state %s is damaged; the training starts anew.", self.state)
            return 0
        if state["plan"] != vars(self.plan):
            raise PoseActError(
                f"{self.state} was begun with another plan; remove it, or undo the change."
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        return state["step"]
