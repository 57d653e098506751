"""Reproduction of the published tables, as far as data and weights are available."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from poseact._utils.device import on_device
from poseact._utils.errors import PoseActError
from poseact._utils.files import write_json
from poseact.evaluation.protocols.published import TABLES, Row
from poseact.evaluation.protocols.result import Result
from poseact.models.base import Network
from poseact.weights.checkpoint import load

OnRow = Callable[[str, int, int], None]
"""Called with the name of a row, the people or videos done and their total."""


@dataclass
class ReproducedRow:
    """A published row with our result.

    Attributes:
        row: The published row.
        result: Ours, None where it could not be measured.
        reason: Why there is no result.
    """

    row: Row
    result: Result | None = None
    reason: str = ""


@dataclass
class Reproduction:
    """Results of a reproduction.

    Attributes:
        json: All rows with their protocols.
        rows: Rows of the requested tables, by table.
    """

    json: Path
    rows: dict[str, list[ReproducedRow]] = field(default_factory=dict[str, list[ReproducedRow]])


def reproduce(
    names: Sequence[str],
    data: str | Path,
    out: str | Path = "poseact-reproduce",
    *,
    weights: Mapping[str, str] | None = None,
    limit: int | None = None,
    device: str | None = None,
    on_row: OnRow | None = None,
) -> Reproduction:
    """Reproduce the rows of published tables.

    A row whose data or weights are missing records that, and the other rows still run.
    ``reproduce.json`` is written after every row.

    Args:
        names: Tables, see :data:`poseact.evaluation.protocols.published.TABLES`; none for all.
        data: Folder with the data sets in folders ``mpii``, ``human36m``, ``penn-action``, ``ntu``.
        out: Folder for the results.
        weights: Files or names by preset, instead of the fetched ones.
        limit: Number of people or videos to score per row, for a quick test.
        device: Device of the network; CUDA by default if available.
        on_row: Called with the progress of a row.

    Raises:
        PoseActError: There is no such table, a preset or weights given for it do not exist, or the
            results cannot be written.
    """
    for name in names:
        if name not in TABLES:
            raise PoseActError(
                f"There is no table {name!r}; give one of {', '.join(TABLES)}, or none for all."
            )
    if limit is not None and limit < 1:
        raise PoseActError(f"limit={limit} was given; give 1 or more.")
    files = dict(weights or {})
    networks = {preset: _given(preset, file) for preset, file in files.items()}
    report = Reproduction(Path(out) / "reproduce.json")
    for name in names or TABLES:
        report.rows[name] = []
        for row in TABLES[name]:
            title = f"{name}, {row.preset}: {row.what}"
            found = _row(row, Path(data), files, networks, limit, device, title, on_row)
            report.rows[name].append(found)
            _write(report)
    return report


def _row(
    row: Row,
    data: Path,
    weights: Mapping[str, str],
    networks: dict[str, Network],
    limit: int | None,
    device: str | None,
    title: str,
    on_row: OnRow | None,
) -> ReproducedRow:
    root = data / row.protocol.data
    if not root.is_dir():
        return ReproducedRow(row, reason=f"not run: data not found at {root}")
    try:
        name = weights.get(row.preset, row.preset)
        if row.preset not in networks:
            networks[row.preset] = load(name)
        network = networks[row.preset]
        _check_preset(network, name, row.preset)
        network = on_device(device, network.to)
        result = row.protocol.run(
            network.eval(),
            root,
            limit=limit,
            weights=Path(name).name,
            on_step=lambda done, total: on_row(title, done, total) if on_row else None,
        )
    except PoseActError as error:
        return ReproducedRow(row, reason=f"not run: {error}")
    return ReproducedRow(row, result)


def _given(preset: str, name: str) -> Network:
    """Weights given by the user, which must exist and be of a preset with a row."""
    presets = dict.fromkeys(row.preset for rows in TABLES.values() for row in rows)
    if preset not in presets:
        raise PoseActError(
            f"Weights of {preset} were given, but no table has a row for it; give those of "
            f"{', '.join(presets)}."
        )
    return load(name)


def _check_preset(network: Network, name: str, preset: str) -> None:
    if network.card.preset != preset:
        raise PoseActError(
            f"{name} holds weights of {network.card.preset}, not of {preset}; give others."
        )


def _write(report: Reproduction) -> None:
    content: dict[str, Any] = {"version": version("poseact"), "tables": {}}
    for name, rows in report.rows.items():
        content["tables"][name] = [
            {
                "what": found.row.what,
                "preset": found.row.preset,
                "published": found.row.published,
                "source": found.row.source,
                "ours": found.result.to_json() if found.result else None,
                "reason": found.reason,
            }
            for found in rows
        ]
    write_json(report.json, content)
