"""CSV as typed by hand or saved by spreadsheets."""

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TextIO

_SEPARATORS = ",;\t"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows_of(file: TextIO) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The columns of a table, and its rows with the numbers of their lines.

    The separator is the one of ``,``, ``;`` and the tab that the first line has most of; a line
    ``sep=;`` before it, which spreadsheets write, is passed over. Column names are put in lower
    case. Blanks around cells are left out; missing cells are empty, and surplus ones are not read.

    Args:
        file: At its start, opened with ``newline=""``.

    Raises:
        csv.Error: A line is not CSV, or a column is there twice; the rows raise it too.
    """
    first = file.readline()
    passed = int(first.startswith("sep="))
    first = file.readline() if passed else first
    separator = max(_SEPARATORS, key=first.count)
    # Strict: otherwise an unclosed quote would turn the rest of the file into one cell.
    lines = csv.reader(
        chain([first], file), delimiter=separator, skipinitialspace=True, strict=True
    )
    columns = [cell.strip().lower() for cell in next(lines, list[str]())]
    if repeated := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise csv.Error(f"the column {repeated[0]} occurs twice")

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for cells in lines:
            if cells:
                filled = [*cells, *[""] * len(columns)]
                row = {name: cell.strip() for name, cell in zip(columns, filled, strict=False)}
                yield lines.line_num + passed, row

    return columns, rows()


def number_of(cell: str) -> float:
    """Parse a number; a decimal comma is accepted, as some spreadsheets write it.

    Raises:
        ValueError: The text is not a number.
    """
    return float(cell.replace(",", "."))


def escaped(cell: str) -> str:
    """Escape text that a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def unescaped(cell: str) -> str:
    """The text that :func:`escaped` was given."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell
