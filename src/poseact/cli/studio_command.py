"""The command that opens the studio in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from poseact.cli.app import app, make_console
from poseact.cli.explained import explained_by, given


@app.command("studio", cls=explained_by("poseact.studio.server.run_studio"))
def studio_command(
    folder: Annotated[Path, typer.Argument()] = Path("clips"),
    port: int | None = None,
    host: str | None = None,
    browser: bool = True,
    skeleton_only: bool = False,
) -> None:
    """Film, label, train and watch actions in the browser."""
    # What follows takes some seconds.
    make_console(stderr=True).print("The studio is starting …")

    from poseact.studio.server import run_studio

    run_studio(
        folder,
        **given(port=port, host=host),
        browser=browser,
        skeleton_only=skeleton_only,
        on_start=_print_link,
    )


def _print_link(link: str) -> None:
    console = make_console()
    console.print(f"The studio is at {link}")
    if "token=" in link:
        console.print("Anyone who has this link can see and change everything in the folder.")
    console.print("Press Ctrl-C to stop it.")
