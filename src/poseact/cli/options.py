"""Options that several commands have."""

from __future__ import annotations

from typing import Literal

RuntimeOption = Literal["torch", "onnx", "openvino", "auto"] | None
PrecisionOption = Literal["fp32", "bf16", "int8", "auto"] | None
