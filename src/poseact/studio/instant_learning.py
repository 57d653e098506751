"""The instant recogniser of a studio, renewed when the clips have changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poseact._utils.boundary import parse_json
from poseact._utils.files import write_json
from poseact.models.multitask import MultitaskNetwork
from poseact.studio.examiner import ReadClips
from poseact.training.instant import train_instant
from poseact.weights.checkpoint import save


def renew_instant(weights: Path, clips: Sequence[Sequence[str]], read: ReadClips) -> None:
    """Renew the instant recogniser, if the clips have changed since it was made.

    Args:
        weights: Its file, which is removed if fewer than two actions are left; ``clips.json``
            beside it lists the clips that it was made of.
        clips: Name, label and a digest of the content of every clip.
        read: Reads the features of all clips.

    Raises:
        PoseActError: The features do not fit together, or the files cannot be written.
    """
    made_of = weights.with_name("clips.json")
    known = [list(clip) for clip in clips]
    if weights.is_file() and made_of.is_file() and parse_json(made_of.read_bytes()) == known:
        return
    found = read()
    if found is None:
        return
    sequences, pose_network = found
    if len({sequence.label for sequence in sequences}) < 2:
        weights.unlink(missing_ok=True)
    elif isinstance(pose_network, MultitaskNetwork):
        save(train_instant(sequences, pose_network=pose_network), weights)
        write_json(made_of, known)
