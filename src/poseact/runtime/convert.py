"""Graphs written as ONNX, OpenVINO and ``torch.export`` files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.export import Dim, ExportedProgram

from poseact._utils.files import replacing
from poseact.runtime.graphs import ActionStreamGraph, Graph

_OPSET = 20


def exported(graph: Graph) -> ExportedProgram:
    """The graph's arithmetic as PyTorch records it, without the code of this package."""
    shapes = {
        name: {axis: _size(size) for axis, size in graph.dynamic.get(name, {}).items()}
        for name in graph.inputs
    }
    if isinstance(graph.module, ActionStreamGraph):  # takes them as one tuple
        shapes = {"inputs": tuple(shapes.values())}
    with torch.no_grad(), _quiet():
        return torch.export.export(
            graph.module, tuple(graph.inputs.values()), dynamic_shapes=shapes
        )


def write_pt2(graph: Graph, path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write a graph for ``torch.export.load``; the facts become files inside it."""
    with replacing(path) as partial:
        torch.export.save(exported(graph), partial, extra_files=dict(facts or {}))


def write_onnx(graph: Graph, path: Path) -> None:
    """Write a graph as ONNX."""
    import onnx

    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            exported(graph),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    with replacing(path) as partial:
        onnx.save(program.model_proto, partial)


def write_single(model: Path, path: Path) -> None:
    """Write a copy of an ONNX file for batches of one."""
    import onnx

    content = onnx.load(model)
    for one in content.graph.input:
        one.type.tensor_type.shape.dim[0].dim_value = 1
    with replacing(path) as partial:
        onnx.save(content, partial)


def add_facts(model: Path, path: Path, facts: Mapping[str, str]) -> None:
    """Write an ONNX file with facts as its metadata."""
    import onnx

    content = onnx.load(model)
    onnx.helper.set_model_props(content, dict(facts))
    with replacing(path) as partial:
        onnx.save(content, partial)


def write_openvino(model: Path, path: Path, facts: Mapping[str, str]) -> None:
    """Write an ONNX file or a model of OpenVINO as the latter, with facts as runtime information.

    Args:
        model: To read.
        path: ``.xml``; the weights are put beside it.
        facts: By name.
    """
    import openvino

    content = openvino.Core().read_model(model)
    for name, fact in facts.items():
        content.set_rt_info(fact, name)
    openvino.save_model(content, path, compress_to_fp16=False)


def _size(axis: str) -> Dim:
    factor, _, name = axis.rpartition("*")
    size = Dim(name, min=1, max=2**15)
    return int(factor) * size if factor else size


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter within the block."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
