"""Loading of a pose predictor and an action network from weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from poseact._utils.errors import PoseActError
from poseact.actions.clip_inputs import action_network, window_fps
from poseact.inference.predictor import People, Predictor
from poseact.runtime.pose_reader import known_facts

if TYPE_CHECKING:
    import torch

    from poseact.models.base import Network
    from poseact.models.sequence import ActionNetwork, SequenceNetwork

_log = logging.getLogger(__name__)


class Readers(NamedTuple):
    """The networks that read a video.

    Attributes:
        predictor: Reads the poses.
        network: Recognises actions from them, on the same device; None for weights without
            actions.
    """

    predictor: Predictor
    network: ActionNetwork | None


def load_readers(
    weights: str | Path | Network,
    num_blocks: int | None = None,
    device: str | torch.device | None = None,
    people: People = "all",
    runtime: str | None = None,
    precision: str | None = None,
    fast: bool = False,
) -> Readers:
    """The predictor, and the action network if the weights recognise actions in sequences.

    Args:
        weights: Name, file or network. One that reads poses alone names the weights that give
            them: a name, or a file that may be given relative to its own.
        num_blocks: Pose blocks to run (default all).
        device: Where to run; by default CUDA if available.
        people: How many people to look for, see :class:`~poseact.inference.predictor.Predictor`.
        runtime: Runtime of the pose network, see there.
        precision: Number format of the pose network, see there.
        fast: Take the poses of the person detector, see there.

    Raises:
        PoseActError: The weights cannot be read, or poses and actions do not fit one another.
    """
    options = (num_blocks, device, people, runtime, precision, fast)
    if isinstance(weights, str | Path):
        facts = known_facts(weights, num_blocks)
        if facts is not None and not facts.labels:
            return Readers(Predictor(weights, *options), None)

    from poseact.models.bn_folding import fold_batch_norm
    from poseact.models.sequence import SequenceNetwork
    from poseact.weights.checkpoint import load

    network = load(weights) if isinstance(weights, str | Path) else weights
    if fast and _reads_sequences(network):
        raise PoseActError(
            "fast was given with weights that recognise actions, which need the poses and the "
            "features of the pose network; leave out fast, or give weights of poses alone."
        )
    if isinstance(network, SequenceNetwork):
        folder = Path(weights).parent if isinstance(weights, str | Path) else Path()
        predictor = Predictor(_pose_weights(network, folder), *options)
        _check_poses(network, predictor)
    else:
        # By its weights where they are poses alone, so that they are known without PyTorch.
        source = network if network.config.labels else weights
        predictor = Predictor(source, *options)
    if not _reads_sequences(network):
        if getattr(network.config, "labels", ()):
            _log.warning(
                "The weights %s know %d actions, but only in clips that are cut and sampled like "
                "their training data, so only poses are predicted; to recognise actions in other "
                "videos, train your own with 'poseact train-actions'.",
                *(network.card.preset, len(network.config.labels)),
            )
        return Readers(predictor, None)
    return Readers(predictor, fold_batch_norm(action_network(network)).float().to(predictor.device))


def load_action_readers(
    weights: str | Path | Network,
    num_blocks: int | None = None,
    device: str | torch.device | None = None,
    people: People = "all",
    runtime: str | None = None,
    precision: str | None = None,
) -> tuple[Predictor, ActionNetwork]:
    """As :func:`load_readers`, for weights that must recognise actions.

    Raises:
        PoseActError: As there, or the weights know no actions of sequences.
    """
    predictor, network = load_readers(weights, num_blocks, device, people, runtime, precision)
    if network is None:
        raise PoseActError(
            f"The weights ({predictor.card.preset}) do not recognise actions in pose sequences; "
            "give a file that 'poseact train-actions' wrote."
        )
    return predictor, network


def _reads_sequences(network: Network) -> bool:
    """Whether the network recognises actions from poses in px at a known frame rate."""
    from poseact.models.multitask import MultitaskNetwork
    from poseact.models.sequence import SequenceNetwork

    if isinstance(network, MultitaskNetwork):
        known = bool(network.config.labels) and network.config.person_square
        return known and network.card.fps is not None
    return isinstance(network, SequenceNetwork)


def _pose_weights(network: SequenceNetwork, folder: Path) -> str | Path:
    window_fps(network)
    name = network.card.pose_weights
    if name is None:
        raise PoseActError(
            "The weights recognise actions from poses of another source and do not name a pose "
            "network for pictures; train them on poses that PoseAct predicted."
        )
    return folder / name if (folder / name).is_file() else name


def _check_poses(network: SequenceNetwork, predictor: Predictor) -> None:
    config, skeleton = network.config, predictor.skeleton
    dims = 3 if predictor.has_depth else 2
    if skeleton.joints != config.skeleton.joints or dims < config.dims:
        raise PoseActError(
            f"The weights {network.card.pose_weights} give {dims}D poses of {skeleton.name}, but "
            f"the actions need {config.dims}D poses of {config.skeleton.name}; train "
            "them on poses that these weights predict."
        )
