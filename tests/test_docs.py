"""The docs keep up with the package; that their links hold, ``mkdocs build --strict`` checks."""

from __future__ import annotations

import pkgutil
import re

import poseact
from helpers.paths import ROOT

DOCS = ROOT / "docs"
RECIPES = ROOT / "recipes"

WITHOUT_PAGE = {"__main__", "assets", "cli"}
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
