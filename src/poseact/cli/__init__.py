"""The command line: every command is a Python function of the same name and arguments."""

import logging
import sys
from typing import NoReturn

from rich.logging import RichHandler

from poseact._utils.errors import PoseActError
from poseact.cli import (
    action_commands,
    check_command,
    data_commands,
    dataset_commands,
    export_command,
    live_command,
    predict_commands,
    reproduce_command,
    studio_command,
    train_commands,
    weights_commands,
)
from poseact.cli.app import INTERRUPTED, PlainFormatter, app, make_console, make_output_safe

__all__ = [
    "action_commands",
    "app",
    "check_command",
    "data_commands",
    "dataset_commands",
    "export_command",
    "live_command",
    "main",
    "predict_commands",
    "reproduce_command",
    "studio_command",
    "train_commands",
    "weights_commands",
]

_EXTRAS = {
    **dict.fromkeys(("segno", "starlette", "uvicorn", "websockets"), "studio"),
    **dict.fromkeys(
        ("cdflib", "jinja2", "lightning", "matplotlib", "pycocotools", "tensorboard", "yaml"),
        "train",
    ),
}
"""The extra that installs each optional module."""


def main() -> None:
    """Entry point: a user error is printed as one sentence, with exit code 2."""
    make_output_safe()
    handler = RichHandler(console=make_console(stderr=True), show_time=False, show_path=False)
    handler.setFormatter(PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        app()
    except PoseActError as error:
        _refuse(str(error))
    except OSError as error:
        # Such as names that are too long, or folders that may not be looked into.
        _refuse(
            f"{error.filename or 'A file'} cannot be used ({error.strerror or error}); check the "
            "path, its permissions and the free disk space."
        )
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRAS:
            raise
        _refuse(
            f"This command needs {missing}, which is not installed; "
            f"install poseact with its extra: pip install 'poseact[{_EXTRAS[missing]}]'."
        )
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _refuse(sentence: str) -> NoReturn:
    make_console(stderr=True).print(f"error: {sentence}", style="red")
    sys.exit(2)
