"""Clothes as colours and padding over the mesh's rest pose.

Every place on the skin has coordinates in the mesh's rest pose (dm, see
:class:`~poseact.synthetic.body.Template`), the same for all bodies and poses; garments, hair and
face are painted there, so their edges are sharp at any distance and stay where they belong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from poseact.synthetic.body import Template, template
from poseact.synthetic.families import description
from poseact.synthetic.texture import Pattern

_SHOULDER = np.array([1.68, 5.25])
_ARM = np.array([0.64, -0.77])
_ANKLE = -7.25
_CROTCH = -0.35


class Place:
    """N points on the mesh.

    Args:
        points: ``(N, 3)`` dm in the rest pose.
        groups: ``(N,)`` numbers of the groups of faces.
    """

    def __init__(self, points: np.ndarray, groups: np.ndarray) -> None:
        self.points, self.groups = points, groups
        self.side = np.abs(points[:, 0])
        self.y, self.z = points[:, 1], points[:, 2]

    @cached_property
    def arm(self) -> np.ndarray:
        """``(N,)`` dm from the shoulder along the arm; negative on the trunk and the legs."""
        along = (self.side - _SHOULDER[0]) * _ARM[0] + (self.y - _SHOULDER[1]) * _ARM[1]
        on_arm = (self.y > 0.9) & (self.y < 6) & (self.side > np.where(self.y > 4.4, 1.55, 1.95))
        return np.where(on_arm, along + 0.3, -1.0)

    @cached_property
    def face(self) -> np.ndarray:
        """``(N,)`` boolean: the front of the head."""
        return (self.z > 0.75) & (self.y > 6.2)


Region = Callable[[Place], np.ndarray]
"""Which of N places a garment covers, ``(N,)`` boolean."""


@dataclass(frozen=True)
class Layer:
    """One garment: its region, its pattern, and its distance from the skin."""

    region: Region
    pattern: Pattern
    padding: float = 0.0


@dataclass(frozen=True)
class Outfit:
    """A person's skin, hair and clothes.

    Attributes:
        skin: ``(3,)`` RGB in 0 … 1, as all colours.
        layers: From the skin outwards.
        hair_mesh: Lowest height of the loose hair in dm in the rest pose, None for none.
        skirt: Lowest height of the skirt, None for none.
    """

    skin: np.ndarray
    layers: tuple[Layer, ...]
    hair_mesh: float | None = None
    skirt: float | None = None

    def padding(self, base: Template) -> np.ndarray:
        """``(V,)`` distance of the surface from the skin in mm."""
        body = base.group("body")
        place = Place(base.vertices[body], base.vertex_groups[body])
        out = np.zeros(len(base.vertices), np.float32)
        for layer in self.layers:
            out[body[layer.region(place)]] = layer.padding
        return out

    def faces(self, base: Template) -> np.ndarray:
        """``(F,)`` boolean: the faces that are drawn."""
        corners = base.vertices[base.quads]
        lowest = corners[..., 1].min(1)
        out = np.ones(len(base.quads), bool)
        for group, cut in (("helper-hair", self.hair_mesh), ("helper-skirt", self.skirt)):
            own = base.groups == base.group_names.index(group)
            out[own] = lowest[own] > cut if cut is not None else False
        strands = base.groups == base.group_names.index("helper-hair")
        # Vertices in front of the face would hide it.
        out &= ~(strands & (corners[..., 2].mean(1) > 0.9) & (lowest < 7.9))
        return out

    def paint(self, points: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """``(N, 3)`` colours of points on the mesh."""
        place = Place(points, groups)
        out = np.tile(self.skin.astype(np.float32), (len(points), 1))
        for layer in self.layers:
            covered = layer.region(place)
            if covered.any():
                out[covered] = layer.pattern(points[covered])
        return out


def draw_outfit(rng: np.random.Generator, female: bool) -> Outfit:
    """Draw clothes, with the probabilities of ``clothes.yaml``."""
    worn, gender = description("clothes"), "female" if female else "male"
    outfit = worn["outfit"]
    skin = _skin(rng)
    hair = _hair_colour(rng)
    layers = [*_face(rng, skin, hair, female)]
    top = Pattern.draw(rng)
    bottom = top if rng.random() < outfit["one_colour"] else Pattern.draw(rng)
    skirt = None
    if female and rng.random() < outfit["skirt"]:
        skirt = _draw(rng, outfit["skirt_to"])
    layers += _legwear(rng, bottom, short=skirt is not None)
    bare = rng.random() < outfit["bare_chest"][gender]
    if not bare:
        layers += _shirt(rng, top)
    elif female:
        layers += _sports_top(rng, top)
    if skirt is not None:
        layers.append(Layer(_group("helper-skirt"), bottom))
    layers += _shoes(rng)
    layers += _hair(rng, hair)
    loose = None
    if rng.random() < worn["hair"]["loose"][gender]:
        loose = _draw(rng, worn["hair"]["loose_to"])
    return Outfit(skin, tuple(layers), loose, skirt)


def _draw(rng: np.random.Generator, values: Any) -> Any:
    """Draw a number as described in ``clothes.yaml``."""
    if isinstance(values, dict):
        return rng.choice([_draw(rng, value) for value in values["of"]], p=values.get("p"))
    return rng.uniform(*values) if isinstance(values, list) else values


def _group(*names: str) -> Region:
    numbers = [template().group_names.index(name) for name in names]
    return lambda p: np.isin(p.groups, numbers)


def _skin(rng: np.random.Generator) -> np.ndarray:
    skin = description("clothes")["skin"]
    share = rng.beta(*skin["darkness"])
    tone = np.array(skin["light"]) ** (1 - share) * np.array(skin["dark"]) ** share
    return np.clip(tone * rng.normal(1, skin["variation"], 3), 0.05, 1)


def _hair_colour(rng: np.random.Generator) -> np.ndarray:
    hair = description("clothes")["hair"]
    number = rng.choice(len(hair["colours"]), p=[colour["p"] for colour in hair["colours"]])
    return np.array(hair["colours"][number]["rgb"]) * _draw(rng, hair["brightness"])


def _face(
    rng: np.random.Generator, skin: np.ndarray, hair: np.ndarray, female: bool
) -> list[Layer]:
    lips = np.clip(skin * [1.0, 0.68, 0.68], 0, 1)
    shade = Pattern(skin * 0.72)
    eyes = _group("helper-l-eye", "helper-r-eye")
    out = [
        Layer(lambda p: p.face & (np.hypot((p.side - 0.31) / 0.26, (p.y - 7.3) / 0.17) < 1), shade),
        Layer(lambda p: p.face & (np.hypot(p.side / 0.27, (p.y - 6.64) / 0.1) < 1), Pattern(lips)),
        Layer(lambda p: p.face & (p.side < 0.13) & (np.abs(p.y - 6.81) < 0.045), shade),
        Layer(
            lambda p: p.face & (np.abs(p.side - 0.33) < 0.24) & (np.abs(p.y - 7.56) < 0.05),
            Pattern(hair * 0.8),
        ),
        Layer(eyes, Pattern(np.array([0.85, 0.85, 0.85]))),
        Layer(
            lambda p: eyes(p) & (np.hypot(p.side - 0.31, p.y - 7.285) < 0.085),
            Pattern(np.array([0.12, 0.09, 0.07])),
        ),
    ]
    if not female and rng.random() < description("clothes")["hair"]["beard"]:
        out.insert(
            0,
            Layer(
                lambda p: (p.y < 6.82) & (p.y > 6.1) & (p.z > 0.55) & (p.side < 0.75),
                Pattern(0.4 * skin + 0.6 * hair, grain=0.1),
                3,
            ),
        )
    return out


def _hair(rng: np.random.Generator, colour: np.ndarray) -> list[Layer]:
    hair = description("clothes")["hair"]
    forehead, nape = _draw(rng, hair["forehead"]), _draw(rng, hair["nape"])
    pattern = Pattern(colour, grain=0.25)
    style = rng.random()

    def scalp(p: Place) -> np.ndarray:
        # The hairline runs down from the forehead to the nape.
        return (
            (p.y > 6.0)
            & (p.side < 0.87)
            & (p.y > np.interp(p.z, [-0.3, 0.45, 0.75, 1.3], [nape, nape + 0.3, 7.5, forehead]))
        )

    if style < hair["shaved"]:
        return []
    if style < hair["shaved"] + hair["cap"]:
        pattern = Pattern.draw(rng)
    return [
        Layer(scalp, pattern, _draw(rng, hair["padding"])),
        Layer(_group("helper-hair"), pattern),
    ]


def _shirt(rng: np.random.Generator, pattern: Pattern) -> list[Layer]:
    shirt = description("clothes")["shirt"]
    hem, neck, scoop, sleeve = (_draw(rng, shirt[of]) for of in ("hem", "neck", "scoop", "sleeve"))
    strap = _draw(rng, shirt["strap"]) if sleeve < 0.2 else 9.0

    def region(p: Place) -> np.ndarray:
        opening = neck - scoop * np.maximum(1 - p.side / 0.9, 0) * (p.z > 0.3)
        trunk = (p.arm < 0) & (p.y > hem) & (p.y < opening) & ((p.side < strap) | (p.y < 4.6))
        return (trunk & (p.side < 2.2)) | ((p.arm >= 0) & (p.arm < sleeve))

    out = [Layer(region, pattern, _draw(rng, shirt["padding"]))]
    if rng.random() < shirt["placket"]:
        trim = Pattern.draw(rng)
        width = _draw(rng, shirt["placket_width"])
        out.append(
            Layer(lambda p: region(p) & (p.z > 0.3) & (p.side < width), trim, out[0].padding)
        )
    elif rng.random() < shirt["print"]:
        centre, size = _draw(rng, shirt["print_height"]), _draw(rng, shirt["print_size"])
        trim = Pattern.draw(rng)
        out.append(
            Layer(
                lambda p: region(p) & (np.hypot(p.side, (p.y - centre) * 1.3) < size) & (p.arm < 0),
                trim,
                out[0].padding,
            )
        )
    return out


def _sports_top(rng: np.random.Generator, pattern: Pattern) -> list[Layer]:
    top = description("clothes")["sports_top"]
    low, high, strap = (_draw(rng, top[of]) for of in ("hem", "neck", "strap"))

    def region(p: Place) -> np.ndarray:
        straps = (np.abs(p.side - strap) < 0.2) & (p.y < 5.6)
        return (p.arm < 0) & (p.y > low) & ((p.y < high) | straps) & (p.side < 2.2)

    return [Layer(region, pattern, 3)]


def _legwear(rng: np.random.Generator, pattern: Pattern, short: bool) -> list[Layer]:
    legwear = description("clothes")["legwear"]
    waist = _draw(rng, legwear["waist"])
    kinds = legwear["kinds"]
    kind = 0 if short else rng.choice(len(kinds), p=[kind["p"] for kind in kinds])
    cuff = [_draw(rng, kind["to"]) for kind in kinds][kind]

    def region(p: Place) -> np.ndarray:
        low = _CROTCH + 0.45 * p.side if kind == 0 else cuff
        return (p.arm < 0) & (p.y < waist) & (p.y > low)

    padding = 2.0 if kind == 0 else _draw(rng, legwear["padding"])
    out = [Layer(region, pattern, padding)]
    if kind and rng.random() < legwear["stripe"]:
        trim = Pattern.draw(rng)
        out.append(
            Layer(
                lambda p: region(p) & (p.side > 1.75 - p.y * 0.1) & (np.abs(p.z) < 0.4),
                trim,
                padding,
            )
        )
    return out


def _shoes(rng: np.random.Generator) -> list[Layer]:
    worn = description("clothes")["shoes"]
    if rng.random() < worn["barefoot"]:
        return []
    sock = _draw(rng, worn["sock"])
    white = np.array([0.9, 0.9, 0.9])
    if rng.random() < worn["white_socks"]:
        colour = Pattern(white * _draw(rng, worn["sock_brightness"]))
    else:
        colour = Pattern.draw(rng)
    shoe = Pattern.draw(rng)
    sole = Pattern(white * _draw(rng, worn["sole"]))
    top = _ANKLE + _draw(rng, worn["top"])
    padding = _draw(rng, worn["padding"])
    return [
        Layer(lambda p: p.y < sock, colour, 3),
        Layer(lambda p: p.y < top, shoe, padding),
        Layer(lambda p: p.y < -7.98, sole, padding),
    ]
