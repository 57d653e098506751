"""Options that several commands have, and how their values are read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from poseact._utils.errors import PoseActError
from poseact.cli.explained import given

if TYPE_CHECKING:
    from poseact.clips.extract import ReadingOptions

DeviceOption = Annotated[
    str | None,
    typer.Option(help="Device of the network, such as cpu; by default CUDA if available."),
]
RuntimeChoice = Literal["torch", "onnx", "openvino", "auto"] | None
RuntimeOption = Annotated[
    RuntimeChoice,
    typer.Option(help="Runtime of the pose network; by default auto, the fastest one installed."),
]
PrecisionOption = Annotated[
    Literal["fp32", "bf16", "int8", "auto"] | None,
    typer.Option(
        help="Number format of the pose network; auto, the default of predict and live, takes bf16 "
        "where it is faster, all others take fp32."
    ),
]
PeopleOption = Annotated[
    str,
    typer.Option(
        help="all: everyone in view; a number N: the N largest people; one: assume exactly one "
        "person, located by the pose network without the person detector."
    ),
]


def people_of(text: str) -> Any:
    """The value of ``--people``; words are checked by the function that takes them."""
    return int(text) if text.isdecimal() else text


def reading_options(
    workers: int | None, device: str | None, runtime: str | None, precision: str | None
) -> "ReadingOptions":
    """How videos are read; what was not given keeps its default.

    Raises:
        PoseActError: There is less than one worker.
    """
    from poseact.clips.extract import ReadingOptions

    options = given(workers=workers, device=device, runtime=runtime, precision=precision)
    return ReadingOptions(**options)


def parsed_changes(
    changes: Sequence[str], option: str = "--set", example: str = "network.changes.frames=8"
) -> dict[str, Any]:
    """``FIELD=VALUE`` as values by field; the values are YAML.

    Raises:
        PoseActError: There is no ``=``, or the value is not YAML.
    """
    from poseact._utils.yaml_text import parse_yaml

    parsed: dict[str, Any] = {}
    for change in changes:
        field, equals, value = change.partition("=")
        try:
            parsed[field] = parse_yaml(value)
        except ValueError:
            equals = ""
        if not equals or not field:
            raise PoseActError(
                f"{option} {change!r} was given; give NAME=VALUE, such as {example}."
            )
    return parsed
