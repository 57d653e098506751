"""Export of networks to a folder that runs without this package: models, card and script."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from poseact._utils.errors import PoseActError
from poseact._utils.files import atomic_write, open_folder, write_json
from poseact.media.crop import DEPTH_RANGE_MM
from poseact.runtime.choose import TORCH
from poseact.runtime.int8_photos import shipped_photos
from poseact.runtime.interface import (
    DEFAULT_PRECISION,
    Precision,
    Runtime,
    checked_runtime,
)
from poseact.runtime.pose_reader import PoseSource
from poseact.runtime.source import GraphSource, PersonSource
from poseact.weights.weight_files import find_weights

if TYPE_CHECKING:
    from poseact.models.base import Network
    from poseact.models.sequence import ActionNetwork
    from poseact.runtime.graphs import Graph

Format = Literal["onnx", "openvino", "pt2"]

MOST_DIFFERENCE = 1e-3
"""Largest difference from PyTorch that a network in 32 bit may have; of places, in shares of the
crop."""

_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "pt2": ".pt2"}
_RUNTIMES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO", "pt2": "PyTorch"}
_PHOTOS = 4
_PERSON_SIZE = (192, 256)

_OPEN = {
    "onnx": '''def open_network(name):
    """A function of arrays that runs one of the networks."""
    session = onnxruntime.InferenceSession(HERE / f"{name}.onnx")
    names = [one.name for one in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays)))''',
    "openvino": '''def open_network(name):
    """A function of arrays that runs one of the networks."""
    hints = {"INFERENCE_PRECISION_HINT": "COMPUTE_IN", "PERFORMANCE_HINT": "LATENCY"}
    model = openvino.Core().compile_model(HERE / f"{name}.xml", "CPU", hints)
    return lambda *arrays: list(model(list(arrays)).to_tuple())''',
    "pt2": '''def open_network(name):
    """A function of arrays that runs one of the networks."""
    run = torch.export.load(HERE / f"{name}.pt2").module()
    return lambda *x: [out.detach().numpy() for out in run(*map(torch.from_numpy, x))]''',
}
_IMPORTS = {"onnx": "import onnxruntime", "openvino": "import openvino", "pt2": "import torch"}


@dataclass
class ExportReport:
    """What was exported.

    Attributes:
        out: The folder.
        files: What it holds.
        parity: Largest difference of each network from PyTorch; of places in shares of the crop.
        pck_loss: Points of PCK that 8-bit numbers cost; None in other precisions.
    """

    out: Path
    files: list[Path] = field(default_factory=list)
    parity: dict[str, float] = field(default_factory=dict)
    pck_loss: float | None = None


def export_bundle(
    weights: str | Path,
    out: str | Path,
    to: Format = "onnx",
    precision: Precision = DEFAULT_PRECISION,
    *,
    people: bool = False,
    force: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> ExportReport:
    """Export networks to a folder that runs without PoseAct.

    It holds the pose network, the networks of actions if the weights know some (for windows and
    frame by frame), the card, ``README.md``, which documents inputs and outputs, and ``run.py``.
    Every network is compared with PyTorch.

    Args:
        weights: Name of weights or a checkpoint file.
        out: Folder for the files.
        to: ``onnx``, ``openvino`` or ``pt2`` (``torch.export``).
        precision: ``bf16`` and ``int8`` only with ``openvino``; ``int8`` for the pose network only.
        people: Add the person detector.
        force: Keep a pose network that loses more than a point of PCK by 8-bit numbers.
        on_step: Called with the name of each step before it begins.

    Raises:
        PoseActError: The weights cannot be read, the runtime or precision cannot be had, a network
            differs from PyTorch's, or the files cannot be written.
    """
    _check(to, precision)
    out, tell = Path(out), on_step or (lambda _: None)
    bundle = _Bundle(ExportReport(out), to, precision)
    tell("reading the weights")
    pose, actions = _sources(weights)
    open_folder(out)
    bundle.card = _card(pose, actions, precision)
    if precision == "int8":
        from poseact.runtime.int8 import cached_int8, pck_loss

        tell("8-bit numbers")
        cached_int8(pose, force=force)
        bundle.report.pck_loss = bundle.card["pck_loss"] = pck_loss(pose)
    tell("pose network")
    crops = shipped_photos(pose.facts.image_size).crops[:_PHOTOS]
    bundle.add(pose, [crops])
    if actions is not None:
        from poseact.runtime.graphs import action_graphs

        for name, graph in action_graphs(actions, pose.network).items():
            tell(name.replace("_", " "))
            random = np.random.default_rng(0)
            shapes = [tuple(example.shape) for example in graph.inputs.values()]
            inputs = [random.random(shape, np.float32) for shape in shapes]
            bundle.add(_GraphFile(name, graph, pose), inputs)
    if people:
        tell("person detector")
        photos = shipped_photos(_PERSON_SIZE[1]).crops[:2, : _PERSON_SIZE[0]]
        bundle.add(PersonSource(), [np.ascontiguousarray(photos)])
    bundle.add_texts()
    return bundle.report


class _GraphFile(GraphSource):
    """A graph that is converted only for the export."""

    def __init__(self, name: str, graph: Graph, beside: GraphSource) -> None:
        self.name, self._graph, self._beside = name, graph, beside

    @property
    def cache(self) -> Any:
        return self._beside.cache

    @property
    def graph(self) -> Graph:
        return self._graph


@dataclass
class _Bundle:
    report: ExportReport
    to: Format
    precision: Precision
    card: dict[str, Any] = field(default_factory=dict)

    def add(self, source: GraphSource, inputs: list[np.ndarray]) -> None:
        """Write a network and compare it with PyTorch."""
        path = self.report.out / f"{source.name}{_SUFFIXES[self.to]}"
        facts = {"poseact": json.dumps(self.card, ensure_ascii=False)}
        quantised = self.precision == "int8" and source.name == "pose"
        with TemporaryDirectory(dir=self.report.out) as folder:
            partial = Path(folder) / path.name
            self._write(source, partial, facts, quantised)
            wanted = source.start(TORCH, "cpu")(*inputs)
            got = self._start(partial, quantised)(*inputs)
            names = source.graph.outputs
            away = max(map(_difference, names, wanted, got))
            if self.precision == DEFAULT_PRECISION and not away <= MOST_DIFFERENCE:
                raise PoseActError(
                    f"The network {source.name} differs by {away:.2g} from PyTorch's when "
                    f"exported to {_RUNTIMES[self.to]}, more than {MOST_DIFFERENCE:g}; it was not "
                    "kept, so use another format."
                )
            for file in sorted(Path(folder).iterdir()):
                self.report.files.append(file.replace(self.report.out / file.name))
        self.report.parity[source.name] = away

    def _write(
        self, source: GraphSource, path: Path, facts: Mapping[str, str], quantised: bool
    ) -> None:
        from poseact.runtime.convert import add_facts, write_onnx, write_openvino, write_pt2

        if self.to == "pt2":
            write_pt2(source.graph, path, facts)
        elif isinstance(source, _GraphFile):
            with TemporaryDirectory() as folder:
                model = Path(folder) / "model.onnx"
                write_onnx(source.graph, model)
                (add_facts if self.to == "onnx" else write_openvino)(model, path, facts)
        elif self.to == "onnx":
            add_facts(source.converted(), path, facts)
        else:
            write_openvino(source.converted("int8" if quantised else "fp32"), path, facts)

    def _start(self, path: Path, quantised: bool) -> Runtime | Callable[..., list[np.ndarray]]:
        if self.to == "onnx":
            from poseact.runtime.onnx_runtime import OnnxRuntime

            return OnnxRuntime(path)
        if self.to == "openvino":
            from poseact.runtime.openvino_runtime import OpenVinoRuntime

            precision = self.precision if quantised or self.precision == "bf16" else "fp32"
            return OpenVinoRuntime(path, precision)
        import torch

        module = torch.export.load(path).module()
        return lambda *arrays: [
            output.detach().numpy() for output in module(*map(torch.from_numpy, arrays))
        ]

    def add_texts(self) -> None:
        out = self.report.out
        write_json(out / "card.json", self.card)
        folder = files("poseact.assets") / "export"
        hint = "bf16" if self.precision == "bf16" else "f32"
        script = (folder / "run.py.txt").read_text("utf-8")
        script = script.replace("IMPORT_RUNTIME", _IMPORTS[self.to])
        script = script.replace("OPEN_NETWORK", _OPEN[self.to].replace("COMPUTE_IN", hint))
        readme = (folder / "README.md").read_text("utf-8")
        readme = readme.replace("RUNTIME_NAME", _RUNTIMES[self.to])
        for name, text in {"run.py": script, "README.md": readme}.items():
            atomic_write(out / name, lambda path, text=text: path.write_text(text, "utf-8"))
        self.report.files += [out / name for name in ("card.json", "run.py", "README.md")]


def _check(to: str, precision: str) -> None:
    if to not in get_args(Format):
        raise PoseActError(f"to={to!r} was given; give one of {', '.join(get_args(Format))}.")
    if to == "pt2":
        if precision != DEFAULT_PRECISION:
            raise PoseActError(
                f"precision={precision!r} was given for pt2, which is written in fp32; leave it "
                "out, or export to openvino."
            )
        return
    checked_runtime(to, precision)


def _sources(weights: str | Path) -> tuple[PoseSource, ActionNetwork | None]:
    """Where the poses come from, and the network of actions in sequences, if there is one."""
    from poseact.models.multitask import MultitaskNetwork
    from poseact.models.sequence import SequenceNetwork
    from poseact.weights.checkpoint import load

    network = load(weights)
    if isinstance(network, SequenceNetwork):
        name = network.card.pose_weights
        if name is None:
            raise PoseActError(
                "The weights recognise actions from poses of another source and do not name a "
                "pose network for pictures; give weights trained on videos."
            )
        beside = find_weights(weights).parent / name
        return PoseSource(beside if beside.is_file() else name), network
    if not isinstance(network, MultitaskNetwork) or not network.config.labels:
        return PoseSource(weights), None
    known = network.config.person_square and network.card.fps is not None
    return (PoseSource(network), network) if known else (PoseSource(weights), None)


def _card(pose: PoseSource, actions: ActionNetwork | None, precision: str) -> dict[str, Any]:
    """The content of ``card.json``."""
    facts = pose.facts
    card: dict[str, Any] = {
        "format": 1,
        "precision": precision,
        **{name: value for name, value in asdict(facts).items() if name != "card"},
        "labels": [],
        **_of_weights(pose.network),
    }
    if actions is not None:
        appearance = "appearance" in getattr(actions.config, "streams", ())
        card["actions"] = {
            "labels": list(actions.config.labels),
            "frames": actions.config.frames,
            "fps": actions.card.fps,
            "inputs": 3 if appearance else 2,
            "temperature": actions.card.temperature,
            "unknown_below": actions.card.unknown_below,
            **_of_weights(actions),
        }
    return card


def _of_weights(network: Network) -> dict[str, Any]:
    card = network.card
    return {"preset": card.preset, "licence": card.licence, "provenance": card.provenance}


def _difference(name: str, wanted: np.ndarray, got: np.ndarray) -> float:
    """Largest difference of an output: places in shares of the crop, others of their largest."""
    away = np.abs(wanted - got)
    if name == "joints":
        return float(max(away[..., :2].max(), away[..., 2:].max(initial=0) / DEPTH_RANGE_MM))
    return float(away.max() / max(1, np.abs(wanted).max()))
