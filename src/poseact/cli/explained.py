"""Help texts of commands, taken from the docstrings of the functions they call.

The functions are not imported, for that would take seconds: their source is parsed when the help of
a command is printed.
"""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

_SECTION = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n|\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def explained_by(*functions: str) -> type[TyperCommand]:
    """A class of commands whose parameters are explained by docstrings.

    A parameter without help of its own gets that of the first function or data class with a
    parameter or attribute of its name, and so does an option its default.

    Args:
        functions: Full names, such as ``poseact.data.packed.pack.pack``.
    """

    class Command(TyperCommand):
        def format_help(self, ctx: Any, formatter: Any) -> None:
            texts: dict[str, str] = {}
            defaults: dict[str, object] = {}
            for function in reversed(functions):
                module, _, name = function.rpartition(".")
                tree = _parsed(module)
                kinds = (ast.FunctionDef, ast.ClassDef)
                node = next(n for n in tree.body if isinstance(n, kinds) and n.name == name)
                texts |= _texts(node)
                defaults |= _defaults(node, tree)
            without_default: list[TyperOption] = []
            for parameter in self.params:
                if isinstance(parameter, TyperOption | TyperArgument):
                    parameter.help = parameter.help or texts.get(parameter.name or "")
                if isinstance(parameter, TyperOption) and parameter.default is None:
                    without_default.append(parameter)
                    parameter.default = defaults.get(parameter.name or "")
            super().format_help(ctx, formatter)
            for parameter in without_default:
                parameter.default = None

    return Command


def given(**options: Any) -> dict[str, Any]:
    """The options that were given; the others keep the defaults of the function called."""
    return {name: value for name, value in options.items() if value is not None}


def _parsed(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"there is no module {module}")
    return ast.parse(Path(spec.origin).read_text("utf-8"))


def _texts(node: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """Descriptions of arguments or attributes from the docstring, as plain text."""
    sections = _SECTION.findall((ast.get_docstring(node) or "") + "\n")
    found = {name: text for section in sections for name, text in _ENTRY.findall(section)}
    for field, following in zip(node.body, node.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr):
            found[ast.unparse(field.target)] = ast.literal_eval(following.value)
    return {
        name: _ROLE.sub(r"\1", " ".join(text.split())).replace("``", "")
        for name, text in found.items()
    }


def _defaults(node: ast.FunctionDef | ast.ClassDef, module: ast.Module) -> dict[str, object]:
    """Defaults that are numbers or strings, also by way of named constants; None for others."""
    values = {name: _value(value, module) for name, value in _default_nodes(node)}
    shown = int | float | str
    return {
        name: value if isinstance(value, shown) and not isinstance(value, bool) else None
        for name, value in values.items()
    }


def _value(node: ast.expr | None, module: ast.Module) -> object:
    """The value of a literal or of a constant, which may be imported."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        for line in module.body:
            if isinstance(line, ast.Assign | ast.AnnAssign) and node.id == _target(line):
                return _value(line.value, module)
            if isinstance(line, ast.ImportFrom) and node.id in [name.name for name in line.names]:
                return _value(node, _parsed(line.module or ""))
    return None


def _target(line: ast.Assign | ast.AnnAssign) -> str:
    return ast.unparse(line.targets[0] if isinstance(line, ast.Assign) else line.target)


def _default_nodes(node: ast.FunctionDef | ast.ClassDef) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.ClassDef):
        fields = (field for field in node.body if isinstance(field, ast.AnnAssign))
        yield from ((ast.unparse(field.target), field.value) for field in fields)
        return
    arguments = node.args
    for argument, value in zip(arguments.args[::-1], arguments.defaults[::-1], strict=False):
        yield argument.arg, value
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield argument.arg, value
