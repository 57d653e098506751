"""Runtimes that networks run in: PyTorch, ONNX Runtime and OpenVINO behind one protocol."""
