"""Videos from a browser: decoded, stripped of metadata such as the place, then kept."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from poseact._utils.errors import PoseActError
from poseact.media import VideoReader

MOST_BYTES = 2 * 2**30
"""Size of the largest file that is taken."""

MOST_SECONDS = 3600.0
"""Length of the longest video that is taken."""

LEAST_FRAMES = 2

_OPEN_CODECS = frozenset({"vp8", "vp9", "av1"})


def keep_recording(received: Path, place: Path) -> Path:
    """Keep a recording of the browser unchanged, with its own time stamps.

    Args:
        received: The file; it is moved.
        place: Where to, without suffix.

    Returns:
        Where it is now.

    Raises:
        PoseActError: It is no WebM or MP4 that can be decoded.
    """
    check_video(received)
    with _open(received) as container:
        suffix = _suffix(container)
    return _moved(received, place, suffix)


def keep_upload(received: Path, place: Path) -> Path:
    """Keep the pictures of a video file; sound, metadata and other streams are left out.

    Phones write the place into metadata, and some cameras into a stream of its own. The pictures
    are copied as they are coded, with their time stamps and the turn that sets them upright.

    Args:
        received: The file; it is removed.
        place: Where to, without suffix.

    Returns:
        Where it is now.

    Raises:
        PoseActError: It is no video that can be decoded and copied.
    """
    before = check_video(received)
    with _open(received) as container:
        suffix = _suffix(container)
    copy = received.with_name(uuid4().hex + suffix)
    try:
        _copy_pictures(received, copy)
        after = check_video(copy)
        if after != before:
            raise PoseActError(
                f"The video changed when it was copied without its metadata ({before} before, "
                f"{after} after); export it again as MP4."
            )
        return _moved(copy, place, suffix)
    except FFmpegError as error:
        raise PoseActError(
            f"The video could not be copied without its metadata ({error.strerror}); export it as "
            "MP4."
        ) from error
    finally:
        copy.unlink(missing_ok=True)
        received.unlink(missing_ok=True)


def check_video(path: Path) -> tuple[int, int, int]:
    """Decode a video from beginning to end.

    Returns:
        Width and height of the upright pictures in px, and their number.

    Raises:
        PoseActError: It cannot be decoded, has one picture, or is too long.
    """
    count, last = 0, 0.0
    with VideoReader(path) as reader:
        for frame in reader:
            count, last = count + 1, frame.time
            if last > MOST_SECONDS:
                raise PoseActError(
                    f"The video is longer than {MOST_SECONDS / 60:.0f} minutes; cut it first."
                )
    if count < LEAST_FRAMES:
        raise PoseActError(f"The video has {count} picture; an action needs several.")
    return reader.width, reader.height, count


def _moved(file: Path, place: Path, suffix: str) -> Path:
    target = place.with_name(place.name + suffix)
    target.parent.mkdir(parents=True, exist_ok=True)
    return file.replace(target)


def _open(path: Path) -> InputContainer:
    return av.open(f"file:{path}", metadata_errors="replace")


def _pictures(container: InputContainer) -> VideoStream:
    """The stream of pictures that is not a cover."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        raise PoseActError("The file holds no pictures; give a video.")
    return stream


def _suffix(container: InputContainer) -> str:
    """The suffix for the pictures of a container, by its content."""
    if "mp4" in container.format.name:
        return ".mp4"
    return ".webm" if _pictures(container).codec_context.name in _OPEN_CODECS else ".mkv"


def _copy_pictures(source: Path, target: Path) -> None:
    # Browsers then play an MP4 before it is loaded.
    options = {"movflags": "+faststart"} if target.suffix == ".mp4" else {}
    with _open(source) as read, av.open(f"file:{target}", "w", options=options) as written:
        stream = _pictures(read)
        copied = written.add_stream_from_template(stream)
        for packet in read.demux(stream):
            # The last one, which is empty, only ends the stream.
            if packet.size:
                packet.stream = copied
                written.mux(packet)
