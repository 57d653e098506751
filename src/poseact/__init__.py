"""PoseAct: 2D/3D body pose and action recognition from one multitask network."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from poseact._utils.device import cores_are_free

# Read by torch's thread pool when it is first loaded.
if not cores_are_free():
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from poseact._utils.errors import PoseActError
    from poseact.clips.train_actions import train_actions
    from poseact.clips.train_plan import TrainPlan
    from poseact.data.sequences.registry import read_sequences
    from poseact.inference.predictor import Predictor
    from poseact.inference.stream import Stream
    from poseact.models.base import Network
    from poseact.models.bn_folding import fold_batch_norm, fused
    from poseact.models.outputs import Action, Pose, Prediction
    from poseact.models.presets import PRESETS, create_model
    from poseact.skeleton import SKELETONS, Skeleton
    from poseact.weights.checkpoint import load, save
    from poseact.weights.keras_import import import_keras

    __version__: str

__all__ = [
    "PRESETS",
    "SKELETONS",
    "Action",
    "Network",
    "Pose",
    "PoseActError",
    "Prediction",
    "Predictor",
    "Skeleton",
    "Stream",
    "TrainPlan",
    "create_model",
    "fold_batch_norm",
    "fused",
    "import_keras",
    "load",
    "read_sequences",
    "save",
    "train_actions",
]

_MODULES = {
    "PRESETS": "models.presets",
    "SKELETONS": "skeleton",
    "Action": "models.outputs",
    "Network": "models.base",
    "Pose": "models.outputs",
    "PoseActError": "_utils.errors",
    "Prediction": "models.outputs",
    "Predictor": "inference.predictor",
    "Skeleton": "skeleton",
    "Stream": "inference.stream",
    "TrainPlan": "clips.train_plan",
    "create_model": "models.presets",
    "fold_batch_norm": "models.bn_folding",
    "fused": "models.bn_folding",
    "import_keras": "weights.keras_import",
    "load": "weights.checkpoint",
    "read_sequences": "data.sequences.registry",
    "save": "weights.checkpoint",
    "train_actions": "clips.train_actions",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562): torch takes seconds to load."""
    if name == "__version__":
        return import_module("importlib.metadata").version("poseact")
    if name not in _MODULES:
        raise AttributeError(f"module 'poseact' has no attribute {name!r}")
    return getattr(import_module(f"poseact.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__, "__version__"]
