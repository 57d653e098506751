"""Penn Action (Zhang et al., 2013), official layout: a folder of frames and labels of each video.

``frames/0001/000001.jpg`` …, ``labels/0001.mat`` ….
"""

from __future__ import annotations

import logging
from pathlib import Path

from poseact.actions.pose_sequence import PoseSequence
from poseact.data.images import ImageFile
from poseact.data.label_files import MATLAB_PIXEL_ORIGIN
from poseact.data.sequences.penn_labels import read_penn
from poseact.data.video import FrameImages, LabelledVideo
from poseact.data.video_labels import Part, converted_poses, of_part
from poseact.skeleton import PA16, PENN13, Skeleton

_FPS = 30.0

_log = logging.getLogger(__name__)


def read_penn_action(
    root: Path,
    skeleton: Skeleton = PA16,
    *,
    part: Part | None = None,
    labels: str = "labels",
    frames: str = "frames",
) -> list[LabelledVideo]:
    """Read the videos with 13 joints by humans and the official parts.

    Joints that the labels call hidden are not valid: a third of them have no place, others a place
    that is off. The boxes are those of the visible joints, as the data set's own are, which have a
    tenth of their size added on each side and are broken in some videos. The labels do not tell
    the frames per second; 30 is taken. A video in which no joint is ever visible, such as the
    official 1516, is left out with a warning.

    Args:
        root: Folder of the data set.
        skeleton: The skeleton to convert to.
        part: The videos for training or those for testing alone.
        labels: Folder of the label files, in the root.
        frames: Folder of the folders of frames, in the root.

    Returns:
        Videos in the order of their names.

    Raises:
        PoseActError: The labels are missing, damaged or of another layout.
    """
    videos = []
    for sequence in read_penn(Path(root) / labels, fps=_FPS):
        if sequence.confidence.any():
            videos.append(_video(Path(root) / frames, sequence, skeleton))
        else:
            _log.warning("The video %s of %s has no visible joint.", sequence.name, root)
    return of_part(videos, part, Path(root))


def _video(frames: Path, sequence: PoseSequence, skeleton: Skeleton) -> LabelledVideo:
    folder = frames / sequence.name
    images = (ImageFile(folder / f"{number + 1:06d}.jpg") for number in range(len(sequence)))
    return LabelledVideo(
        name=sequence.name,
        frames=FrameImages(str(folder), tuple(images)),
        skeleton=skeleton,
        poses=converted_poses(
            sequence.name,
            PENN13,
            skeleton,
            sequence.joints - MATLAB_PIXEL_ORIGIN,
            valid=sequence.confidence > 0,
        ),
        action=sequence.label,
        fps=_FPS,
        part=sequence.part,
        recording=sequence.recording,
    )
