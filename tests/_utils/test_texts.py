"""Tables and recipes as text."""

from __future__ import annotations

import csv

import pytest

from poseact._utils.csv_rows import escaped, number_of, rows_of, unescaped
from poseact._utils.yaml_text import parse_yaml


def growing(first: str, form: str, step: str) -> str:
    """Lines of YAML each of which stands for several times the one before."""
    lines = [f"k0: &k0 {first}"]
    lines += [f"k{n}: &k{n} {form % ', '.join([f'*k{n - 1}'] * 9)}" for n in range(1, 12)]
    return step.join(lines)


@pytest.mark.parametrize(
    "text",
    [
        *("a: 2024-99-99", "a: !!int x", "a: " + "9" * 5000, "a: 99999999999999999999"),
        *("[" * 10**5, "&a [*a]", "x" * 10**6, "!!python/object/apply:os.getcwd []"),
        growing("[x]", "[%s]", "\n"),
        growing("{x: 1}", "{<<: [%s]}", "\n"),
    ],
)
def test_yaml_that_makes_no_sense_or_grows(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_yaml(text)


def test_yaml():
    assert parse_yaml("a: &a [1, 2.5, x]\nb: *a\nc: {<<: {d: 1}, e: null}") == {
        "a": [1, 2.5, "x"],
        "b": [1, 2.5, "x"],
        "c": {"d": 1, "e": None},
    }


@pytest.mark.parametrize("separator", [",", ";", "\t", ", ", " ; "])
def test_tables_of_any_separator(tmp_path, separator):
    lines = [
        ("file ", " start", "label"),
        ("a.mp4", "1", "x"),
        (),
        ("b.mp4", "2"),
        ("c", "3", "y", "z"),
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(separator.join(line) for line in lines))
    with path.open(newline="") as file:
        columns, rows = rows_of(file)
        found = list(rows)
    assert columns == ["file", "start", "label"]
    assert found == [
        (2, {"file": "a.mp4", "start": "1", "label": "x"}),
        (4, {"file": "b.mp4", "start": "2", "label": ""}),
        (5, {"file": "c", "start": "3", "label": "y"}),
    ]


def test_decimal_commas():
    assert number_of("1,5") == number_of("1.5") == 1.5


@pytest.mark.parametrize("cell", ["=cmd|calc.mp4", "+1", "-x", "@a", "\tx", "a=b", "'x", "'=x", ""])
def test_formulas_are_escaped_and_come_back(tmp_path, cell):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerow([escaped(cell)])
    with (tmp_path / "a.csv").open(newline="") as file:
        (found,) = next(csv.reader(file))
    assert found[:1] not in ("=", "+", "-", "@", "\t")
    assert unescaped(found) == cell
