"""Coloured timelines of actions: a strip below video frames, and a separate picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from poseact.actions.answers import UNKNOWN, Segment
from poseact.media.drawing import OUTLINE, Colour

UNKNOWN_COLOUR: Colour = (104, 110, 120)

_TEXT_COLOUR: Colour = (235, 238, 242)
_FAINT_COLOUR: Colour = (60, 65, 74)
_BAR_COLOUR: Colour = (38, 42, 50)

# More hues than this look alike, so lightness is varied too.
_MAX_PLAIN_HUES = 6

# Candidates for the seconds between two ticks.
_TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
_MAX_TICKS = 12

_LANE_PX = 26
_PICTURE_WIDTH = 1200
_MIN_STRIP_PX = 28


def action_colours(labels: Sequence[str]) -> dict[str, Colour]:
    """A colour for each action, and grey for unknown motion."""
    colours: dict[str, Colour] = {}
    for k, label in enumerate(labels):
        dark = len(labels) > _MAX_PLAIN_HUES and k % 2
        rgb = colorsys.hsv_to_rgb(k / len(labels), 0.62, 0.72 if dark else 0.98)
        red, green, blue = (round(255 * part) for part in rgb)
        colours[label] = (red, green, blue)
    return {**colours, UNKNOWN: UNKNOWN_COLOUR}


def strip_height(frame_height: int) -> int:
    """Height of the strip below frames in px; even, as video formats require."""
    return max(_MIN_STRIP_PX, 2 * round(frame_height / 24))


def draw_strip(
    segments: Sequence[Segment],
    colours: dict[str, Colour],
    *,
    span: tuple[float, float],
    now: float,
    size: tuple[int, int],
) -> np.ndarray:
    """Draw the name of the current action above a bar of all segments.

    Args:
        segments: In order.
        colours: As of :func:`action_colours`.
        span: Times at the left and right end of the bar in s.
        now: Current time in s, which is marked.
        size: Width and height of the strip in px.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    width, height = size
    strip = np.full((height, width, 3), OUTLINE, np.uint8)
    text_px = round(0.42 * height)
    top, pad = text_px + max(2, height // 10), max(2, height // 12)
    _fill(strip[top : height - pad], [(*span, _BAR_COLOUR)], span)
    blocks = [(s.start, s.end, colours[s.label]) for s in segments]
    _fill(strip[top : height - pad], blocks, span)
    thickness = max(3, width // 250)
    mark = int(np.clip(_column(now, span, width) - thickness // 2, 0, width - thickness))
    strip[top - 1 : height - pad + 1, mark : mark + thickness] = _TEXT_COLOUR
    current = next((s for s in reversed(segments) if s.start <= now), None)
    if current is not None:
        words = f"{current.label}  {100 * current.probability:.0f} %"
        _write(
            strip, words, (pad + 2, round(0.85 * text_px)), 0.8 * text_px, colours[current.label]
        )
    return strip


def timeline_picture(
    segments: Sequence[Segment],
    colours: dict[str, Colour],
    duration: float,
    width: int = _PICTURE_WIDTH,
) -> np.ndarray:
    """Draw the segments of a video over time, with one lane per action.

    Args:
        segments: In order, in seconds from 0.
        colours: As of :func:`action_colours`; gives the lanes.
        duration: Duration of the video in s.
        width: Width of the picture in px.

    Returns:
        ``(H, width, 3)`` uint8 RGB.
    """
    font = 0.55 * _LANE_PX
    margin = round(min(max(_text_width(label, font) for label in colours) + font, width / 3))
    picture = np.full((_LANE_PX * (len(colours) + 2), width, 3), OUTLINE, np.uint8)
    right = width - _LANE_PX
    span = (0.0, max(duration, 1e-3))
    bottom = _LANE_PX * len(colours) + _LANE_PX // 2
    for tick in _ticks(span[1]):
        x = margin + _column(tick, span, right - margin)
        picture[_LANE_PX // 2 : bottom, x] = _FAINT_COLOUR
        words = _clock(tick)
        left = x - _text_width(words, font) / 2
        _write(picture, words, (left, bottom + round(0.8 * _LANE_PX)), font, _TEXT_COLOUR)
    for lane, (label, colour) in enumerate(colours.items()):
        top = _LANE_PX // 2 + lane * _LANE_PX
        row = picture[top + 3 : top + _LANE_PX - 3, margin:right]
        _fill(row, [(s.start, s.end, colour) for s in segments if s.label == label], span)
        _write(picture[:, : margin - 4], label, (8, top + round(0.7 * _LANE_PX)), font, colour)
    return picture


def _fill(row: np.ndarray, blocks: Sequence[tuple[float, float, Colour]], span: tuple) -> None:
    """Draw the segments within the span, each at least one px wide."""
    width = row.shape[1]
    for start, end, colour in blocks:
        if end >= span[0] and start <= span[1]:
            left = _column(start, span, width)
            row[:, left : max(_column(end, span, width), left + 1)] = colour


def _column(time: float, span: tuple[float, float], width: int) -> int:
    share = (time - span[0]) / max(span[1] - span[0], 1e-9)
    return int(np.clip(round(share * width), 0, width))


def _ticks(duration: float) -> list[float]:
    step = next((step for step in _TICKS_S if duration / step <= _MAX_TICKS), _TICKS_S[-1])
    return [k * step for k in range(int(duration / step) + 1)]


def _clock(time: float) -> str:
    """A time as text: ``1.5 s``, ``2:05`` or ``1:00:00``."""
    if time < 60:
        return f"{time:g} s"
    minutes, seconds = divmod(round(time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _text_width(words: str, px: float) -> int:
    _, _, width, _ = cv2.getTextSize((0, 0), words, (0, 0), cv2.FontFace(), round(px), 400)
    return width


def _write(
    canvas: np.ndarray, words: str, place: tuple[float, float], px: float, colour: Colour
) -> None:
    """Write one line of text from the left end of its base line, cut off at the edge."""
    line = np.ascontiguousarray(canvas)
    x, y = place
    origin = (round(x), round(y))
    # The last argument prevents a line break at the edge.
    cv2.putText(line, words, origin, colour, cv2.FontFace(), round(px), 500, 0, (0, 1 << 20))
    canvas[:] = line
