"""Results in the papers and the authors' README, with the protocols to reproduce them."""

from typing import NamedTuple

from poseact.evaluation.protocols.human36m_protocol import Human36mProtocol
from poseact.evaluation.protocols.mpii_protocol import MpiiValidation
from poseact.evaluation.protocols.penn_ntu import AUTHORS_MARGIN, NtuRgbd, PennAction
from poseact.evaluation.protocols.result import PaperProtocol
from poseact.evaluation.video_evaluation import ClipProtocol

README = "the authors' README"
CVPR18 = "CVPR 2018"
TPAMI20 = "TPAMI 2020"
UNCHECKED = "quoted from memory, not checked against the paper"


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        what: Short name of data and protocol.
        preset: Preset of the weights.
        protocol: How.
        published: The published value; None if there is none or it is unknown here.
        source: Publication of the value.
    """

    what: str
    preset: str
    protocol: PaperProtocol
    published: float | None
    source: str


def _clips(stride: int, **options: bool | str) -> ClipProtocol:
    multi = {"clips": "multi", "flip": True} if options.pop("multi", False) else {}
    return ClipProtocol(stride=stride, margin=AUTHORS_MARGIN, **{**multi, **options})  # pyright: ignore[reportArgumentType]


MPII = (
    Row("validation, single crop", "cvpr18-mpii", MpiiValidation(), 89.1, README),
    Row(
        "validation, 5 crops, mirrored too",
        "cvpr18-mpii",
        MpiiValidation(crops=5, flip=True),
        None,
        "the papers state the test set, whose labels are not public",
    ),
)

HUMAN36M = (
    Row(
        "protocol 1, single crop, with the root, 1 of 64 frames",
        "cvpr18-h36m",
        Human36mProtocol(),
        55.1,
        README,
    ),
    Row(
        "protocol 1, 5 crops, mirrored too, 1 of 60 frames",
        "cvpr18-h36m",
        Human36mProtocol(every=60, crops=5, flip=True),
        53.2,
        CVPR18,
    ),
    Row(
        "protocol 1, single crop, without the root",
        "cvpr18-h36m",
        Human36mProtocol(with_root=False),
        None,
        "not published",
    ),
    Row(
        "aligned (PA-MPJPE), single crop",
        "cvpr18-h36m",
        Human36mProtocol(aligned=True),
        None,
        "not published",
    ),
)

PENN_ACTION = (
    Row(
        "single clip, labelled boxes",
        "cvpr18-penn",
        PennAction(_clips(2)),
        None,
        "not known here",
    ),
    Row(
        "multi clip, mirrored too, labelled boxes",
        "cvpr18-penn",
        PennAction(_clips(2, multi=True)),
        98.6,
        CVPR18,
    ),
    Row(
        "multi clip, mirrored too, estimated boxes",
        "cvpr18-penn",
        PennAction(_clips(2, multi=True, boxes="estimated")),
        97.4,
        f"{CVPR18}, {UNCHECKED}",
    ),
    Row(
        "multi clip, mirrored too, labelled boxes",
        "spnet-penn",
        PennAction(_clips(6, multi=True)),
        98.7,
        f"{TPAMI20}, {UNCHECKED}",
    ),
)

NTU = (
    Row("cross-subject, single clip", "cvpr18-ntu", NtuRgbd("xsub", _clips(2)), 85.5, CVPR18),
    Row(
        "cross-view, single clip",
        "cvpr18-ntu",
        NtuRgbd("xview", _clips(2)),
        None,
        "not published",
    ),
    Row(
        "cross-subject, multi clip, mirrored too",
        "spnet-ntu",
        NtuRgbd("xsub", _clips(8, multi=True)),
        89.9,
        f"{TPAMI20}, {UNCHECKED}",
    ),
)

TABLES: dict[str, tuple[Row, ...]] = {
    "mpii": MPII,
    "human36m": HUMAN36M,
    "penn-action": PENN_ACTION,
    "ntu": NTU,
}
