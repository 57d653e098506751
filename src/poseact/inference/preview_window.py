"""A window that shows pictures, by tkinter."""

from __future__ import annotations

import cv2
import numpy as np

from poseact._utils.errors import PoseActError


class Window:
    """Shows one picture after the other; use it in a ``with`` block.

    Attributes:
        is_open: False once the user has closed it.

    Raises:
        PoseActError: Windows cannot be shown here.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter  # noqa: PLC0415 - some systems package it apart from Python
        except ModuleNotFoundError as error:
            raise PoseActError(
                "A window needs tkinter, which this Python lacks; install it (python3-tk on "
                "Debian), or leave --show out."
            ) from error
        self._new_photo = tkinter.PhotoImage
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise PoseActError(
                f"A window cannot be shown here ({error}); leave --show out."
            ) from error
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self.is_open = True

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self._root.destroy()

    def show(self, image: np.ndarray) -> None:
        """Show a picture, ``(H, W, 3)`` uint8 RGB."""
        _, data = cv2.imencode(".ppm", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        # Tk shows a picture only as long as somebody else holds it.
        self._photo = self._new_photo(master=self._root, data=data.tobytes(), format="PPM")
        self._label.configure(image=self._photo)
        self._root.update()

    def _close(self) -> None:
        self.is_open = False
