"""Tables of poses that ``poseact predict`` wrote."""

from collections import defaultdict
from itertools import chain
from pathlib import Path

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact._utils.left_out import LeftOut
from poseact.actions.frame_pose import FramePose
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.pose_table import PoseTable
from poseact.data.sequences.common import files_below, read_each, zero_unknown

_WHAT = "a table of poses that 'poseact predict' wrote"


def read_tables(path: Path) -> list[PoseSequence]:
    """Read ``poses.parquet``: a sequence for each person of each file that was predicted.

    Depth in mm is kept; depth without a unit is left out.

    Args:
        path: A table, or a folder of them; those that cannot be read are left out with a warning.

    Raises:
        PoseActError: There is no such table.
    """
    files = files_below(path, (".parquet",), _WHAT)
    return list(chain.from_iterable(read_each(path, files, _sequences)))


def _sequences(name: str, file: Path) -> list[PoseSequence]:
    table = PoseTable.read_parquet(file)
    people: dict[tuple[str, int], list[FramePose]] = defaultdict(list)
    for source, pose in table.items():
        people[source, pose.person].append(pose)
    left = LeftOut(file, "people")
    sequences: list[PoseSequence] = []
    for (source, person), poses in people.items():
        place = f"{file}: person {person} of {source}"
        with left.entry(), one_sentence(f"{place} cannot be used ({{error}}); predict it again."):
            joints = np.stack([pose.joints for pose in poses])
            if table.depth_unit != "mm":
                joints = joints[..., :2]
            joints, confidence = zero_unknown(joints, np.stack([pose.confidence for pose in poses]))
            sequences.append(
                PoseSequence(
                    name=f"{name}:{source}#{person}",
                    skeleton=table.skeleton,
                    times=np.array([pose.time for pose in poses], np.float64),
                    joints=joints,
                    confidence=confidence,
                    recording=source,
                )
            )
    left.finish(sequences)
    return sequences
