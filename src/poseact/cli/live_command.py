"""The command that recognises actions live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from poseact._utils.errors import PoseActError
from poseact.cli.app import INTERRUPTED, app, make_console
from poseact.cli.explained import explained_by, given
from poseact.cli.options import (
    DeviceOption,
    PeopleOption,
    PrecisionOption,
    RuntimeOption,
    people_of,
)

if TYPE_CHECKING:
    from poseact.inference.live import LiveReport
    from poseact.inference.stream import StreamAnswer


@app.command(
    "live",
    cls=explained_by(
        "poseact.inference.live.run_live",
        "poseact.inference.live_source.live_source",
        "poseact.inference.stream.Stream",
    ),
)
def live_command(
    weights: Annotated[str, typer.Option(help="File that 'poseact train-actions' wrote.")],
    spec: Annotated[str, typer.Option("--source")] = "0",
    show: bool = False,
    out: Path | None = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
    policy: Literal["latest", "all"] | None = None,
    realtime: bool = False,
    patience: Annotated[
        float | None, typer.Option(help="Give up a lost source after this many seconds.")
    ] = None,
    num_blocks: int | None = None,
    device: DeviceOption = None,
    runtime: RuntimeOption = None,
    precision: PrecisionOption = None,
    people: PeopleOption = "all",
    smooth: bool = True,
) -> None:
    """Recognise the actions of everyone in view, live, and print every change."""
    from poseact.inference.live import run_live
    from poseact.inference.live_source import BackOff, live_source
    from poseact.inference.stream import Stream

    if patience is not None and not patience >= 0:
        raise PoseActError(f"--patience {patience} was given; give seconds, 0 or more.")
    back_off = BackOff() if patience is None else BackOff(patience_s=patience)
    pictures = live_source(spec, policy=policy, realtime=realtime, back_off=back_off)
    stream = Stream(
        weights,
        num_blocks,
        device,
        people_of(people),
        smooth,
        **given(runtime=runtime, precision=precision),
    )
    changes = Changes(as_json)
    report = run_live(stream, pictures, show=show, out=out, on_answers=changes.on_answers)
    changes.finish()
    typer.echo(json.dumps(_facts(report)) if as_json else _summary(report), err=not as_json)
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)


class Changes:
    """Prints an answer when the action of its person changes."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._labels: dict[int, str] = {}
        self._last: list[StreamAnswer] = []

    def on_answers(self, answers: list[StreamAnswer]) -> None:
        self._last = answers or self._last
        for answer in answers:
            if answer.complete and answer.label != self._labels.get(answer.pose.person):
                self._print(answer)

    def finish(self) -> None:
        """Print the answers of a source that was shorter than a window."""
        if not self._labels:
            for answer in self._last:
                self._print(answer)

    def _print(self, answer: StreamAnswer) -> None:
        self._labels[answer.pose.person] = answer.label
        if self._as_json:
            facts = {
                "time": round(answer.pose.time, 3),
                "frame": answer.pose.frame,
                "person": answer.pose.person,
                "label": answer.label,
                "probability": round(answer.probability, 4),
                "latency_ms": round(answer.latency_ms, 1),
            }
            typer.echo(json.dumps(facts, ensure_ascii=False))
        else:
            share = f"{100 * answer.probability:.0f} %"
            who = f"person {answer.pose.person}"
            make_console().print(f"{answer.pose.time:8.1f} s  {who}  {answer.label}  {share}")


def _facts(report: LiveReport) -> dict[str, object]:
    """The summary as JSON values."""
    return {
        "frames": report.frames,
        "fps": round(report.fps, 1),
        "latency_p50_ms": round(report.latency.p50_ms, 1) if report.frames else None,
        "latency_p95_ms": round(report.latency.p95_ms, 1) if report.frames else None,
        "source_fps": round(report.source_fps, 1) if report.source_fps else None,
        "dropped": report.dropped,
        "reconnections": report.reconnections,
        "out": str(report.out) if report.out else None,
    }


def _summary(report: LiveReport) -> str:
    if not report.frames:
        return "The source gave no picture."
    latency = report.latency
    p50, p95 = latency.frames(report.source_fps or report.fps)
    lines = [
        f"{report.frames} frames at {report.fps:.1f} fps, {report.dropped} dropped, "
        f"source lost {report.reconnections} times",
        f"Latency: median {latency.p50_ms:.0f} ms ({p50:.1f} frames), "
        f"95 % below {latency.p95_ms:.0f} ms ({p95:.1f} frames)",
    ]
    if report.out is not None:
        lines.append(f"Video: {report.out}")
    return "\n".join(lines)
