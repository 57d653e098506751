"""A report of text, tables and pictures, as Markdown and as one HTML file."""

import base64
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment

from poseact._utils.files import atomic_write

Rows = Sequence[Sequence[str]]
"""A table: the heading, then the rows."""


class Report(NamedTuple):
    """Files of a report.

    Attributes:
        markdown: ``report.md``, with the pictures beside it.
        html: ``report.html``, the same in one file.
    """

    markdown: Path
    html: Path


@dataclass(frozen=True)
class Picture:
    """A picture with its caption.

    Attributes:
        path: PNG or JPEG.
        caption: Plain text.
    """

    path: Path
    caption: str

    def as_url(self) -> str:
        """The picture as a ``data:`` URL."""
        kind, _ = mimetypes.guess_type(self.path.name)
        return f"data:{kind};base64,{base64.b64encode(self.path.read_bytes()).decode()}"


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
    text: list[str] = field(default_factory=list[str])
    table: Rows = ()
    pictures: list[Picture] = field(default_factory=list[Picture])


def write_report(out: Path, title: str, sections: Sequence[Section]) -> Report:
    """Write a report into a folder, as Markdown and as HTML.

    Raises:
        PoseActError: A file cannot be written.
    """
    report = Report(out / "report.md", out / "report.html")
    write_markdown(report.markdown, title, sections)
    write_html(report.html, title, sections)
    return report


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
    template = (files("poseact.assets") / "report.html").read_text("utf-8")
    page = Environment(autoescape=True).from_string(template)
    text = page.render(title=title, sections=sections) + "\n"
    atomic_write(path, lambda partial: partial.write_text(text, "utf-8"))


def markdown_table(rows: Rows) -> str:
    """A table with the first column aligned to the left, the others to the right."""
    heading, *body = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    ruler = "|---|" + "---:|" * (len(rows[0]) - 1)
    return "\n".join((heading, ruler, *body))


def _escaped(text: str) -> str:
    """Text with Markdown's characters escaped."""
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
