"""The studio in a real browser: answers per second, latency, memory, time to the first recogniser.

    python benchmarks/studio.py --minutes 2 --out benchmarks/studio.json
    python benchmarks/studio.py --minutes 30 --out benchmarks/studio-memory.json
    python benchmarks/studio.py --clips CLIPS --out benchmarks/studio-first.json

Headless Chromium has a camera of 640x480 at 30 pictures per second that plays the demo video. The
studio has learned two actions from parts of it. Latency counts from the capture of a picture in the
browser to the drawn answer; the page Live measures it itself. Memory is that of the server's
process and of the page's JavaScript heap, and is taken ten times.

With ``--clips``, the videos of a folder of clips are sent to an empty studio, and the time is taken
until the instant recogniser answers live, and until the full training is done. It needs playwright
and chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

import poseact
from poseact._utils.files import write_json
from poseact.media import VIDEO_SUFFIXES, VideoReader, VideoWriter

WIDTH, HEIGHT, FPS = 640, 480, 30
WARM_UP_S = 10.0
MOST_WAIT_S = 1800.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--browser", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "clips"
        server, link = start_studio(folder)
        try:
            with sync_playwright() as playwright:
                camera = write_camera(Path(place) / "camera.mjpeg")
                browser = playwright.chromium.launch(
                    executable_path=options.browser,
                    args=[
                        *("--no-sandbox", "--use-fake-ui-for-media-stream"),
                        "--use-fake-device-for-media-stream",
                        f"--use-file-for-fake-video-capture={camera}",
                    ],
                )
                page = browser.new_page()
                page.set_default_timeout(1000 * MOST_WAIT_S)
                if options.clips is None:
                    learn(link, write_demo_clips(Path(place) / "demo"))
                    found = watch(page, link, server.pid, options.minutes)
                else:
                    found = first_recogniser(page, link, options.clips)
                found["browser"] = browser.version
        finally:
            server.terminate()
            server.wait()
    found |= {"machine": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    write_json(options.out, found | {"load": os.getloadavg()[0], "poseact": poseact.__version__})


def start_studio(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A studio and its link."""
    command = [sys.executable, "-m", "poseact", "studio", str(folder), "--port", "0"]
    server = subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    return server, server.stdout.readline().split()[-1]


def write_demo_clips(folder: Path) -> Path:
    """Two actions of one clip each, cut from the demo video."""
    with as_file(files("poseact.assets") / "demo.mp4") as video, VideoReader(video) as reader:
        frames = list(reader)
        for place, label in enumerate(("first", "second")):
            part = frames[place * len(frames) // 3 : (place + 1) * len(frames) // 3]
            path = folder / label / "clip.mp4"
            with VideoWriter(path, reader.fps, reader.width, reader.height) as writer:
                for frame in part:
                    writer.write(frame.image, frame.time)
    return folder


def write_camera(path: Path) -> Path:
    """The demo video as Motion JPEG of the camera's size and rate."""
    with (
        as_file(files("poseact.assets") / "demo.mp4") as video,
        VideoReader(video) as reader,
        path.open("wb") as file,
    ):
        shown = 0.0
        for frame in reader:
            scale = min(WIDTH / reader.width, HEIGHT / reader.height)
            small = cv2.resize(frame.image, None, fx=scale, fy=scale)
            picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            top, left = (HEIGHT - small.shape[0]) // 2, (WIDTH - small.shape[1]) // 2
            picture[top : top + small.shape[0], left : left + small.shape[1]] = small[..., ::-1]
            data = cv2.imencode(".jpg", picture)[1].tobytes()
            while shown <= frame.time:
                file.write(data)
                shown += 1 / FPS
    return path


def watch(page: Page, link: str, pid: int, minutes: float) -> dict[str, Any]:
    """Speed and memory of the page Live."""
    start_live(page, link)
    page.wait_for_timeout(1000 * WARM_UP_S)
    memory = []
    for _ in range(10):
        page.wait_for_timeout(6000 * minutes)
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        heap = page.evaluate("performance.memory.usedJSHeapSize")
        memory.append({"server_mb": int(resident.split()[1]) / 1024, "page_mb": heap / 2**20})
    said = page.locator("aside").inner_text()
    numbers = said[said.index("Latency") :].split("\n")
    return {"minutes": minutes, "shown": [line for line in numbers if line], "memory": memory}


def learn(link: str, clips: Path) -> int:
    """Send a folder of clips, wait for the instant recogniser; returns how many there are."""
    videos = [path for path in sorted(clips.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES]
    for video in videos:
        query = urlencode({"label": video.relative_to(clips).parts[0], "name": video.name})
        ask(link, "POST", f"api/videos?{query}", video.read_bytes())
    while (state := ask(link, "GET", "api/state"))["waiting"] or not state["recognisers"]:
        time.sleep(0.2)
    return len(videos)


def first_recogniser(page: Page, link: str, clips: Path) -> dict[str, Any]:
    """Machine time from the first video that is sent to live answers, and to the report."""
    begun = time.perf_counter()
    count = learn(link, clips)
    learned = time.perf_counter() - begun
    start_live(page, link)
    page.locator("p.now.labels").wait_for()
    live = time.perf_counter() - begun
    begun = time.perf_counter()
    ask(link, "POST", "api/training", json.dumps({"curve": False}).encode())
    while (progress := ask(link, "GET", "api/training"))["state"] == "running":
        time.sleep(1)
    return {
        "clips": count,
        "instant_s": learned,
        "live_s": live,
        "full_training_s": time.perf_counter() - begun,
        "full_training": progress["state"],
    }


def start_live(page: Page, link: str) -> None:
    """Open the page Live and start the camera."""
    page.goto(f"{link}#live")
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("answers per second").wait_for()


def ask(link: str, method: str, path: str, body: bytes | None = None) -> Any:
    """Ask the API of the studio."""
    headers = {"Origin": link.rstrip("/")}
    with urlopen(Request(link + path, body, headers, method=method), timeout=MOST_WAIT_S) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
