"""The command that exports networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact.cli.app import app, make_console
from poseact.cli.explained import explained_by, given


@app.command("export", cls=explained_by("poseact.runtime.export.export_bundle"))
def export_command(
    weights: str,
    out: Annotated[Path, typer.Option("--out", "-o")],
    to: Literal["onnx", "openvino", "pt2"] = "onnx",
    precision: Literal["fp32", "bf16", "int8"] | None = None,
    people: bool = False,
    force: Annotated[bool, typer.Option("--force")] = False,
) -> None:
    """Export networks to a folder that runs without PoseAct."""
    from poseact.runtime.export import export_bundle

    console = make_console()
    report = export_bundle(
        *(weights, out, to),
        **given(precision=precision),
        people=people,
        force=force,
        on_step=lambda step: console.print(f"{step} …"),
    )
    for name, away in report.parity.items():
        console.print(f"{name}: largest difference from PyTorch {away:.1e}")
    if report.pck_loss is not None:
        console.print(f"8-bit numbers cost {report.pck_loss:.1f} points of PCK.")
    console.print(f"Written: {report.out}; try: python {report.out / 'run.py'} PHOTO")
