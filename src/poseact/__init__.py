"""PoseAct: 2D/3D body pose and action recognition from one multitask network."""

import os
from importlib.metadata import version

# Read by torch's thread pool when it is first loaded: waiting threads that spin instead make small
# networks many times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from poseact._utils.errors import PoseActError
from poseact.inference.predictor import Predictor
from poseact.inference.stream import Stream
from poseact.models.base import Network
from poseact.models.bn_folding import fused
from poseact.models.outputs import Action, Pose, Prediction
from poseact.models.presets import PRESETS, create_model
from poseact.skeleton import SKELETONS, Skeleton
from poseact.weights.checkpoint import load, save
from poseact.weights.keras_import import import_keras

__version__ = version("poseact")

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
    "create_model",
    "fused",
    "import_keras",
    "load",
    "save",
]
