"""The training step of a recipe."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.data.dataset import PoseBatch
from poseact.evaluation.action_scores import ActionScores
from poseact.evaluation.pose_evaluation import describe_source, evaluate
from poseact.evaluation.pose_results import PoseScores
from poseact.evaluation.video_evaluation import ClipProtocol, evaluate_videos
from poseact.losses import calibrated_skeleton
from poseact.media.crop import to_frames
from poseact.models.base import Network
from poseact.recipe import Recipe
from poseact.training.engine import TrainingModule
from poseact.training.loaders import ValidationSet, ValidationVideos
from poseact.training.optimisation import (
    freeze_stages,
    learned_parts,
    make_optimiser,
    rate_factor,
)


class MultitaskTraining(TrainingModule):
    """A network with its criterion and optimiser.

    If poses are not learned, all parts that the other tasks do not train are frozen, with their
    normalisation statistics.

    Attributes:
        scores: Scores of the last validation by data set.
        scored_at: Step of the last validation.
    """

    def __init__(self, network: Network, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.recipe = recipe
        self.criterion = recipe.loss.build(recipe.learn, calibrated_skeleton(network))
        self.scores: dict[str, PoseScores | ActionScores] = {}
        self.scored_at = -1
        if "pose" not in recipe.learn:
            self.network.requires_grad_(False)
            for part in learned_parts(network, recipe.learn):
                part.requires_grad_(True)
        freeze_stages(self.network, recipe.optimiser.frozen_stages)
        # Lightning keeps the modes as they are.
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen parts stay in eval mode."""
        super().train(mode)
        if mode and "pose" not in self.recipe.learn:
            self.network.eval()
            for part in learned_parts(self.network, self.recipe.learn):
                part.train()
        return self

    def training_step(self, batch: PoseBatch, _: int) -> Tensor:
        """Loss of a batch.

        Raises:
            PoseActError: The loss is not finite; the message names the samples.
        """
        rows, frames = batch.images.shape[:2]
        crops = to_frames(batch.images.flatten(0, 1))
        prediction = self.network(crops.squeeze(1).unflatten(0, (rows, frames)))
        # Before the loss: on a GPU, a cross-entropy of NaN ends the process.
        if not all(pose.confidence.isfinite().all() for pose in prediction.poses):
            raise self._not_finite("prediction is not finite", batch)
        # In full precision: a cross-entropy in half precision is refused or inexact.
        with torch.autocast(self.device.type, enabled=False):
            terms = self.criterion(
                prediction.in_full_precision(), batch.targets, batch.actions, batch.has_action
            )
            loss = self.criterion.total(terms)
        if not loss.isfinite():
            raise self._not_finite(f"loss is {loss.item()}", batch)
        return self.add_terms(loss, terms)

    def _not_finite(self, what: str, batch: PoseBatch) -> PoseActError:
        names = ", ".join(name for row in batch.names for name in row)
        return PoseActError(
            f"The {what} at step {self.global_step}, in the batch of {names}; "
            "check these samples, or lower the learning rate."
        )

    def validation_step(self, batch: ValidationSet | ValidationVideos, _: int) -> None:
        """Score one validation set, in the first process."""
        if self.trainer.is_global_zero:
            self.score(batch)

    def score(self, data: ValidationSet | ValidationVideos) -> None:
        """Score the current weights, which the trainer may have averaged."""
        self.scored_at = self.global_step
        averaged = "averaged weights" if self.recipe.optimiser.ema else "weights"
        weights = f"{averaged} of step {self.global_step}"
        described = describe_source(data.name, data.spec)
        if isinstance(data, ValidationVideos):
            self.scores[data.name] = evaluate_videos(
                self.network,
                data.videos,
                ClipProtocol(stride=data.spec.stride),
                frames=self.recipe.clip_length,
                data=described,
                weights=weights,
            )
            return
        self.scores[data.name] = evaluate(
            self.network, data.samples, self.recipe.image_size, data=described, weights=weights
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the recipe, to be compared when the run is resumed."""
        checkpoint["recipe"] = self.recipe.model_dump(mode="json")

    def configure_optimizers(self) -> dict[str, Any]:
        """The recipe's optimiser and schedule."""
        recipe = self.recipe
        optimiser = make_optimiser(self.network, recipe.optimiser)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate_factor(step, recipe.steps, recipe.schedule)
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
