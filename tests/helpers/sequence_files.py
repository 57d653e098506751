"""Files of joint sequences: BVH motion capture, and skeletons of NTU RGB+D."""

from __future__ import annotations

import numpy as np

# Name, parent and offset in cm, y up, facing along z, the left hand along x.
RIG = [
    ("Hips", None, (0, 0, 0)),
    ("Spine", "Hips", (0, 20, 0)),
    ("Neck", "Spine", (0, 30, 0)),
    ("Head", "Neck", (0, 10, 2)),
]
for _side, _sign in (("Left", 1), ("Right", -1)):
    RIG += [
        (f"{_side}Shoulder", "Spine", (3 * _sign, 25, 0)),
        (f"{_side}Arm", f"{_side}Shoulder", (15 * _sign, 0, 0)),
        (f"{_side}ForeArm", f"{_side}Arm", (30 * _sign, 0, 0)),
        (f"{_side}Hand", f"{_side}ForeArm", (25 * _sign, 0, 0)),
        (f"{_side}UpLeg", "Hips", (10 * _sign, -5, 0)),
        (f"{_side}Leg", f"{_side}UpLeg", (0, -42, 0)),
        (f"{_side}Foot", f"{_side}Leg", (0, -41.5, 0)),
    ]


def write_bvh(path, rig=RIG, turns=None, up="y", scale=1.0, rename=str, frames=3, step=0.02):
    """Turns ``{joint: degrees about z, x and y}``, in the axes of a rig whose y points upwards."""

    def axes(vector):
        x, y, z = (scale * value for value in vector)
        return f"{x} {y} {z}" if up == "y" else f"{x} {-z} {y}"

    children = {name: [entry for entry in rig if entry[1] == name] for name, *_ in rig}
    # About the same axes in space: y is z there, and z is -y.
    order = "Zrotation Xrotation Yrotation" if up == "y" else "Yrotation Xrotation Zrotation"
    numbers = []

    def joint(entry, depth):
        name, parent, offset = entry
        tab = "\t" * depth
        z, x, y = (turns or {}).get(name, (0, 0, 0))
        numbers.extend([] if parent else axes((5, 90, 7)).split())
        numbers.extend((z, x, y) if up == "y" else (-z, x, y))
        lines = [f"{tab}{'JOINT' if parent else 'ROOT'} {rename(name)}", f"{tab}{{"]
        lines += [f"{tab}\tOFFSET {axes(offset)}"]
        positions = "" if parent else "Xposition Yposition Zposition "
        lines += [f"{tab}\tCHANNELS {3 if parent else 6} {positions}{order}"]
        for child in children[name]:
            lines += joint(child, depth + 1)
        if not children[name]:
            end = axes((0, 12, 0))
            lines += [f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {end}", f"{tab}\t}}"]
        return [*lines, f"{tab}}}"]

    lines = ["HIERARCHY", *joint(rig[0], 0), "MOTION", f"Frames: {frames}", f"Frame Time: {step}"]
    lines += [" ".join(map(str, numbers))] * frames
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ntu(path, frames):
    """Frames of ``{identity: (25, 3) metres}``, or of those with the states of the joints."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for identity, body in bodies.items():
            metres, states = body if isinstance(body, tuple) else (body, np.full(25, 2))
            lines += [f"{identity} 0 1 1 1 1 0 0.02 -0.1 2", "25"]
            for (x, y, z), state in zip(metres, states, strict=True):
                lines.append(f"{x} {y} {z} 277.4 191.8 1036.2 519.1 0.2 0.01 0.9 -0.1 {state}")
    path.write_text("\n".join(lines) + "\n")


def ntu_body(seed=0):
    return np.random.default_rng(seed).normal((0, 0, 3), 0.3, (25, 3)).round(4)
