"""The docs keep up with the package; that their links hold, ``mkdocs build --strict`` checks."""

from __future__ import annotations

import ast
import pkgutil
import re
import runpy

import poseact
from helpers.paths import ROOT

DOCS = ROOT / "docs"
RECIPES = ROOT / "recipes"
PACKAGE = ROOT / "src/poseact"

WITHOUT_PAGE = {"__main__", "assets", "cli", "studio"}
"""Modules that nobody imports."""


def test_every_module_is_in_the_api_reference():
    pages = "".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"^::: poseact\.(\w+)$", pages, re.MULTILINE))
    modules = {module.name for module in pkgutil.iter_modules(poseact.__path__)}
    assert modules - WITHOUT_PAGE == documented


def test_every_recipe_is_on_the_page_of_recipes():
    page = (DOCS / "recipes.md").read_text("utf-8")
    assert [recipe.name for recipe in RECIPES.rglob("*.yaml") if recipe.name not in page] == []


def test_every_picture_is_shown():
    pages = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    pictures = [path.name for path in (DOCS / "images").iterdir()]
    assert [name for name in pictures if name not in pages] == []


def test_the_picture_of_the_layers_is_up_to_date():
    tool = runpy.run_path(str(ROOT / "tools/draw_layers.py"))
    drawn = (DOCS / "images/layers.svg").read_text("utf-8")
    assert drawn == tool["drawing"](), "run: python tools/draw_layers.py docs/images/layers.svg"


def test_journeys_are_short_and_lead_downwards():
    page = (DOCS / "architecture.md").read_text("utf-8")
    order = runpy.run_path(str(ROOT / "tools/draw_layers.py"))["layers"]()
    journeys = re.split(r"^\*\*.*\*\*$", page.partition("## The papers")[0], flags=re.MULTILINE)[1:]
    assert len(journeys) == 3
    for journey in journeys:
        files = re.findall(r"^\| `(\S+\.py)` \|", journey, re.MULTILINE)
        assert 3 < len(files) <= 8
        assert [file for file in files if not (PACKAGE / file).is_file()] == []
        layers = [order.index(file.partition("/")[0].removesuffix(".py")) for file in files]
        assert layers == sorted(layers)


def test_every_part_of_the_papers_is_where_the_page_says():
    page = (DOCS / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| (.+) \| (`\S+\.py`.*) \|$", page, re.MULTILINE)
    assert len(rows) > 15
    for names, files in rows:
        trees = [ast.parse((PACKAGE / file).read_text()) for file in re.findall(r"`(\S+)`", files)]
        defined = {
            node.name
            for tree in trees
            for node in tree.body
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
        }
        assert set(re.findall(r"`(\w+)`", names)) <= defined
