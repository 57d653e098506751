"""Commands about weights."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from poseact.cli.app import app, make_console
from poseact.cli.explained import explained_by

weights_app = typer.Typer(help="List, fetch and show weights.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")


@app.command("import-keras", cls=explained_by("poseact.weights.keras_import.import_keras"))
def import_keras_command(
    path: Annotated[Path, typer.Argument(metavar="FILE")],
    preset: Annotated[str, typer.Option()],
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint (.safetensors) to write.")],
) -> None:
    """Convert one of the authors' Keras files to a PoseAct checkpoint."""
    from poseact.weights.checkpoint import save
    from poseact.weights.keras_import import import_keras

    network = import_keras(path, preset)
    save(network, out)
    console = make_console()
    console.print(f"{path.name}: {network.card.provenance['import']}")
    console.print(f"Checkpoint: {out}")


@weights_app.command("list")
def weights_list_command() -> None:
    """List the shipped weights and the authors' published files."""
    from poseact.weights.catalogue import PUBLISHED
    from poseact.weights.checkpoint import describe
    from poseact.weights.weight_files import shipped_weights

    console = make_console()
    shipped = Table("name", "preset", "licence", title="Shipped with the package")
    for name in shipped_weights():
        header = describe(name)
        shipped.add_row(name, header["preset"], header["licence"])
    console.print(shipped)
    published = Table(title="Published by the authors")
    for column in ("preset", "file", "release", "md5", "licence"):
        published.add_column(column, overflow="fold")
    for file in PUBLISHED:
        where = file.release or "by hand"
        published.add_row(file.preset, file.file_name, where, file.md5 or "–", file.licence)
    console.print(published)
    for file in PUBLISHED:
        # Not in the table, which would break the address into lines.
        console.print(f"{file.preset}: {file.url}")


@weights_app.command("fetch", cls=explained_by("poseact.weights.catalogue.fetch"))
def weights_fetch_command(
    preset: str,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also import it into this .safetensors file.")
    ] = None,
) -> None:
    """Download and verify the authors' file of a preset."""
    from poseact.weights.catalogue import fetch

    console = make_console()
    with Progress(console=console) as progress:
        task = progress.add_task(preset, total=None)
        path = fetch(
            preset,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    console.print(f"Verified file: {path}")
    if out is not None:
        import_keras_command(path, preset, out)


@weights_app.command("show")
def weights_show_command(
    weights: Annotated[str, typer.Argument(help="Shipped name or .safetensors file.")],
) -> None:
    """Print the header of a checkpoint: preset, skeleton, provenance, licence."""
    from poseact.weights.checkpoint import describe

    Console().print_json(json.dumps(describe(weights)))
