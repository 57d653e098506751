"""The studio in a real browser: from filming to the recogniser, and what may go wrong."""

from __future__ import annotations

import re
import shutil
import signal
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.clips import write_video
from poseact.clips.folder import find_clips
from poseact.media import VideoReader
from poseact.studio.places import Places
from poseact.studio.recognisers import ActionReader
from studio.in_browser.browser import StudioProcess, few_epochs, show, watched

pytestmark = pytest.mark.slow


def test_record_trim_train_watch_and_take_away(page, studio, folder, tmp_path):
    show(page, studio, "record")
    page.get_by_label("Name of the action").fill("Push-Ups")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("radio", name="push ups").wait_for()
    page.get_by_label("Length").select_option("2")
    page.get_by_label("Countdown").uncheck()
    start = page.get_by_role("button", name="Start the camera")
    if start.is_visible():
        start.click()
    page.get_by_role("button", name="Record push ups").click()
    page.get_by_text("Saved a recording of push ups.").wait_for()
    (recorded,) = (folder / "push_ups").iterdir()
    with VideoReader(recorded) as reader:
        times = [frame.time for frame in reader]
    assert 1 < times[-1] < 10
    assert len(times) > 5

    page.get_by_role("link", name="Clips").click()
    page.locator(".clip img").nth(4).wait_for()
    page.locator("button.clip").last.click()
    page.get_by_role("spinbutton", name="Start").fill("0.30")
    page.get_by_role("spinbutton", name="End").fill("1.10")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save the trim").click()
    page.get_by_text("Trimmed.").wait_for()
    (clip,) = (clip for clip in find_clips(folder) if clip.label == "push_ups")
    assert (clip.start, clip.end) == (0.3, 1.1)

    few_epochs(page)
    page.get_by_role("link", name="Train").click()
    page.get_by_text("It learns again after every clip").wait_for()
    page.get_by_role("button", name=re.compile("Train")).click()
    page.get_by_text("clips that were not trained on").wait_for()
    page.locator(".confusion button").first.click()
    page.locator("button.link").first.click()
    page.locator(".clip[aria-pressed=true]").wait_for()

    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_text("answers per second").wait_for()
    page.locator("p.now.labels").wait_for()

    page.get_by_role("link", name="Use elsewhere").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download actions.safetensors").first.click()
    download.value.save_as(tmp_path / "actions.safetensors")
    reader = ActionReader(tmp_path / "actions.safetensors", "trained")
    assert {"squat", "jump"} <= set(reader.labels)
    assert page.faults == []


def test_the_bundle_for_other_programs_is_made_and_downloaded(page, studio, folder, tmp_path):
    made = Places(folder).bundle
    made.parent.mkdir(parents=True, exist_ok=True)

    def make(route):
        # What is in a bundle is tested without a browser.
        made.write_bytes(b"bundle")
        route.fulfill(status=201)

    page.route("**/api/bundle?*", make)
    show(page, studio, "use")
    with page.expect_download() as download:
        page.get_by_role("button", name="Make and download").first.click()
    download.value.save_as(tmp_path / "recogniser.zip")
    assert (tmp_path / "recogniser.zip").read_bytes() == b"bundle"
    assert page.faults == []


def test_files_are_dropped_in_and_brought_back_by_undo(page, studio, folder, exercises, tmp_path):
    file = write_video(tmp_path / "my <b>video.mp4", exercises[2][:12])
    show(page, studio, "record")
    page.get_by_role("radio", name="squat").check()
    page.set_input_files("#files", str(file))
    page.get_by_text("1 file added.").wait_for()
    (name,) = (clip.name for clip in find_clips(folder) if "video" in clip.name)
    page.get_by_role("link", name="Clips").click()
    page.locator(f'button.clip[title="{name}"]').click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted; Undo brings it back.").wait_for()
    assert name not in [clip.name for clip in find_clips(folder)]
    page.get_by_role("button", name="Undo").click()
    page.locator(f'button.clip[title="{name}"]').wait_for()
    assert name in [clip.name for clip in find_clips(folder)]
    assert page.faults == []


def test_labels_are_texts_whatever_they_say(page, studio):
    label = "x <img src=x onerror=alert(1)>"
    page.on("dialog", lambda dialog: page.faults.append(dialog.message))
    show(page, studio, "record")
    page.get_by_label("Name of the action").fill(label)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(label, exact=True).wait_for()
    assert page.locator("img[src=x]").count() == 0
    page.get_by_role("button", name=f"Change {label}").click()
    page.get_by_role("button", name="Remove the action").click()
    page.get_by_text(label, exact=True).wait_for(state="detached")
    assert page.faults == []


def test_two_tabs_lose_nothing(context, page, studio, folder):
    other = watched(context.new_page())
    for tab in (page, other):
        show(tab, studio, "clips")
        tab.locator('button.clip[title="jump/0.mp4"]').click()
    # The second one does not hear of the change of the first.
    other.route("**/api/state", lambda route: route.abort())
    page.get_by_role("spinbutton", name="End").fill("0.6")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save the trim").click()
    page.get_by_text("Trimmed.").wait_for()
    other.get_by_role("spinbutton", name="End").fill("0.4")
    other.keyboard.press("Tab")
    other.get_by_role("button", name="Save the trim").click()
    other.get_by_text("it was changed elsewhere").wait_for()
    found = {clip.path.name: clip.end for clip in find_clips(folder) if clip.label == "jump"}
    assert found["0.mp4"] == 0.6
    other.unroute("**/api/state")
    page.get_by_role("button", name="Undo").click()
    other.locator('button.clip[title="jump/0.mp4"]').wait_for()


def test_a_reload_or_a_kill_in_the_middle_of_a_training(context, folder, tmp_path):
    # Neither what holds the folder nor what is being written there.
    left = shutil.ignore_patterns("lock", ".poseact-*")
    folder = shutil.copytree(folder, tmp_path / "clips", ignore=left)
    studio = StudioProcess(folder)
    page = watched(context.new_page())
    try:
        show(page, studio, "train")
        few_epochs(page)
        page.get_by_role("button", name=re.compile("Train")).click()
        page.get_by_text("Training …").wait_for()
        page.reload()
        page.get_by_text("Training …").wait_for()
        clips = sorted(clip.name for clip in find_clips(folder))
        studio.end(signal.SIGKILL)
        studio = StudioProcess(folder)
        again = watched(context.new_page())
        show(again, studio, "train")
        # The training goes on by itself and ends.
        again.get_by_text("Done.").wait_for()
        assert sorted(clip.name for clip in find_clips(folder)) == clips
    finally:
        studio.end()


def test_without_a_camera_the_devices_own_app_films(browser, studio):
    context = browser.new_context(permissions=[])
    context.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page = watched(context.new_page())
    show(page, studio, "record")
    page.get_by_text("Film with the camera app of this device instead").wait_for()
    assert page.get_by_role("button", name="Start the camera").count() == 0
    assert page.locator("#files").get_attribute("capture") == "environment"
    context.close()


def test_another_sites_page_reaches_nothing(browser, studio, folder, tmp_path):
    clips = [clip.name for clip in find_clips(folder)]
    (tmp_path / "index.html").write_text("<h1>elsewhere</h1>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    found = page.evaluate(
        """async (studio) => {
            const socket = new Promise((resolve) => {
                const one = new WebSocket(studio.replace("http", "ws") + "/stream");
                one.onopen = () => resolve("open");
                one.onerror = () => resolve("refused");
            });
            const read = await fetch(studio + "/api/state").then(() => "read", () => "refused");
            const change = {method: "DELETE", mode: "no-cors"};
            const simple = {method: "POST", mode: "no-cors"};
            await fetch(studio + "/api/clips?clip=jump/1.mp4", change).catch(() => {});
            await fetch(studio + "/api/undo", simple).catch(() => {});
            return [await socket, read];
        }""",
        studio.origin,
    )
    server.shutdown()
    page.close()
    assert found == ["refused", "refused"]
    assert [clip.name for clip in find_clips(folder)] == clips


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A studio for the network that shows skeletons alone."""
    folder = tmp_path_factory.mktemp("guarded") / "clips"
    studio = StudioProcess(folder, "--host", "127.0.0.2", "--skeleton-only")
    yield studio
    studio.end()


def test_the_network_needs_the_link_with_its_token(browser, guarded):
    page = watched(browser.new_page())
    assert page.goto(guarded.origin).status == 401
    page.goto(guarded.link)
    page.get_by_role("heading", name="Actions").wait_for()
    assert "token" not in page.url
    page.close()


def test_skeletons_alone_are_shown_where_they_are_wanted(browser, guarded):
    page = watched(browser.new_page())
    show(page, guarded, "live")
    page.locator("video.unseen").wait_for(state="attached")
    assert page.get_by_label("Show the picture").is_disabled()
    page.close()
