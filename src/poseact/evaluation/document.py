"""A report of text, tables and pictures, as Markdown and as one HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poseact._utils.files import atomic_write

Rows = Sequence[Sequence[str]]
"""A table: the heading, then the rows."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1d23; background: #fff }
h1, h2 { line-height: 1.2 }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #d8dbe0; text-align: right }
th:first-child, td:first-child { text-align: left }
img { max-width: 100%; height: auto }
"""


@dataclass(frozen=True)
class Picture:
    """A picture with what it shows.

    Attributes:
        path: PNG.
        caption: Plain text.
    """

    path: Path
    caption: str


@dataclass
class Section:
    """A part of a report.

    Attributes:
        title: Of the section.
        text: Paragraphs of plain text.
        table: Numbers; empty for none.
        pictures: Below it.
    """

    title: str
    text: list[str] = field(default_factory=list)
    table: Rows = ()
    pictures: list[Picture] = field(default_factory=list)


def write_markdown(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a report as Markdown that links to its pictures.

    Raises:
        PoseActError: The file cannot be written.
    """
    blocks = [f"# {_escaped(title)}"]
    for section in sections:
        blocks.append(f"## {_escaped(section.title)}")
        blocks += [_escaped(text) for text in section.text]
        if section.table:
            blocks.append(markdown_table(section.table))
        for picture in section.pictures:
            place = picture.path.relative_to(path.parent).as_posix()
            blocks.append(f"{_escaped(picture.caption)}\n\n![{_escaped(picture.caption)}]({place})")
    text = "\n\n".join(blocks) + "\n"
    atomic_write(path, lambda partial: partial.write_text(text, "utf-8"))


def write_html(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a report as one HTML file that holds its pictures.

    Raises:
        PoseActError: The file cannot be written.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{html.escape(section.title)}</h2>")
        body += [f"<p>{html.escape(text)}</p>" for text in section.text]
        body += [_html_table(section.table)] if section.table else []
        body += [_html_picture(picture) for picture in section.pictures]
    text = "\n".join(
        (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
            *body,
            "</body></html>\n",
        )
    )
    atomic_write(path, lambda partial: partial.write_text(text, "utf-8"))


def markdown_table(rows: Rows) -> str:
    """A table, its first column to the left and the others to the right."""
    heading, *body = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    ruler = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join((heading, ruler, *body))


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text


def _html_table(rows: Rows) -> str:
    lines = []
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        lines.append("".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row))
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _html_picture(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = html.escape(picture.caption)
    return f'<p>{caption}</p><img alt="{caption}" src="data:image/png;base64,{data}">'
