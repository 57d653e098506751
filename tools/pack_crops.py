"""Pack the training people of a recipe for tools/gpu_train.py.

    python tools/pack_crops.py recipes/small-open.yaml packs/small-open

writes ``NAME-000.safetensors`` … of each data set: JPEG crops around the people with room for
augmentation, and their labels; ``start.safetensors``, the network that the training begins with;
and ``pack.json``, the recipe and how the crops were cut. No file is larger than 40 MB. The photos
are not this project's to pass on: never commit a pack.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from safetensors.numpy import save

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write
from poseact.data.augment import make_crop
from poseact.data.sample import PoseSample, evenly_spaced
from poseact.data.unreadable import UnreadableTally, existing
from poseact.media.crop import crop_matrix, person_square
from poseact.recipe import Recipe, load_recipe
from poseact.training.initial_weights import first_network
from poseact.weights import checkpoint

FILE_BYTES = 38 * 10**6
"""Of the pictures in one file; labels and header are added."""
ROOM = 1.5
"""Side of a packed crop in windows of its person."""


class PackedPerson(NamedTuple):
    """A picture and its labels, as :class:`poseact.data.augment.Crop` has them."""

    jpeg: bytes
    joints: np.ndarray
    known: np.ndarray
    depth_valid: np.ndarray


def pack_crops(
    recipe: Recipe, out: Path, *, quality: int = 85, most: int | None = None
) -> dict[str, Any]:
    """Write the packs of a recipe, the first network and ``pack.json``, which is returned.

    Args:
        recipe: Of still poses.
        out: Folder of the files.
        quality: Of the JPEG pictures, from 1 to 100.
        most: People of each data set at most, at even distances; None for all.

    Raises:
        PoseActError: The recipe learns from clips, takes turns or changes its crop sizes; its data
            or first weights cannot be read; the files cannot be written.
    """
    sources = [*recipe.train.values()]
    if any(spec.clips for spec in sources) or recipe.learn != ("pose",):
        raise PoseActError(
            f"The recipe {recipe.name} learns from clips, but packs hold stills for poses alone; "
            "give a recipe without clips and actions."
        )
    if recipe.turns or recipe.sizes:
        raise PoseActError(
            f"The recipe {recipe.name} has turns or sizes, which gpu_train does not know; "
            "leave them out."
        )
    torch.manual_seed(recipe.seed)
    network = first_network(recipe.network)
    network.card = replace(network.card, licence=recipe.licence)
    checkpoint.save(network, out / "start.safetensors")
    side = round(ROOM * recipe.image_size)
    files = {}
    for name, spec in recipe.train.items():
        samples = spec.read(recipe.skeleton)
        samples = samples if most is None else evenly_spaced(samples, most)
        people = packed_people(name, samples, side, quality)
        files[name] = write_files(name, people, out)
    # Last, so that a folder with it is whole.
    pack = {"recipe": recipe.model_dump(mode="json"), "side": side, "room": ROOM, "files": files}
    text = json.dumps(pack, indent=1)
    atomic_write(out / "pack.json", lambda path: path.write_text(text, "utf-8"))
    return pack


def packed_people(
    name: str, samples: list[PoseSample], side: int, quality: int
) -> Iterator[PackedPerson]:
    """The crops of a data set, at most ``side`` px wide and no larger than in their pictures.

    Raises:
        PoseActError: More than 1 % of the pictures cannot be read.
    """
    tally = UnreadableTally({name: len(samples)})
    for sample in existing(name, samples, tally):
        try:
            image = sample.image.read()
        except PoseActError as error:
            tally.add([(name, str(error))])
            continue
        x, y, window = person_square(sample.box)
        room = (x, y, ROOM * window)
        crop = make_crop(image, sample, crop_matrix(room), min(side, round(ROOM * window)))
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        _, jpeg = cv2.imencode(".jpg", crop.image[..., ::-1], options)
        yield PackedPerson(jpeg.tobytes(), crop.joints, crop.known, crop.depth_valid)


def write_files(name: str, people: Iterator[PackedPerson], out: Path) -> list[str]:
    """Write the people of a data set into files of at most 40 MB; returns their names."""
    files: list[str] = []
    waiting: list[PackedPerson] = []

    def write() -> None:
        stacked = {
            part: np.stack([getattr(person, part) for person in waiting])
            for part in ("joints", "known", "depth_valid")
        }
        ends = np.cumsum([len(person.jpeg) for person in waiting])
        pictures = np.frombuffer(b"".join(person.jpeg for person in waiting), np.uint8)
        content = save({"pictures": pictures, "ends": ends, **stacked})
        files.append(f"{name}-{len(files):03d}.safetensors")
        atomic_write(out / files[-1], lambda path: path.write_bytes(content))
        logging.info("%s: %d people, %.1f MB", files[-1], len(waiting), len(content) / 1e6)
        waiting.clear()

    size = 0
    for person in people:
        if waiting and size + len(person.jpeg) > FILE_BYTES:
            write()
            size = 0
        waiting.append(person)
        size += len(person.jpeg)
    write()
    return files


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("recipe", type=Path, help="YAML file of a recipe of still poses")
    parser.add_argument("out", type=Path, help="folder of the packs")
    parser.add_argument("--quality", type=int, default=85, help="of the JPEG pictures, 1 to 100")
    parser.add_argument("--most", type=int, help="people of each data set at most (default: all)")
    arguments = parser.parse_args()
    try:
        recipe = load_recipe(arguments.recipe)
        pack_crops(recipe, arguments.out, quality=arguments.quality, most=arguments.most)
    except PoseActError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
