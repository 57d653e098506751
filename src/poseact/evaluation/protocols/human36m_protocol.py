"""Human3.6M (Ionescu et al., 2014): errors in mm on the subjects S9 and S11."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from poseact import metrics
from poseact._utils.errors import PoseActError
from poseact.data.mmpose_files import read_human36m
from poseact.data.official.human36m_official import extracted_frames, read_human36m_official
from poseact.data.sample import PoseSample
from poseact.evaluation.pose_evaluation import describe_views, predict_samples
from poseact.evaluation.pose_scores import SpatialPoses, spatial_poses
from poseact.evaluation.protocols.result import OnStep, Result, limited
from poseact.media.crop import Square
from poseact.models.base import Network

TEST_SUBJECTS = ("S9", "S11")

# The authors' crop spans about 2.25 m at the depth of the root.
_SQUARE_MM = 2250.0

_ACTION = re.compile(r"S\d+_([A-Za-z]+)")


@dataclass(frozen=True)
class Human36mProtocol:
    """Joint errors relative to the pelvis on S9 and S11 (protocol 1), or after alignment.

    The crop stands around the labelled root and spans 2.25 m at its labelled depth, and the depth
    of a joint is the root's labelled one plus the predicted one, as in the authors' evaluation.

    Attributes:
        every: Every n-th frame is scored; the authors' code uses 64, the paper says 60.
        with_root: Include the pelvis, whose error is 0 by definition, as the authors do.
        aligned: Align each pose by rotation, scale and shift first (PA-MPJPE).
        crops: Number of crops to average over.
        flip: Average with the mirrored crop.
    """

    every: int = 64
    with_root: bool = True
    aligned: bool = False
    crops: int = 1
    flip: bool = False

    @property
    def data(self) -> str:
        return "human36m"

    def run(
        self, network: Network, root: Path, *, limit: int | None, weights: str, on_step: OnStep
    ) -> Result:
        people = read_test(root, network, self.every)
        samples, some = limited([person for person in people if person.root_depth_mm], limit)
        if not samples:
            raise PoseActError(
                f"{root} has no frame {self.every} of {' or '.join(TEST_SUBJECTS)}; give the whole "
                "data set."
            )
        predictions = predict_samples(
            network,
            samples,
            network.config.image_size,
            flip=self.flip,
            crops=self.crops,
            square_of=root_square,
            on_step=on_step,
        )
        poses = spatial_poses(predictions, samples)
        if poses is None:
            raise PoseActError(
                "The network predicts no depth, so it has no error in mm; give 3D weights."
            )
        scored = self._scored(network, poses)
        function = metrics.pa_mpjpe if self.aligned else metrics.mpjpe
        score = function(poses.predicted, poses.target, scored)
        return Result(
            score.mean,
            "mm",
            self.describe(network, len(poses.people), some, weights),
            self._by_action(samples, poses, scored),
        )

    def _scored(self, network: Network, poses: SpatialPoses) -> np.ndarray:
        scored = poses.valid.copy()
        if not self.with_root:
            scored[:, network.config.skeleton.index("pelvis")] = False
        return scored

    def _by_action(
        self, samples: list[PoseSample], poses: SpatialPoses, scored: np.ndarray
    ) -> dict[str, float]:
        function = metrics.pa_mpjpe if self.aligned else metrics.mpjpe
        actions = np.array([action_of(samples[place]) for place in poses.people])
        return {
            action: function(
                poses.predicted[actions == action],
                poses.target[actions == action],
                scored[actions == action],
            ).mean
            for action in sorted(set(actions.tolist()))
        }

    def describe(self, network: Network, people: int, some: str, weights: str) -> str:
        aligned = "aligned by rotation, scale and shift" if self.aligned else "protocol 1"
        root = "pelvis included" if self.with_root else "without the pelvis"
        return (
            f"Human3.6M, {' and '.join(TEST_SUBJECTS)}, 1 of {self.every} frames{some}: "
            f"{people} poses, {aligned}, mean over the joints of "
            f"{network.config.skeleton.name}, {root}; ground-truth crop (2.25 m around the root) "
            f"and ground-truth depth of the root; {network.config.image_size} px, "
            f"{describe_views(flip=self.flip, crops=self.crops)}, last block; weights {weights}"
        )


def read_test(root: Path, network: Network, every: int) -> list[PoseSample]:
    """The test people of the official files, or of those packed for mmpose."""
    packed = root / "annotation_body3d/fps50/h36m_test.npz"
    skeleton = network.config.skeleton
    if packed.exists():
        labels = str(packed.relative_to(root))
        return read_human36m(root, skeleton, labels=labels, subjects=TEST_SUBJECTS, every=every)
    return read_human36m_official(
        root,
        skeleton,
        images=extracted_frames(root),
        subjects=TEST_SUBJECTS,
        every=every,
        paper_names=True,
    )


def root_square(sample: PoseSample) -> Square:
    """The crop of 2.25 m around the labelled root.

    Raises:
        PoseActError: The sample has no camera or no depth of the root.
    """
    if sample.camera is None or not sample.root_depth_mm:
        raise PoseActError(
            f"{sample.name} has no camera or no depth of its root; give the whole data set."
        )
    x, y = sample.joints[sample.skeleton.index("pelvis"), :2].tolist()
    side = _SQUARE_MM * max(sample.camera.focal) / sample.root_depth_mm
    return x, y, side


def action_of(sample: PoseSample) -> str:
    """The action in the name of a sequence."""
    match = _ACTION.match(sample.sequence or "")
    return match[1] if match else "unknown"
