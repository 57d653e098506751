"""Write the model card of a checkpoint from its header and its scores.

    poseact eval-pose small-open recipes/small-open.yaml --out runs/score
    python tools/write_card.py small-open runs/score/scores.json --pictures exercises \
        -o docs/model-cards/small-open.md

Pictures are copied for the named data alone, for many photos may not be passed on.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import yaml

import poseact
from poseact._utils.files import atomic_write
from poseact.evaluation.pose_report import Rows, joint_rows, mean_rows, part_rows
from poseact.evaluation.pose_results import PoseScores
from poseact.models.base import Network

CARD = """# Model card: {name}

| | |
|---|---|
| network | `{preset}`: {millions:.2f} M parameters, {blocks} prediction blocks, {size} px crops |
| predicts | {joints} joints (`{skeleton}`): x, y in px{depth}, confidence |
| weights | {weights} |
| licence of the weights | {licence} |

## Data and their terms

{data}

## Scores

{scores}
## What it does badly

{faults}
## How to repeat it

```sh
{commands}
```
{recipe}"""

RECIPE = """
The recipe, as it was run:

```yaml
{text}```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("weights", help="name of shipped weights, or file")
    parser.add_argument("scores", type=Path, nargs="+", help="scores.json of poseact eval-pose")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the card (.md)")
    parser.add_argument("--notes", type=Path, help="Markdown about what it does badly")
    parser.add_argument("--pictures", nargs="*", default=[], help="data whose pictures are free")
    args = parser.parse_args()
    reports = {path: json.loads(path.read_text()) for path in args.scores}
    notes = args.notes.read_text().strip() + "\n\n" if args.notes else ""
    pictures = copy_pictures(reports, args.pictures, args.out)
    card = render(
        args.out.stem, poseact.load(args.weights), list(reports.values()), notes, pictures
    )
    atomic_write(args.out, lambda partial: partial.write_text(card))


def render(
    name: str, network: Network, reports: list[dict[str, Any]], notes: str, pictures: str
) -> str:
    """The text of the card."""
    config, origin = network.config, network.card.provenance
    recipe = origin.get("recipe")
    train = [f"poseact train {reports[0]['recipe']}"] if recipe else []
    return CARD.format(
        name=name,
        preset=network.card.preset,
        millions=sum(p.numel() for p in network.parameters()) / 1e6,
        blocks=network.num_blocks,
        size=config.image_size,
        joints=config.num_joints,
        skeleton=config.skeleton.name,
        depth=", z in mm relative to the pelvis" if config.dims == 3 else "",
        weights=origin.get("weights", "unknown"),
        licence=network.card.licence,
        data=data_text(origin.get("data", {})),
        scores="\n".join(scores_text(report) for report in reports),
        faults=notes + pictures,
        commands="\n".join([*train, *(command(name, report) for report in reports)]),
        recipe=RECIPE.format(text=yaml.safe_dump(recipe, sort_keys=False)) if recipe else "",
    )


def data_text(data: dict[str, str] | list[str]) -> str:
    """What the weights were trained on."""
    entries = data if isinstance(data, list) else [f"{name}: {text}" for name, text in data.items()]
    return "\n".join(f"- {entry}" for entry in entries)


def scores_text(report: dict[str, Any]) -> str:
    """Tables and protocol of every data set of a `scores.json`."""
    text = ""
    for name, content in report["data"].items():
        scores = PoseScores.from_json(content)
        tables = (mean_rows(scores), joint_rows(scores), part_rows(scores))
        body = "\n\n".join(markdown(rows) for rows in tables if rows)
        text += f"### {name}\n\n{body}\n\nProtocol: {scores.protocol}.\n\n"
    return text


def markdown(rows: Rows) -> str:
    """A table whose numbers stand to the right."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|---{'|--:' * (len(rows[0]) - 1)}|", *lines[1:]])


def command(name: str, report: dict[str, Any]) -> str:
    """The command that made a `scores.json`."""
    options = report["options"]
    parts = [f"poseact eval-pose {name} {report['recipe']}"]
    parts += ["--flip"] if options["flip"] else []
    parts += [f"--crops {options['crops']}"] if options["crops"] != 1 else []
    parts += [f"--num-blocks {options['num_blocks']}"] if options["num_blocks"] else []
    parts += [f"--data {data}" for data in options["data"]]
    return " ".join(parts)


def copy_pictures(reports: dict[Path, dict[str, Any]], names: list[str], card: Path) -> str:
    """Copy the worst pictures into `images/` beside the card's folder; returns their Markdown."""
    text = ""
    for path, report in reports.items():
        for name in [name for name in names if name in report["data"]]:
            source = path.parent / f"{name}-worst.jpg"
            target = card.parent.parent / "images" / f"{card.stem}-{source.name}"
            atomic_write(target, lambda partial, s=source: partial.write_bytes(s.read_bytes()))
            link = Path(os.path.relpath(target, card.parent)).as_posix()
            caption = f"The worst of {name}: label white, prediction coloured"
            text += f"![{caption}]({link})\n\n"
    return text


if __name__ == "__main__":
    main()
