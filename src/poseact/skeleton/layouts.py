"""Joint layouts of the published data sets and networks.

A name stands for one place of the body, so that joints can be converted by name:

- ``pelvis`` is the middle of the hips, ``thorax`` the middle of the shoulders;
- ``neck`` is the root of the neck, a few centimetres above the thorax (MPII's "upper neck", LSP's
  neck, Human3.6M's joint 13);
- ``head`` is the top of the head. Human3.6M's (joint 15) lies at the hairline, Kinect's in the
  middle of the head: both are used for it, as is common;
- ``spine`` is the middle of the back;
- ``foot`` and ``hand`` are Kinect's. Toes, heels and fingers of other data sets have other names.

Sides are the person's own. Where the published multitask network uses a data set under other names,
a ``…_PAPER`` layout has those names; use it to run or to compare with the published weights.
"""

from poseact.skeleton.named import Skeleton, mirrored

_SIDES = ("right", "left")
_ARM = ("shoulder", "elbow", "wrist")
_LEG = ("hip", "knee", "ankle")


def _sided(*parts: str) -> tuple[str, ...]:
    """Right and left of each part in turn."""
    return tuple(f"{side}_{part}" for part in parts for side in _SIDES)


def _chain(side: str, *parts: str) -> tuple[str, ...]:
    """All parts of one side."""
    return tuple(f"{side}_{part}" for part in parts)


def _both(*limbs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Limbs on either side."""
    return tuple((f"{side}_{a}", f"{side}_{b}") for side in _SIDES for a, b in limbs)


def _from_centre(*limbs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Limbs from a joint of the centre to either side."""
    return tuple((centre, f"{side}_{part}") for side in _SIDES for centre, part in limbs)


_ARMS_AND_LEGS = _both(
    *(("shoulder", "elbow"), ("elbow", "wrist")),
    *(("hip", "knee"), ("knee", "ankle")),
)
_SIDED_TRUNK = (
    *_both(("shoulder", "hip")),
    ("right_shoulder", "left_shoulder"),
    ("right_hip", "left_hip"),
)
_BODY_LIMBS = (
    ("pelvis", "thorax"),
    ("thorax", "neck"),
    ("neck", "head"),
    *_from_centre(("thorax", "shoulder"), ("pelvis", "hip")),
    *_ARMS_AND_LEGS,
)

_TRUNK = ("pelvis", "thorax", "neck", "head")

PA16 = Skeleton("pa16", (*_TRUNK, *_sided(*_ARM, *_LEG)), _BODY_LIMBS)
PA17 = Skeleton("pa17", (*PA16.joints, "spine"), _BODY_LIMBS)
PA20 = Skeleton(
    "pa20",
    (*_TRUNK, *_sided(*_ARM, "hand", *_LEG, "foot")),
    (*_BODY_LIMBS, *_both(("wrist", "hand"), ("ankle", "foot"))),
)

# PA16 and the face of COCO, so that both are subsets by name.
PA21 = Skeleton(
    "pa21",
    (*PA16.joints, "nose", *(mirrored(joint) for joint in _sided("eye", "ear"))),
    (
        *(limb for limb in _BODY_LIMBS if limb != ("neck", "head")),
        *(("neck", "nose"), ("nose", "head")),
        *_from_centre(("nose", "eye")),
        *_both(("eye", "ear")),
    ),
)

# Andriluka et al., 2014; order of the data set's documentation.
MPII16 = Skeleton(
    "mpii16",
    (
        *_chain("right", *reversed(_LEG)),
        *_chain("left", *_LEG),
        *_TRUNK,
        *_chain("right", *reversed(_ARM)),
        *_chain("left", *_ARM),
    ),
    _BODY_LIMBS,
)

# Johnson and Everingham, 2010; order of the data set's README.
LSP14 = Skeleton(
    "lsp14",
    (
        *_chain("right", *reversed(_LEG)),
        *_chain("left", *_LEG),
        *_chain("right", *reversed(_ARM)),
        *_chain("left", *_ARM),
        "neck",
        "head",
    ),
    (
        ("neck", "head"),
        *_from_centre(("neck", "shoulder")),
        *_both(("shoulder", "hip")),
        ("right_hip", "left_hip"),
        *_ARMS_AND_LEGS,
    ),
)

# Lin et al., 2014; order of the categories in the published annotations.
COCO_PIXEL_ORIGIN = 0.5
"""COCO's keypoints count pixels from the centre of the first one; here it is at 0.5."""

COCO17 = Skeleton(
    "coco17",
    ("nose", *(mirrored(joint) for joint in _sided("eye", "ear", *_ARM, *_LEG))),
    (
        *_from_centre(("nose", "eye")),
        *_both(("eye", "ear")),
        *_SIDED_TRUNK,
        *_ARMS_AND_LEGS,
    ),
)

_H36M_LIMBS = (
    ("pelvis", "spine"),
    ("spine", "neck"),
    ("neck", "jaw"),
    ("jaw", "head"),
    *_from_centre(("pelvis", "hip"), ("neck", "shoulder")),
    *_ARMS_AND_LEGS,
)

# Ionescu et al., 2014; the 17 of the 32 that are distinct and move. The root of the neck is often
# called thorax, but lies 25 to 80 mm above the middle of the shoulders.
H36M17 = Skeleton(
    "h36m17",
    (
        "pelvis",
        *_chain("right", *_LEG),
        *_chain("left", *_LEG),
        *("spine", "neck", "jaw", "head"),
        *_chain("left", *_ARM),
        *_chain("right", *_ARM),
    ),
    _H36M_LIMBS,
)


def _h36m_leg(side: str) -> tuple[str, ...]:
    return _chain(side, *_LEG, "toe_base", "toe_end")


def _h36m_arm(side: str) -> tuple[str, ...]:
    return _chain(side, "clavicle", *_ARM, "thumb_base", "thumb_end", "fingers_base", "fingers_end")


# All that the motion capture gives. `spine_base` is where the pelvis is.
H36M32 = Skeleton(
    "h36m32",
    (
        *("pelvis", *_h36m_leg("right"), *_h36m_leg("left")),
        *("spine_base", "spine", "neck", "jaw", "head"),
        *(*_h36m_arm("left"), *_h36m_arm("right")),
    ),
    (*_H36M_LIMBS, *_both(("ankle", "toe_base"), ("toe_base", "toe_end"))),
)
# The published network learns the middle of the back as thorax and the base of the spine as spine.
H36M32_PAPER = H36M32.renamed("h36m32-paper", {"spine": "thorax", "spine_base": "spine"})

# Mehta et al., 2017; the order of the test set. `head_base` is where the head turns on the neck.
MPI3DHP17 = Skeleton(
    "mpi3dhp17",
    (
        *("head", "neck", *_chain("right", *_ARM), *_chain("left", *_ARM)),
        *(*_chain("right", *_LEG), *_chain("left", *_LEG), "pelvis", "spine", "head_base"),
    ),
    (
        *(("pelvis", "spine"), ("spine", "neck"), ("neck", "head_base"), ("head_base", "head")),
        *_from_centre(("pelvis", "hip"), ("neck", "shoulder")),
        *_ARMS_AND_LEGS,
    ),
)

# Shahroudy et al., 2016; Kinect 2 joints. Its colour frames are mirrored, so that the person's left
# hand, which these names mean, looks like a right one in the picture.
NTU25 = Skeleton(
    "ntu25",
    (
        *("pelvis", "spine", "neck", "head"),
        *_chain("left", *_ARM, "hand"),
        *_chain("right", *_ARM, "hand"),
        *_chain("left", *_LEG, "foot"),
        *_chain("right", *_LEG, "foot"),
        "thorax",
        *_chain("left", "hand_tip", "thumb"),
        *_chain("right", "hand_tip", "thumb"),
    ),
    (
        *(("pelvis", "spine"), ("spine", "thorax"), ("thorax", "neck"), ("neck", "head")),
        *_from_centre(("thorax", "shoulder"), ("pelvis", "hip")),
        *_ARMS_AND_LEGS,
        *_both(("wrist", "hand"), ("hand", "hand_tip"), ("wrist", "thumb"), ("ankle", "foot")),
    ),
)
# The published network names them by how they look in the mirrored frames.
NTU25_PAPER = NTU25.renamed("ntu25-paper", {joint: mirrored(joint) for joint in NTU25.joints})

# The first Kinect; the joint order of UTD-MHAD (Chen et al., 2015). Its hip centre lies 7 cm above
# the middle of the hips and is taken for the pelvis; its spine lies only a sixth of the way from
# there to the neck, so that it has another name than the middle of the back.
KINECT20 = Skeleton(
    "kinect20",
    (
        *("head", "neck", "lower_spine", "pelvis"),
        *(*_chain("left", *_ARM, "hand"), *_chain("right", *_ARM, "hand")),
        *(*_chain("left", *_LEG, "foot"), *_chain("right", *_LEG, "foot")),
    ),
    (
        *(("pelvis", "lower_spine"), ("lower_spine", "neck"), ("neck", "head")),
        *_from_centre(("neck", "shoulder"), ("pelvis", "hip")),
        *_ARMS_AND_LEGS,
        *_both(("wrist", "hand"), ("ankle", "foot")),
    ),
)

# Zhang et al., 2013; the README lists left first.
PENN13 = Skeleton(
    "penn13",
    ("head", *(mirrored(joint) for joint in _sided(*_ARM, *_LEG))),
    (*_from_centre(("head", "shoulder")), *_SIDED_TRUNK, *_ARMS_AND_LEGS),
)
# The published network takes the first of each pair as the right one, as in most videos.
PENN13_PAPER = PENN13.renamed("penn13-paper", {joint: mirrored(joint) for joint in PENN13.joints})

# Jhuang et al., 2013. Its face, the middle of the head, is taken for the head as Penn's is; its
# belly lies four fifths of the way from the neck to the hips.
JHMDB15 = Skeleton(
    "jhmdb15",
    (
        *("neck", "belly", "head"),
        *_sided("shoulder", "hip", "elbow", "knee", "wrist", "ankle"),
    ),
    (
        *(("head", "neck"), ("neck", "belly")),
        *_from_centre(("neck", "shoulder"), ("belly", "hip")),
        *_ARMS_AND_LEGS,
    ),
)

# Bazarevsky et al., 2020; order of MediaPipe's documentation.
BLAZEPOSE33 = Skeleton(
    "blazepose33",
    (
        "nose",
        *_chain("left", "eye_inner", "eye", "eye_outer"),
        *_chain("right", "eye_inner", "eye", "eye_outer"),
        *(
            mirrored(joint)
            for joint in _sided(
                *("ear", "mouth", *_ARM, "pinky", "index", "thumb"),
                *(*_LEG, "heel", "foot_index"),
            )
        ),
    ),
    (*_SIDED_TRUNK, *_ARMS_AND_LEGS, *_both(("ankle", "heel"), ("heel", "foot_index"))),
)

SKELETONS = {
    skeleton.name: skeleton
    for skeleton in (
        *(PA16, PA17, PA20, PA21, MPII16, LSP14, COCO17, H36M17, H36M32, H36M32_PAPER),
        *(MPI3DHP17, NTU25, NTU25_PAPER, KINECT20, PENN13, PENN13_PAPER, JHMDB15, BLAZEPOSE33),
    )
}
