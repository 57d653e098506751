"""Initial weights from another network."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from poseact._utils.errors import PoseActError
from poseact.data.sources import expand_variables
from poseact.models.base import Network
from poseact.models.presets import create_model
from poseact.recipe import NetworkSpec
from poseact.weights.checkpoint import load
from poseact.weights.movenet import begin_with_stem


def first_network(spec: NetworkSpec) -> Network:
    """The network of a recipe with its initial weights.

    Raises:
        PoseActError: The weights cannot be read or are those of another network.
    """
    network = create_model(spec.preset, **spec.changes)
    if spec.stem is not None:
        begin_with_stem(network, expand_variables(spec.stem))
    if spec.init is not None:
        begin_with(network, load(spec.init), spec.init)
    return network


def begin_with(network: Network, first: Network, name: str) -> None:
    """Copy the weights of another network.

    The other network may lack actions or have other labels, and may have more prediction blocks.
    Weights that it lacks keep their values.

    Args:
        network: The network to initialise.
        first: A network of the same joints and width.
        name: Its name, for messages.

    Raises:
        PoseActError: The joints differ, or the other network lacks part of the pose model or has it
            in another shape.
    """
    config, others = network.config, first.config
    # Limbs are for drawing only, and older files may list them in another order.
    if config.skeleton.joints != others.skeleton.joints:
        raise _other(name, f"the joints of {others.skeleton.name}, not of {config.skeleton.name}")
    if replace(others, skeleton=config.skeleton) == config:
        network.load_state_dict(first.state_dict())
        return
    own, given = network.state_dict(), first.state_dict()
    fitting = {
        key: value for key, value in given.items() if key in own and own[key].shape == value.shape
    }
    actions = {id(part) for part in network.action_parts()}
    acting = {
        f"{place}.{key}"
        for place, part in network.named_modules()
        if id(part) in actions
        for key in part.state_dict()
    }
    for key in own.keys() - fitting.keys() - acting:
        raise _other(name, f"{_shape(given.get(key))} for {key}, not {_shape(own[key])}")
    network.load_state_dict({**own, **fitting})


def _shape(value: Tensor | None) -> str:
    return "nothing" if value is None else f"an array of shape {tuple(value.shape)}"


def _other(name: str, what: str) -> PoseActError:
    return PoseActError(
        f"init: {name} is a network of another shape: it has {what}; give weights of the same "
        "preset and joints, with at least as many prediction blocks."
    )
