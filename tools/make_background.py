"""Make the background set of ``poseact train-actions`` from rendered people in free motion.

    python tools/make_background.py BACKGROUNDS [OUT.safetensors] [--count 60]

BACKGROUNDS holds pictures without people (by ``tools/cut_backgrounds.py`` from public-domain
photos). Each window shows one person for 2.4 s, drawn from the training part of the generator of
``poseact make-synthetic``; exercises are left out. ``small-open`` reads them in the person's box,
and the mean features at the joints are kept, which depend on its backbone and on its heat maps.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from poseact import Predictor, load
from poseact.inference.boxes import square_of
from poseact.models.multitask import MultitaskNetwork, for_actions
from poseact.models.window_heads import describe_appearance, sampled_frames
from poseact.synthetic.random_person import draw_sequence
from poseact.training.background_set import BACKBONE, FILE, backbone_digest

FRAMES, SIDE = 36, 224
SEED = 77
FREE = """stand, gesture, overhead, run, jump, sit, sit on floor, bend forward, kick, swing, throw,
anything, tumble, hurdle, dance1, jesse_dance, jumping, walk1, wave_hello, zombie"""

_log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("backgrounds", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("src/poseact/assets") / FILE)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    network = load("small-open")
    assert isinstance(network, MultitaskNetwork)
    predictor = Predictor(for_actions(network), runtime="openvino")
    photos = tuple(sorted(args.backgrounds.glob("*.jpg")))
    windows: list[torch.Tensor] = []
    number = 0
    while len(windows) < args.count:
        window = draw_window(predictor, number, photos)
        number += 1
        if window is not None:
            windows.append(window)
            _log.info("%d of %d windows", len(windows), args.count)
    digest = backbone_digest(network)
    assert digest is not None
    save_file({"appearance": torch.cat(windows).half()}, args.out, {BACKBONE: digest})


def draw_window(predictor: Predictor, number: int, photos: tuple[Path, ...]) -> torch.Tensor | None:
    """The description ``(1, J C)`` of a person; None if the motion drawn is not free."""
    kept = {name.strip() for name in FREE.replace("\n", " ").split(",")}
    seen: list[np.ndarray] = []
    rng = np.random.default_rng([SEED, number])
    for frame in draw_sequence(rng, "train", FRAMES, SIDE, photos):
        if frame.motion not in kept:
            return None
        (reading,) = predictor.read(frame.rgb, [square_of(frame.box)])
        seen.append(reading.appearance.astype(np.float16))
    chosen = torch.from_numpy(np.stack(seen))[sampled_frames(FRAMES)].float()
    return describe_appearance(chosen[None])


if __name__ == "__main__":
    main()
