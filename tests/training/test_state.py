"""The state of a training on disk."""

from __future__ import annotations

import torch

from poseact.training.state import read_state


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"step": 1, "weights": torch.arange(1000.0)}, path)
    whole = path.read_bytes()
    place = whole.index(torch.arange(8.0).numpy().tobytes())
    for offset in range(place, place + 4000, 400):
        changed = bytearray(whole)
        changed[offset] ^= 1
        path.write_bytes(changed)
        assert read_state(path, "step", "weights") is None
    path.write_bytes(whole)
    assert read_state(path, "step", "weights")["weights"].tolist() == list(range(1000))
