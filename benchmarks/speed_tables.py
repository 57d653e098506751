"""The results of benchmarks/speed.py as tables of the documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure_workers

from poseact._utils.files import atomic_write

START, END = "<!-- measured by benchmarks/speed.py -->", "<!-- end of measured -->"


def text(result: dict[str, Any]) -> str:
    """All parts of the page on runtimes, each with its machine."""
    blocks = []
    for name, block in _BLOCKS.items():
        if name in result:
            blocks.append(f"{_place(result[name])}:\n\n{block(result[name])}")
    return "\n\n".join(blocks)


def write_pages(folder: Path, result: dict[str, Any]) -> None:
    """Replace the measured parts of ``runtimes.md`` and ``large-scale.md``."""
    _write(folder / "runtimes.md", text(result))
    if "workers" in result:
        _write(folder / "large-scale.md", workers(result["workers"]))


def workers(part: dict[str, Any]) -> str:
    """The measured part of the page on large collections."""
    return measure_workers.section(part, _place(part))


def _place(part: dict[str, Any]) -> str:
    where = part["where"]
    return f"{where['machine']}, load {where['load']} before the start, {where['date']}"


def _table(head: str, rows: list[tuple[Any, ...]]) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|---|" + "---:|" * (columns - 1)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _networks(part: dict[str, Any]) -> str:
    rows = [(name, row["ms"]) for name, row in part["runtimes"].items()]
    tables = [_table("one crop, default weights and competitors | ms", rows)]
    rows = []
    for name, row in part["presets"].items():
        now = row["torch fp32"]["ms"]
        before = [
            f"{row[one]['ms']} ({row[one]['ms'] / now:.2f})" if one in row else "–"
            for one in ("earlier", "earlier, spinning")
        ]
        size = f"{row['parameters'] / 1e6:.1f} M", row["gflop"]
        rows.append((f"`{name}`", *size, now, *before))
    head = (
        "forward pass in PyTorch, batch 1 | parameters | GFLOP | ms | earlier, ms (ratio) | "
        "the same with threads that spin"
    )
    return "\n\n".join([*tables, _table(head, rows)])


def _growth(part: dict[str, Any]) -> str:
    rows = [
        (f"a frame, {kind}: {name}", f"{ms} ms")
        for kind, values in part["frame_ms"].items()
        for name, ms in values.items()
    ]
    rows += [(f"`predict` of {count} photos", f"{s} s") for count, s in part["photos_s"].items()]
    rows += [
        (f"`predict` of 1080p in {name}, a frame", f"{row['ms']} ms, {row['peak_mb']} MB at most")
        for name, row in part["video_1080p"].items()
    ]
    rows += [
        (f"`predict` of {k}, one core, a frame", f"{ms} ms") for k, ms in part["jobs_ms"].items()
    ]
    return _table("growth | time", rows)


def _live(part: dict[str, Any]) -> str:
    rows = []
    for people in ("1", "4"):
        row = part[people]
        memory = f"{max(row['resident_mb'].values()):.0f} MB, {row['growth_mb']:+.1f} MB"
        latency = f"{row['p50_ms']}, {row['p95_ms']}"
        rows.append((people, row["runtime"], row["fps"], latency, row["head_ms"], memory))
    frames = part["1"]["frames"]
    head = (
        "people at 640x480, one core | runtime | frames/s | ms: median, 95 % | heads, ms | "
        f"memory, and its growth from frame {frames // 10:,} to {frames:,}"
    )
    return _table(head, rows)


def _clips(part: dict[str, Any]) -> str:
    rows = [(count, seconds) for count, seconds in part.items() if count != "where"]
    return _table("clips, from videos to the report of `train-actions` | s", rows)


def _training(part: dict[str, Any]) -> str:
    names = ("images_per_second", "wait_share", "share_of_peak")
    head = (
        f"training `{part['preset']}` at {part['image_size']} px, {part['processes']} processes, "
        f"batches of {part['batch']} | images/s | waiting for data | share of matrix products"
    )
    rows = part["precisions"].items()
    return _table(head, [(f"precision {bits}", *(own[k] for k in names)) for bits, own in rows])


_BLOCKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "networks": _networks,
    "growth": _growth,
    "live": _live,
    "clips": _clips,
    "training": _training,
}


def _write(page: Path, content: str) -> None:
    head, _, rest = page.read_text("utf-8").partition(START)
    tail = rest.partition(END)[2] if rest else "\n"
    whole = f"{head.rstrip()}\n\n{START}\n\n{content}\n\n{END}{tail}"
    atomic_write(page, lambda path: path.write_text(whole, "utf-8"))
