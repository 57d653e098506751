"""Small action heads on whole windows: convolutions over time, and prototypes.

They learn within seconds from few clips. The body is put into a frame of its own, so that they see
neither where in the picture nor how large a person is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from poseact._utils.errors import PoseActError
from poseact.models.outputs import Action

RANK = 128
"""Dimensions of the space of prototypes."""

PARTS = 4
"""Parts of a window whose mean poses its description holds."""

# Every joint counts a little, however unsure: wrong joints of a pose that the network does not know
# are wrong in the same way again and again.
_LEAST_WEIGHT = 0.05
_BODY_SCALE = 3.5
_FARTHEST = 2.0
_FRAME_STEP = 4
_DROP = 0.3
_LOGIT_SCALE = 0.1
_BACKGROUND_SHARE = 0.5
_BACKGROUND_NEAREST = 4


def body_frame(joints: Tensor, confidence: Tensor) -> Tensor:
    """Joints of a window relative to the person.

    x and y are counted from the mean place of all joints of the window, in 3.5 times their root
    mean square distance from it, both weighted by confidence; they are limited to twice that. A
    joint without any confidence lies in the middle.

    Args:
        joints: ``(B, T, J, D)`` in any common unit, the depth in [0, 1].
        confidence: ``(B, T, J)``.
    """
    known = confidence > 0
    weight = confidence + _LEAST_WEIGHT * known
    weight = (weight / weight.sum((1, 2), keepdim=True).clamp_min(1e-6)).unsqueeze(-1)
    plane, depth = joints[..., :2], joints[..., 2:]
    offset = plane - (weight * plane).sum((1, 2), keepdim=True)
    radius = (weight * offset.square()).sum((1, 2, 3), keepdim=True).sqrt()
    scaled = offset / (_BODY_SCALE * radius.clamp_min(1e-6))
    body = torch.cat((scaled, depth - 0.5), -1) * known.unsqueeze(-1)
    return body.clamp(-_FARTHEST, _FARTHEST)


def describe_pose(body: Tensor) -> Tensor:
    """Mean, spread, speed and course of a window's joints: ``(B, T, J, D)`` to ``(B, 7 J D)``."""
    body = body.flatten(2)
    mean = body.mean(1, keepdim=True)
    speed = 4 * (body[:, 1:] - body[:, :-1]).abs().mean(1)
    course = F.adaptive_avg_pool1d(body.transpose(1, 2), PARTS).transpose(1, 2) - mean
    spread = body.std(1, correction=0)
    return torch.cat((mean.squeeze(1), spread, speed, course.flatten(1)), 1)


def describe_appearance(appearance: Tensor) -> Tensor:
    """Mean features at the joints in frames of a window: ``(B, T, J, C)`` to ``(B, J C)``."""
    return appearance.mean(1).flatten(1)


def sampled_frames(frames: int) -> slice:
    """The frames of a window whose appearance is read; few suffice, as it changes slowly."""
    return slice(min(_FRAME_STEP // 2, frames - 1), None, _FRAME_STEP)


def _standardise(values: int) -> nn.BatchNorm1d:
    """Normalisation of inputs, without a learned scale, which the next layer has."""
    return nn.BatchNorm1d(values).requires_grad_(False)


class PoseWindow(nn.Module):
    """Actions from the course of all joints: ``(B, T, J, D)`` in the body's frame to logits."""

    def __init__(self, values: int, width: int, num_actions: int) -> None:
        super().__init__()
        self.norm = _standardise(2 * values)
        channels = (2 * values, width, width, 2 * width)
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(before, after, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(after),
                nn.ReLU(),
            )
            for before, after, kernel in zip(channels, channels[1:], (5, 3, 3), strict=False)
        )
        self.out = nn.Sequential(nn.Dropout(_DROP), nn.Linear(4 * width, num_actions))

    def forward(self, body: Tensor) -> Tensor:
        x = body.flatten(2).transpose(1, 2)
        # Stills, of which a network may be asked too, are cut to their one frame.
        speed = F.pad(x[..., 2:] - x[..., :-2], (1, 1))[..., : x.shape[-1]]
        x = self.norm(torch.cat((x, 3 * speed), 1))
        first, second, third = self.convs
        x = second(F.max_pool1d(first(x), 2, ceil_mode=True))
        x = F.max_pool1d(third(x), 2, ceil_mode=True)
        return self.out(torch.cat((x.mean(-1), x.amax(-1)), 1))


class AppearanceWindow(nn.Module):
    """Actions from features at the joints: ``(B, T, J, C)`` to logits."""

    REDUCED = 16

    def __init__(self, num_joints: int, channels: int, width: int, num_actions: int) -> None:
        super().__init__()
        self.norm = _standardise(channels)
        self.reduce = nn.Linear(channels, self.REDUCED, bias=False)
        self.reduced_norm = nn.BatchNorm1d(self.REDUCED)
        self.hidden = nn.Sequential(
            nn.Dropout(_DROP),
            nn.Linear(2 * num_joints * self.REDUCED, width, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(_DROP),
            nn.Linear(width, num_actions),
        )

    def forward(self, appearance: Tensor) -> Tensor:
        reduced = F.relu(self.reduced_norm(self.reduce(self.norm(appearance.flatten(0, 2)))))
        over_time = reduced.unflatten(0, appearance.shape[:3]).flatten(2)
        return self.hidden(torch.cat((over_time.mean(1), over_time.amax(1)), 1))


class WindowStreams(nn.ModuleDict):
    """The trained streams by name, or none: logits ``(B, A)`` of each.

    They read the joints in the body's frame ``(B, T, J, D)``, and the appearance of the sampled
    frames ``(B, t, J, C)`` where there is such a stream.
    """

    def forward(self, body: Tensor, appearance: Tensor | None) -> dict[str, Tensor]:
        inputs = {"pose": body, "appearance": appearance}
        return {name: stream(inputs[name]) for name, stream in self.items()}


def answers_of(logits: Mapping[str, Tensor]) -> dict[str, list[Action]]:
    """The answers of streams and of their sum, ``fused``."""
    fused = torch.stack(list(logits.values())).sum(0)
    return {
        name: [Action(values.log_softmax(-1), values[..., None, None])]
        for name, values in (*logits.items(), ("fused", fused))
    }


class Prototypes(nn.Module):
    """One point for each action in a space in which the windows of an action vary alike.

    Fitted in closed form (:func:`poseact.training.instant.fit_prototypes`); nothing is trained.

    Args:
        values: F, length of a description.
        num_actions: A.
        background: M, windows of no action that an unknown motion may be nearer to.
    """

    def __init__(self, values: int, num_actions: int, background: int = 0) -> None:
        super().__init__()
        for name, shape in {
            "centre": (values,),
            "axes": (values, RANK),
            "whitening": (RANK, RANK),
            "places": (num_actions, RANK),
            "spread": (values,),
        }.items():
            self.register_buffer(name, torch.ones(shape))
        self.centre: Tensor
        self.axes: Tensor
        self.whitening: Tensor
        self.places: Tensor
        self.spread: Tensor
        # Not in the state of networks without a background, such as those of earlier versions.
        self.register_buffer("background", torch.ones(background, RANK) if background else None)
        self.background: Tensor | None

    def place(self, description: Tensor) -> Tensor:
        """Where descriptions ``(B, F)`` lie in the space, ``(B, RANK)``."""
        offset = (description - self.centre) / self.spread
        return offset @ self.axes @ self.whitening

    def forward(self, description: Tensor) -> Tensor:
        """Squared distances ``(B, A)`` of descriptions ``(B, F)`` from the prototypes."""
        return _squared_distances(self.place(description), self.places)

    def likeness(self, description: Tensor, distances: Tensor) -> Tensor:
        """``(B,)`` how alike windows are to the nearest prototype, larger being more alike.

        Minus the logarithm of the squared distance. With a background it is relative to half the
        logarithm of the mean squared distance from the four nearest of its windows, in the manner
        of relative Mahalanobis distances (Ren et al., 2021).

        Args:
            description: ``(B, F)``.
            distances: ``(B, A)`` those of :meth:`forward`.
        """
        alike = -distances.amin(1).clamp_min(1e-6).log()
        if self.background is None:
            return alike
        away = _squared_distances(self.place(description), self.background)
        nearest = away.topk(min(_BACKGROUND_NEAREST, away.shape[1]), largest=False).values
        return alike + _BACKGROUND_SHARE * nearest.mean(1).clamp_min(1e-6).log()


def _squared_distances(places: Tensor, others: Tensor) -> Tensor:
    """``(B, R)`` and ``(N, R)`` to ``(B, N)``."""
    return (places.unsqueeze(1) - others).square().sum(-1)


class WindowHeads(nn.Module):
    """Both streams, or the pose stream alone, on windows; their sum is the answer.

    The appearance is given for all frames of a window, or for :func:`sampled_frames` alone.

    Args:
        kind: ``temporal`` for trained streams, ``prototypes`` for prototypes alone.
        num_joints: J.
        dims: D.
        channels: C of the appearance; None for the pose stream alone.
        width: Of the trained streams.
        num_actions: A.
        background: M, windows of other motion that the appearance is compared with.
    """

    def __init__(
        self,
        kind: str,
        num_joints: int,
        dims: int,
        channels: int | None,
        width: int,
        num_actions: int,
        background: int = 0,
    ) -> None:
        super().__init__()
        values = {"pose": (3 + PARTS) * num_joints * dims}
        streams: dict[str, nn.Module] = {"pose": PoseWindow(num_joints * dims, width, num_actions)}
        if channels is not None:
            values["appearance"] = num_joints * channels
            streams["appearance"] = AppearanceWindow(num_joints, channels, width, num_actions)
        self.streams = WindowStreams(streams if kind == "temporal" else {})
        self.prototypes = nn.ModuleDict(
            {
                name: Prototypes(size, num_actions, background if name == "appearance" else 0)
                for name, size in values.items()
            }
        )
        # Mean and deviation of what known motions look like, see read(), and the least that is
        # familiar; zeros until they are fitted.
        self.register_buffer("known_looks", torch.zeros(2, 2))
        self.register_buffer("least_familiar", torch.zeros(()))
        self.known_looks: Tensor
        self.least_familiar: Tensor

    def descriptions(self, body: Tensor, appearance: Tensor | None) -> dict[str, Tensor]:
        """What the prototypes read, ``(B, F)`` by stream; inputs as of the trained streams."""
        found = {"pose": describe_pose(body)}
        if appearance is not None:
            found["appearance"] = describe_appearance(appearance)
        return found

    def inputs(
        self, joints: Tensor, confidence: Tensor, appearance: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What streams and prototypes read of windows: joints in the body's frame, and appearance.

        Raises:
            PoseActError: There is no appearance, but a stream of it.
        """
        read = "appearance" in self.prototypes
        seen = sampled(appearance, joints.shape[1]) if read else None
        return body_frame(joints, confidence), seen

    def read(
        self, joints: Tensor, confidence: Tensor, appearance: Tensor | None
    ) -> tuple[dict[str, list[Action]], Tensor]:
        """The answers of :meth:`forward`, and the similarity of windows to the training windows.

        That is ``(B, 2)``, larger being more similar: the likeness to the nearest prototype, of the
        appearance where there is one, and the free energy of the logits (Liu et al., NeurIPS 2020).
        """
        body, seen = self.inputs(joints, confidence, appearance)
        described = self.descriptions(body, seen)
        distances = {name: self.prototypes[name](values) for name, values in described.items()}
        logits = {name: -_LOGIT_SCALE * values for name, values in distances.items()}
        answers = answers_of(self.streams(body, seen) if self.streams else logits)
        name = list(described)[-1]
        alike = self._prototypes_of(name).likeness(described[name], distances[name])
        energy = answers["fused"][-1].maps.flatten(1).logsumexp(1)
        return answers, torch.stack((alike, energy), 1)

    def _prototypes_of(self, name: str) -> Prototypes:
        return cast(Prototypes, self.prototypes[name])

    @property
    def energy_share(self) -> float:
        """How much the energy counts beside the likeness when familiarity is fitted.

        Less with a background. Of prototypes alone it is a function of the distance and adds
        nothing to it.
        """
        if self._prototypes_of(list(self.prototypes)[-1]).background is None:
            return 1.0
        return 0.5 if self.streams else 0.0

    def familiarity(self, looks: Tensor) -> Tensor:
        """``(B,)`` how much more familiar windows are than the least that counts as known.

        Below 0 a motion is unknown. 0 before it was fitted.
        """
        if not self.is_fitted:
            return torch.zeros(len(looks), device=looks.device)
        return self.above_least(looks)

    @property
    def is_fitted(self) -> bool:
        """Whether familiarity has been fitted."""
        return bool(self.known_looks[1].all())

    def above_least(self, looks: Tensor) -> Tensor:
        """:meth:`familiarity` once it is fitted; without a branch, so that it can be exported."""
        mean, spread = self.known_looks
        return ((looks - mean) / spread).sum(1) - self.least_familiar

    def forward(
        self, joints: Tensor, confidence: Tensor, appearance: Tensor | None
    ) -> dict[str, list[Action]]:
        return self.read(joints, confidence, appearance)[0]


def sampled(appearance: Tensor | None, frames: int) -> Tensor:
    """The appearance in the frames that are read.

    Raises:
        PoseActError: There is none.
    """
    if appearance is None:
        raise PoseActError(
            "No appearance was given to a network that reads it; give it, or train the pose "
            "stream alone."
        )
    whole = appearance.shape[1] == frames
    return appearance[:, sampled_frames(frames)] if whole else appearance
