"""Convert the MakeHuman body and the BVH motions into the compact assets of the generator.

Run: ``python tools/convert_makehuman.py shared/data/makehuman src/poseact/assets/makehuman``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from recorded_angles import angles_of

from poseact.synthetic.angles import ANGLES, rotation

GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-skirt", "helper-hair")
"""Face groups that are kept, in the order of their numbers in the asset."""

FPS = 24.0

# Recordings whose floor is horizontal in x and z; in all others it is in x and y.
_Y_UP = ("jesse_dance", "jumping_jacks")

# A bone whose name starts so moves with the bone on the right: faces and toes stay rigid.
_MERGED = {
    "breast": "spine02",
    "toe": "foot",
    **dict.fromkeys(
        (
            *("eye", "jaw", "levator", "oculi", "orbicularis", "oris", "risorius"),
            *("special", "temporalis", "tongue"),
        ),
        "head",
    ),
}

# Joints of the recordings' rigs by the names that they have there, first match first.
_BVH_NAMES = {
    "spine": ("Spine2", "Chest"),
    "neck": ("Neck",),
    "head": ("Head",),
    **{
        f"{side}_{joint}": tuple(name.format(S=side.title(), s=side[0].upper()) for name in names)
        for side in ("left", "right")
        for joint, names in {
            "shoulder": ("UpArm_{s}", "{S}Arm", "{S}Shoulder"),
            "elbow": ("LoArm_{s}", "{S}ForeArm", "{S}Elbow"),
            "wrist": ("Hand_{s}", "{S}Hand", "{S}Wrist"),
            "hip": ("UpLeg_{s}", "{S}UpLeg", "{S}Hip"),
            "knee": ("LoLeg_{s}", "{S}Leg", "{S}Knee"),
            "ankle": ("Foot_{s}", "{S}Foot", "{S}Ankle"),
            "toe": ("Toe_{s}", "{S}ToeBase", "{S}Toe"),
        }.items()
    },
}


def read_obj(path: Path) -> tuple[np.ndarray, dict[str, list[list[int]]]]:
    """Vertices ``(V, 3)`` in dm and the quads of every group."""
    vertices, quads, group = [], {}, ""
    for line in path.read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [int(corner.split("/")[0]) - 1 for corner in rest.split()]
            quads.setdefault(group, []).append((corners + corners[-1:])[:4])
    return np.array(vertices), quads


def read_target(path: Path, num_vertices: int) -> np.ndarray:
    """Displacements ``(V, 3)`` in dm."""
    out = np.zeros((num_vertices, 3))
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            index, *shift = line.split()
            out[int(index)] = [float(x) for x in shift]
    return out


def kept_bone(name: str) -> str:
    """The bone that moves the flesh of a bone of the full rig."""
    for start, bone in _MERGED.items():
        if name.startswith(start):
            return bone + name[-2:] if bone == "foot" else bone
    return name


def read_rig(path: Path) -> tuple[list[str], list[int], list[list[int]], dict]:
    """Kept bones from the root outwards, their parents and the vertices of their heads."""
    rig = json.loads(path.read_text())
    names: list[str] = []
    while True:
        more = [
            name
            for name, bone in rig["bones"].items()
            if name not in names
            and kept_bone(name) == name
            and (bone["parent"] is None or bone["parent"] in names)
        ]
        if not more:
            break
        names += more
    parents = [rig["bones"][n]["parent"] for n in names]
    heads = [rig["joints"][rig["bones"][n]["head"]] for n in names]
    return names, [names.index(p) if p else -1 for p in parents], heads, rig


def skin_weights(path: Path, names: list[str], num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """The four strongest bones ``(V, 4)`` of every vertex and their weights, of sum 1."""
    full = np.zeros((num_vertices, len(names)))
    for bone, pairs in json.loads(path.read_text())["weights"].items():
        for vertex, weight in pairs:
            full[vertex, names.index(kept_bone(bone))] += weight
    bones = np.argsort(-full, 1, kind="stable")[:, :4]
    weights = np.take_along_axis(full, bones, 1)
    return bones.astype(np.uint8), (weights / np.maximum(weights.sum(1, keepdims=True), 1e-9))


def convert_body(root: Path, out: Path) -> None:
    vertices, quads = read_obj(root / "base.obj")
    names, parents, heads, rig = read_rig(root / "default.mhskel")
    bones, weights = skin_weights(root / "default_weights.mhw", names, len(vertices))
    faces = np.concatenate([quads[group] for group in GROUPS])
    kept, faces = np.unique(faces, return_inverse=True)
    targets = sorted(root.glob("targets/*.target"))
    deltas = np.stack([read_target(path, len(vertices)) for path in targets])
    ball = {s: rig["joints"][rig["bones"][f"toe2-1.{s}"]["head"]] for s in "LR"}
    extra = [ball["L"], ball["R"]]  # the balls of the feet are landmarks without a kept bone

    def joints(points: np.ndarray) -> np.ndarray:
        return np.stack([points[..., rows, :].mean(-2) for rows in (*heads, *extra)], -2)

    np.savez_compressed(
        out / "body.npz",
        vertices=vertices[kept].astype(np.float32),
        quads=faces.reshape(-1, 4).astype(np.uint16),
        groups=np.repeat(np.arange(len(GROUPS)), [len(quads[g]) for g in GROUPS]).astype(np.uint8),
        group_names=np.array(GROUPS),
        joints=joints(vertices).astype(np.float32),
        joint_names=np.array([*names, "ball.L", "ball.R"]),
        parents=np.array(parents, np.int16),
        bones=bones[kept],
        weights=weights[kept].astype(np.float16),
        target_names=np.array([path.stem for path in targets]),
        target_vertices=np.round(deltas[:, kept] * 2000).astype(np.int16),
        target_joints=joints(deltas).astype(np.float32),
        target_unit=np.float32(1 / 2000),
    )


def read_bvh(path: Path) -> tuple[list[str], np.ndarray, float]:
    """Joint names, their places ``(T, J, 3)`` and frames per second."""
    names, parents, offsets, channels, stack = [], [], [], [], []
    header, motion = path.read_text().split("MOTION")
    for line in header.splitlines():
        word, *rest = line.split() or [""]
        if word in ("ROOT", "JOINT", "End"):
            parents.append(stack[-1] if stack else -1)
            names.append(rest[0] if word != "End" else f"{names[parents[-1]]}End")
            channels.append([])
            stack.append(len(names) - 1)
        elif word == "OFFSET":
            offsets.append([float(x) for x in rest])
        elif word == "CHANNELS":
            channels[-1] = rest[1:]
        elif word == "}":
            stack.pop()
    step = float(motion.partition("Frame Time:")[2].split()[0])
    values = np.array([line.split() for line in motion.splitlines()[3:] if line.strip()], float)
    rotations = np.zeros((len(values), len(names), 3, 3))
    positions = np.zeros((len(values), len(names), 3))
    column = 0
    for j, parent in enumerate(parents):
        local, shift = np.eye(3), np.tile(offsets[j], (len(values), 1))
        for channel in channels[j]:
            value = values[:, column]
            column += 1
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                shift[:, axis] += value
            else:
                local = local @ _turn(np.radians(value), axis)
        up = rotations[:, parent] if parent >= 0 else np.eye(3)
        base = positions[:, parent] if parent >= 0 else 0
        rotations[:, j] = up @ local
        positions[:, j] = base + (up @ shift[..., None])[..., 0]
    return names, positions, 1 / step


def _turn(angle: np.ndarray, axis: int) -> np.ndarray:
    out = np.zeros((len(angle), 3, 3))
    a, b = (axis + 1) % 3, (axis + 2) % 3
    out[:, axis, axis] = 1
    out[:, a, a] = out[:, b, b] = np.cos(angle)
    out[:, b, a], out[:, a, b] = np.sin(angle), -np.sin(angle)
    return out


def convert_motions(root: Path, out: Path) -> None:
    arrays = {}
    for path in sorted(root.glob("motions/*.bvh")):
        names, positions, fps = read_bvh(path)
        frames = np.unique(np.arange(0, len(positions), max(fps / FPS, 1)).astype(int))
        index = {
            ours: next(names.index(name) for name in theirs if name in names)
            for ours, theirs in _BVH_NAMES.items()
        }
        angles, turns = angles_of({name: positions[frames, i] for name, i in index.items()})
        if path.stem not in _Y_UP:
            turns = rotation("x", -90) @ turns
        arrays[f"{path.stem}/angles"] = np.stack([angles[a] for a in ANGLES], 1).astype(np.float16)
        arrays[f"{path.stem}/root"] = turns.astype(np.float16)
    np.savez_compressed(out / "motions.npz", **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    convert_body(args.root, args.out)
    convert_motions(args.root, args.out)
    (args.out / "LICENSE.md").write_text((args.root / "LICENSE.ASSETS.md").read_text())


if __name__ == "__main__":
    main()
