"""The colours of the pages can be read: contrast of WCAG 2.2, level AA."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

STYLE = (files("poseact.studio") / "web" / "style.css").read_text(encoding="utf-8")
LIGHT, DARK, DARK_BY_SYSTEM = re.findall(r":root[^{]*\{([^}]*)\}", STYLE)[:3]

TEXTS = [
    *((text, back) for text in ("text", "faint", "accent", "bad") for back in ("back", "card")),
    *(("text", "soft"), ("faint", "soft"), ("on-accent", "accent")),
]


# What tells where a field is, and which one has the focus.
EDGES = [(edge, back) for edge in ("edge", "accent") for back in ("back", "card", "soft")]


def colours(block):
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})", block))


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(block, one, other):
    found = colours(block)
    low, high = sorted(luminance(found[name]) for name in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("block", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "back"), TEXTS)
def test_texts_stand_out_from_their_background(block, text, back):
    assert contrast(block, text, back) >= 4.5


@pytest.mark.parametrize("block", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("edge", "back"), EDGES)
def test_edges_stand_out_from_their_background(block, edge, back):
    assert contrast(block, edge, back) >= 3


def test_the_dark_of_the_system_is_the_dark_of_the_button():
    assert colours(DARK) == colours(DARK_BY_SYSTEM)
