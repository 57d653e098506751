"""A studio in a process of its own, and a browser with a camera that plays a file."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.clips import write_video
from poseact.media import VideoReader

CHROMIUM = os.environ.get("CHROMIUM", shutil.which("chromium") or "/usr/bin/chromium")
PATIENCE_S = 120
"""On a machine that does other things too."""


class StudioProcess:
    """``poseact studio`` with its own folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "poseact", "studio", str(folder), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--no-browser", *options], stdout=subprocess.PIPE, text=True
        )
        lines: queue.Queue[str] = queue.Queue()
        assert self.process.stdout is not None
        threading.Thread(
            target=lambda out: [*map(lines.put, out)], args=(self.process.stdout,), daemon=True
        ).start()
        self.link = lines.get(timeout=PATIENCE_S).split()[-1]
        self.origin = self.link.split("/?")[0].rstrip("/")

    def end(self, how=signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


@contextmanager
def browser_with_camera(camera: Path):
    """Chromium without a window, whose camera plays a file; skips where it is missing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).is_file():
        pytest.skip(f"there is no browser {CHROMIUM}; install chromium or set CHROMIUM")
    options = [
        *("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def demo_pictures(width=320, height=240):
    """The three exercises that ship with the package, a list of pictures for each."""
    with as_file(files("poseact.assets") / "demo.mp4") as path, VideoReader(path) as reader:
        frames = [fitted(frame.image, width, height) for frame in reader]
    third = len(frames) // 3
    return [frames[:third], frames[third : 2 * third], frames[2 * third :]]


def fitted(image, width, height):
    scale = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    whole = np.zeros((height, width, 3), np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    whole[top : top + small.shape[0], left : left + small.shape[1]] = small
    return whole


def write_clips(folder: Path, exercises) -> Path:
    """Two actions with two clips each."""
    for label, images in zip(("squat", "jump"), exercises, strict=False):
        for number in range(2):
            shifted = [np.roll(image, 9 * number, 1) for image in images[:12]]
            write_video(folder / label / f"{number}.mp4", shifted)
    return folder


def write_camera(path: Path, images) -> Path:
    """Motion JPEG as the fake camera reads it."""
    with path.open("wb") as file:
        for image in images:
            _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            file.write(data.tobytes())
    return path


def watched(page):
    """A page with the list of what went wrong in it."""
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on(
        "console",
        lambda said: "Content Security Policy" in said.text and page.faults.append(said.text),
    )
    return page


def show(page, studio, name):
    """Open a page of the studio."""
    page.goto(f"{studio.link}#{name}")
    page.wait_for_selector("main section, main .stage")


def until(page, condition):
    """Wait for what a function or JavaScript says; Playwright's own way is against the policy."""
    limit = time.monotonic() + PATIENCE_S
    while not (condition() if callable(condition) else page.evaluate(condition)):
        assert time.monotonic() < limit, condition
        page.wait_for_timeout(50)


def few_epochs(page):
    """A training of one epoch when the button is pressed: the button itself is what is tested."""

    def change(route):
        wanted = (
            json.loads(route.request.post_data or "{}") if route.request.method == "POST" else None
        )
        route.continue_(post_data=None if wanted is None else json.dumps(wanted | {"epochs": 1}))

    page.route("**/api/training", change)
