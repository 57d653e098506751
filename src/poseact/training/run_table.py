"""The table of a training run."""

from __future__ import annotations

import csv
from pathlib import Path

from poseact._utils.boundary import one_sentence
from poseact._utils.files import atomic_write

Row = dict[str, float]


class RunTable:
    """A CSV file of rows with a step each; its columns grow with the rows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[Row]:
        """All rows, without the empty cells."""
        if not self.path.exists():
            return []
        damaged = f"The record {self.path} is damaged ({{error}}); remove or correct it."
        with one_sentence(damaged), self.path.open(newline="") as file:
            return [
                {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(file)
            ]

    def add(self, row: Row) -> None:
        self._write([*self.rows(), row])

    def cut(self, step: int) -> None:
        """Drop the rows after a step."""
        if self.path.exists():
            self._write([row for row in self.rows() if row["step"] <= step])

    def _write(self, rows: list[Row]) -> None:
        columns = list(dict.fromkeys(name for row in rows for name in row))

        def write(partial: Path) -> None:
            with partial.open("w", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)

        atomic_write(self.path, write)
