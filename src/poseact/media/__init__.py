"""Pictures and video: find them, read them upright as RGB, draw on them, write them."""

from poseact.media.find import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_media
from poseact.media.image import decode_image, read_image, require_picture, write_image
from poseact.media.reader import Frame, VideoReader
from poseact.media.writer import VideoWriter

__all__ = [
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "VideoReader",
    "VideoWriter",
    "decode_image",
    "find_media",
    "read_image",
    "require_picture",
    "write_image",
]
