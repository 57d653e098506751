"""MPII Human Pose (Andriluka et al., 2014): PCKh on the validation people."""

from dataclasses import dataclass
from pathlib import Path

from poseact._utils.errors import PoseActError
from poseact.data.mpii import read_mpii
from poseact.data.sample import PoseSample
from poseact.evaluation.pose_evaluation import box_square, describe_views, predict_samples
from poseact.evaluation.pose_scores import score_poses
from poseact.evaluation.protocols.result import OnStep, Result, limited
from poseact.media.crop import Square
from poseact.models.base import Network


@dataclass(frozen=True)
class MpiiValidation:
    """PCKh@0.5 of the usual validation people, each in the square given by its scale.

    The authors score single crops without mirroring, and leave joints outside of the crop out of
    the score; here these count as what was predicted.

    Attributes:
        crops: Number of crops to average over.
        flip: Average with the mirrored crop.
    """

    crops: int = 1
    flip: bool = False

    @property
    def data(self) -> str:
        return "mpii"

    def run(
        self, network: Network, root: Path, *, limit: int | None, weights: str, on_step: OnStep
    ) -> Result:
        people = read_mpii(root, network.config.skeleton, part="valid")
        samples, some = limited([person for person in people if person.head_px], limit)
        if not samples:
            raise PoseActError(
                f"{root} has no validation people with a head's size; give the official .mat file "
                "together with the validation list."
            )
        size = network.config.image_size
        predictions = predict_samples(
            network,
            samples,
            size,
            flip=self.flip,
            crops=self.crops,
            square_of=prescribed_square,
            on_step=on_step,
        )
        testing = (
            f"official window (250 px per unit of the labelled scale), {size} px; "
            f"{describe_views(flip=self.flip, crops=self.crops)}, last block; weights {weights}"
        )
        score = score_poses(
            predictions, samples, data=f"MPII validation{some}", testing=testing
        ).metrics["pckh"]
        parts = {joint: 100 * value for joint, value in score.per_joint.items()}
        protocol = f"MPII validation{some}: {testing}; {score.protocol}"
        return Result(100 * score.mean, "%", protocol, parts)


def prescribed_square(sample: PoseSample) -> Square:
    """The square of the data set, else that around the labelled joints."""
    return box_square(sample) if sample.square is None else sample.square
