"""Turns the roles of docstrings, such as ``:class:`Name```, into links of the API reference."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`")


class SphinxRoles(griffe.Extension):
    """Names are looked up where the docstring stands, as Sphinx does."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:  # noqa: ARG002
        """Called once the whole package has been read."""
        replace_roles(pkg)


def replace_roles(scope: griffe.Object) -> None:
    """Replace the roles of an object and of what it contains."""
    if scope.docstring is not None:
        scope.docstring.value = ROLE.sub(
            lambda role: link(scope, role[2], short=bool(role[1])), scope.docstring.value
        )
    for member in scope.members.values():
        if isinstance(member, griffe.Object):
            replace_roles(member)


def link(scope: griffe.Object, name: str, *, short: bool) -> str:
    """HTML for a name: a link if the reference has a place for it, else the name alone."""
    text = f"<code>{name.rpartition('.')[2] if short else name}</code>"
    try:
        path = scope.resolve(name)
    except griffe.NameResolutionError:
        path = name
    return f'<autoref optional identifier="{path}">{text}</autoref>'
