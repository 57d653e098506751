"""Videos of a user's own, made by the tests."""

from __future__ import annotations

import math

import av
import numpy as np

from poseact.clips.folder import Clip
from poseact.media import VideoWriter

FPS = 15


def write_video(path, images, times=None, fps=FPS):
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = images[0].shape[:2]
    with VideoWriter(path, fps, width, height) as writer:
        for index, image in enumerate(images):
            writer.write(image, None if times is None else times[index])
    return path


def write_sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        samples = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def clip_of(path, start=0.0, end=math.inf, label="move"):
    return Clip(path, f"{path.name} {start:g}", label, path.name, start, end)
