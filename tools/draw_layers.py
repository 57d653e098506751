"""Draw the layers of the package from the contract that ``lint-imports`` checks.

    python tools/draw_layers.py docs/images/layers.svg

The text beside each layer is the first sentence of its docstring.
"""

from __future__ import annotations

import argparse
import ast
import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
WIDTH, ROW, GAP, NAME_WIDTH, ARROW_WIDTH = 860, 30, 4, 120, 30
# Fill of the layers by what they are for, from top to bottom.
COLOURS = {
    "cli": "#e8eaf6",
    "clips": "#e3f2fd",
    "recipe": "#e8f5e9",
    "weights": "#fff3e0",
    "media": "#f5f5f5",
}


def layers() -> list[str]:
    """The layers of the contract, the topmost first; those of one level are joined by a bar."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    return contract["layers"]


def purpose(layer: str) -> str:
    """First sentence of the docstring of a folder or module of the package."""
    place = ROOT / "src" / "poseact" / layer
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").removesuffix(".")


def drawing() -> str:
    """The picture as SVG."""
    rows = [name.strip() for level in layers() for name in level.split("|")]
    height = len(rows) * (ROW + GAP) + GAP
    middle = ARROW_WIDTH // 2
    shapes = [
        f'<line x1="{middle}" y1="{GAP}" x2="{middle}" y2="{height - 14}" stroke="#888" '
        'stroke-width="2"/>',
        f'<path d="M{middle - 6} {height - 16} h12 l-6 12 z" fill="#888"/>',
    ]
    fill = COLOURS[rows[0]]
    for number, layer in enumerate(rows):
        fill = COLOURS.get(layer, fill)
        top = GAP + number * (ROW + GAP)
        baseline = top + ROW // 2 + 5
        shapes += [
            f'<rect x="{ARROW_WIDTH}" y="{top}" width="{WIDTH - ARROW_WIDTH - 2}" height="{ROW}" '
            f'rx="4" fill="{fill}" stroke="#bbb"/>',
            f'<text x="{ARROW_WIDTH + 12}" y="{baseline}" font-family="monospace" font-size="14" '
            f'font-weight="bold" fill="#222">{layer}</text>',
            f'<text x="{ARROW_WIDTH + NAME_WIDTH}" y="{baseline}" font-family="sans-serif" '
            f'font-size="13" fill="#333">{escape(purpose(layer))}</text>',
        ]
    body = "\n".join(f"  {shape}" for shape in shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="The layers of the package">\n{body}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.parse_args().out.write_text(drawing(), encoding="utf-8")


if __name__ == "__main__":
    main()
