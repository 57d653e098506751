"""8-bit quantisation of pose networks by NNCF, with a limit on the loss of accuracy."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from poseact._utils.errors import PoseActError
from poseact.runtime.choose import Choice
from poseact.runtime.int8_photos import JOINTS, pck, shipped_photos

if TYPE_CHECKING:
    import openvino

    from poseact.runtime.pose_reader import PoseSource
    from poseact.skeleton import Skeleton

MOST_LOSS = 1.0
"""Points of PCK that 8-bit numbers may cost."""

_FACTS = "int8.json"
_FILE = "pose.xml"
# Every so many photos, one calibrates; the others judge.
_STRIDE = 4
_LEAST_JOINTS = 4


def cached_int8(source: PoseSource, *, force: bool = False) -> Path:
    """The network in 8-bit numbers for OpenVINO, quantised on first use.

    Args:
        source: The network.
        force: Take it whatever it costs.

    Raises:
        PoseActError: NNCF is missing, or 8-bit numbers cost more than ``MOST_LOSS`` points of PCK
            on the photos that ship with the package, or the network has too few of their joints.
    """
    folder = source.cache.folder / "int8"
    if not (folder / _FILE).is_file():
        _quantise(source, folder)
    loss = pck_loss(source)
    if not force and not loss <= MOST_LOSS:
        raise PoseActError(
            f"8-bit numbers cost this network {loss:.1f} points of PCK on the shipped photos, more "
            f"than {MOST_LOSS:g}; take the precision bf16 or fp32, or export it with --force."
        )
    return folder / _FILE


def pck_loss(source: PoseSource) -> float:
    """Points of PCK@0.2 that the quantised network loses against the one in 32 bit.

    On the shipped photos that did not calibrate it; NaN where fewer than four of their joints are
    the network's.
    """
    known = source.cache.read(_FACTS)
    if known is not None and "pck_loss" in known:
        return float("nan") if known["pck_loss"] is None else float(known["pck_loss"])
    from poseact.runtime.openvino_runtime import OpenVinoRuntime

    skeleton = source.facts.skeleton
    photos = shipped_photos(source.facts.image_size)[_judges()]
    exact = source.start(Choice("openvino", "fp32"))(photos.crops)[0]
    quantised = OpenVinoRuntime(source.cache.folder / "int8" / _FILE, "int8")(photos.crops)[0]
    before, after = (
        pck(_labelled(joints, skeleton), photos.joints) for joints in (exact, quantised)
    )
    enough = len(set(JOINTS) & set(skeleton.joints)) >= _LEAST_JOINTS
    loss = before - after if enough else None
    source.cache.write(_FACTS, {"pck_fp32": before, "pck_int8": after, "pck_loss": loss})
    return float("nan") if loss is None else loss


def _quantise(source: PoseSource, folder: Path) -> None:
    """Write the network in 8-bit numbers into a folder."""
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise PoseActError(
            "8-bit numbers need NNCF, which this environment lacks; install it with: "
            "pip install 'poseact[int8]'."
        ) from error
    import openvino
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    logging.getLogger("nncf").setLevel(logging.ERROR)
    crops = _calibrating(shipped_photos(source.facts.image_size).crops[::_STRIDE])
    model = openvino.Core().read_model(source.converted())
    model = nncf.quantize(
        model,
        nncf.Dataset(list(crops[:, None])),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(crops),
        # Some of these are not in NNCF's own graph.
        ignored_scope=nncf.IgnoredScope(names=_reading(model), validate=False),
        # The mean of the photos' extremes, which is the default, cuts off bright pictures.
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two files that belong together appear together.
    with TemporaryDirectory(dir=folder.parent) as partial:
        openvino.save_model(model, Path(partial) / _FILE, compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(partial, folder)


def _reading(model: openvino.Model) -> list[str]:
    """Operations that no convolution follows: those that read places out of the maps.

    In 8 bits, a place could only be one of 256, none outside those of the calibrating photos.
    """
    names, leading = [], set()
    for one in reversed(model.get_ordered_ops()):
        name = one.get_friendly_name()
        after = {
            to.get_node().get_friendly_name()
            for output in one.outputs()
            for to in output.get_target_inputs()
        }
        if one.get_type_name().endswith("Convolution") or after & leading:
            leading.add(name)
        else:
            names.append(name)
    return names


def _calibrating(crops: np.ndarray) -> np.ndarray:
    """Crops, and the same mirrored and darkened."""
    return np.concatenate((crops, crops[:, :, ::-1], crops // 2))


def _judges() -> np.ndarray:
    """Numbers of the photos that judge."""
    count = len(shipped_photos(1).crops)
    return np.flatnonzero(np.arange(count) % _STRIDE)


def _labelled(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """``(N, 12, 2)`` places of the labelled joints; NaN for those the network does not have."""
    places = np.full((len(joints), len(JOINTS), 2), np.nan, np.float32)
    for number, name in enumerate(JOINTS):
        if name in skeleton.joints:
            places[:, number] = joints[:, skeleton.index(name), :2]
    return places
