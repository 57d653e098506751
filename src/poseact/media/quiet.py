"""OpenCV without its own messages on stderr."""

from collections.abc import Generator
from contextlib import contextmanager

import cv2


@contextmanager
def quiet_opencv() -> Generator[None]:
    """Silence OpenCV's log within the block."""
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
