"""Results as a COCO file for pycocotools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from poseact._utils.files import write_json
from poseact.actions.frame_pose import FramePose
from poseact.media import Frame
from poseact.skeleton import COCO17, COCO_PIXEL_ORIGIN, Skeleton

_DECIMALS = 2


class CocoResults:
    """The people of pictures, as COCO describes them."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, source: str, frame: Frame, poses: list[FramePose]) -> None:
        """Add a picture or a frame of a video, with the people found in it."""
        number, (height, width) = len(self._images) + 1, frame.image.shape[:2]
        name = source.encode("utf-8", "replace").decode()
        size = {"width": width, "height": height}
        self._images.append({"id": number, "file_name": name, "frame": frame.index, **size})
        for pose in poses:
            box = np.clip(pose.person_box or pose.box, 0, (width, height, width, height))
            x0, y0, x1, y1 = box.tolist()
            own = pose.joints[:, :2].astype(float) - COCO_PIXEL_ORIGIN
            joints, known = self._skeleton.convert(own, np.ones(len(own), bool), COCO17)
            _, seen = self._skeleton.convert(own, pose.visible, COCO17)
            # As in COCO's labels: 2 seen, 1 placed without being seen, 0 not known.
            marks = known.astype(int) + seen
            rows = np.column_stack((joints.round(_DECIMALS), marks)).ravel().tolist()
            score = float(pose.confidence.mean()) if pose.score is None else pose.score
            self._annotations.append(
                {
                    "id": len(self._annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "track_id": pose.person,
                    "bbox": [round(value, _DECIMALS) for value in (x0, y0, x1 - x0, y1 - y0)],
                    "area": round((x1 - x0) * (y1 - y0), _DECIMALS),
                    "score": round(score, 4),
                    "keypoints": rows,
                    "num_keypoints": int(known.sum()),
                    "iscrowd": 0,
                }
            )

    def write(self, path: Path) -> None:
        """Write the file, atomically.

        Raises:
            PoseActError: It cannot be written.
        """
        person = {
            "id": 1,
            "name": "person",
            "keypoints": list(COCO17.joints),
            "skeleton": [[a + 1, b + 1] for a, b in COCO17.limb_indices],
        }
        parts = {"images": self._images, "annotations": self._annotations, "categories": [person]}
        write_json(path, {"info": {"description": "poseact predict"}, **parts})
