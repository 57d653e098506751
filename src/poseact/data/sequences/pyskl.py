"""Skeleton annotations of pyskl and mmaction2 (Duan et al., 2022): a pickle, read safely."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.boundary import one_sentence
from poseact._utils.errors import PoseActError
from poseact._utils.left_out import LeftOut
from poseact.actions.pose_sequence import PoseSequence
from poseact.data.formats.label_files import require_file
from poseact.data.formats.plain_pickle import plain_pickle
from poseact.data.sequences.common import (
    files_below,
    from_kinect,
    movement,
    regular_times,
    skeleton_named,
    zero_unknown,
)
from poseact.skeleton import COCO17, NTU25, Skeleton

_SPLIT = re.compile(r"(.*?)[_-]?(train|val|test)(.*)")
_WHAT = "a skeleton annotation of pyskl or mmaction2"
_BY_JOINTS = {(17, 2): COCO17, (25, 3): NTU25}


def read_pyskl(
    path: Path,
    *,
    fps: float = 30.0,
    labels: Sequence[str] | None = None,
    skeleton: str | None = None,
    split: str | None = None,
) -> list[PoseSequence]:
    """Read a pickle of ``{"split": …, "annotations": […]}``, or of the list alone.

    Each annotation has ``frame_dir``, ``label``, ``keypoint`` (M, T, V, C) and for px also
    ``keypoint_score`` (M, T, V). Of several people the one that moves most is taken, in the frames
    in which it is in view; an annotation without anybody, or of another layout, is left out with a
    warning. Three coordinates are metres in Kinect's axes, as in the published
    files; without scores, a joint at the origin is unknown.

    Args:
        path: The pickle.
        fps: Frames per second, which the file does not give.
        labels: Names of the actions in the order of their numbers; the numbers where there are
            none.
        skeleton: Name of the layout; by default COCO's 17 in px, Kinect's 25 in metres, and joints
            without names otherwise.
        split: Which of the file's splits gives the parts, such as ``xsub``; the first by default.
            Its ``val`` is the test part where it has no ``test``, else it is for training.

    Raises:
        PoseActError: The file is missing, damaged, holds anything but plain values and arrays, or
            has no annotation that can be used; the message names the first.
    """
    file, *more = files_below(path, (".pkl", ".pickle"), _WHAT).values()
    if more:
        raise PoseActError(f"{path} holds {1 + len(more)} pickles; give one of them.")
    content = _plain(file)
    content = content if isinstance(content, dict) else {"annotations": content}
    annotations = content.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        raise PoseActError(f"{file} holds no list of annotations; give {_WHAT}.")
    parts = _parts(file, content.get("split"), split)
    layout = None if skeleton is None else skeleton_named(skeleton)
    left, sequences = LeftOut(file, "annotations"), []
    for number, annotation in enumerate(annotations):
        place = f"{file}: annotation {number}"
        with left.entry(), one_sentence(f"{place} cannot be used ({{error}}); correct it."):
            sequences.append(_sequence(place, annotation, fps, labels, layout, parts))
    left.finish(sequences)
    return sequences


def _plain(path: Path) -> Any:
    require_file(path, _WHAT)
    with one_sentence(
        f"{path} cannot be read as {_WHAT} of plain values and arrays ({{error}}); "
        "get it from a source that you trust, or save it as NPZ files."
    ):
        return plain_pickle(path.read_bytes())


def _sequence(
    place: str,
    annotation: Any,
    fps: float,
    labels: Sequence[str] | None,
    layout: Skeleton | None,
    parts: Mapping[str, str],
) -> PoseSequence:
    points, scores = _arrays(place, annotation)
    people, frames, count, coordinates = points.shape
    skeleton = layout or _BY_JOINTS.get((count, coordinates)) or Skeleton.generic(count)
    known = np.isfinite(points).all(-1) & (scores > 0)
    best = max(range(people), key=lambda k: movement(points[k], known[k]), default=0)
    seen = known[best].any(-1) if people else np.zeros(frames, bool)
    if not seen.any():
        raise PoseActError(f"{place}: nobody is in view; leave it out of the file.")
    joints = points[best][seen]
    if coordinates == 3:
        root = skeleton.index("pelvis") if "pelvis" in skeleton.joints else 0
        joints = from_kinect(joints, root)
    joints, confidence = zero_unknown(joints, np.where(known[best], scores[best], 0)[seen])
    name = str(annotation["frame_dir"])
    return PoseSequence(
        name=name,
        skeleton=skeleton,
        times=regular_times(frames, fps)[seen],
        joints=joints,
        confidence=confidence,
        label=_label(place, annotation["label"], labels),
        recording=name,
        part=parts.get(name),
    )


def _arrays(place: str, annotation: Any) -> tuple[np.ndarray, np.ndarray]:
    """Places ``(M, T, V, C)`` and scores ``(M, T, V)``."""
    keys = ("frame_dir", "label", "keypoint")
    if not isinstance(annotation, dict) or any(key not in annotation for key in keys):
        raise PoseActError(f"{place} lacks one of {', '.join(keys)}; give {_WHAT}.")
    points = annotation["keypoint"]
    shape = np.shape(points) if isinstance(points, np.ndarray) else None
    if shape is None or len(shape) != 4 or shape[-1] not in (2, 3):
        raise PoseActError(
            f"{place} has a 'keypoint' of shape {shape}, but an array (people, frames, joints, 2 "
            f"or 3) was expected; give {_WHAT}."
        )
    points = points.astype(np.float64)
    scores = annotation.get("keypoint_score")
    scores = (points != 0).any(-1) if scores is None else scores
    if not isinstance(scores, np.ndarray) or scores.shape != shape[:-1]:
        raise PoseActError(
            f"{place} has a 'keypoint_score' of shape {getattr(scores, 'shape', None)}, but "
            f"{shape[:-1]} was expected for its 'keypoint'; correct it."
        )
    return points, scores.astype(np.float64)


def _label(place: str, number: Any, labels: Sequence[str] | None) -> str:
    if labels is None and type(number) in (int, str):
        return str(number)
    names = labels or ()
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise PoseActError(
            f"{place} has the label {number!r}, but {len(names)} labels were given; "
            "give a number, and a name for each number from 0."
        )
    return names[number]


def _parts(file: Path, splits: Any, wanted: str | None) -> dict[str, str]:
    """``train`` or ``test`` by name."""
    groups: dict[str, dict[str, Any]] = {}
    for key, names in splits.items() if isinstance(splits, dict) else ():
        match = _SPLIT.fullmatch(str(key))
        if match is not None and isinstance(names, list | tuple):
            groups.setdefault(match[1] + match[3], {})[match[2]] = names
    if wanted is not None and wanted not in groups:
        raise PoseActError(
            f"split: {wanted!r} was given, but {file} has {', '.join(map(repr, groups)) or 'none'}."
        )
    group = groups.get(wanted, {}) if wanted is not None else next(iter(groups.values()), {})
    validation = "train" if "test" in group else "test"
    parts: dict[str, str] = {}
    for kind, names in group.items():
        part = validation if kind == "val" else kind
        for name in map(str, names):
            if parts.setdefault(name, part) != part:
                raise PoseActError(f"{file}: {name} is in both parts of its split; correct that.")
    return parts
