"""The pages in a real browser, control by control: keyboard, recording, editor, files, layout."""

from __future__ import annotations

import re

import cv2
import pytest

from helpers.clips import write_video
from poseact.clips.folder import find_clips
from poseact.media.drawing import OUTLINE
from studio.in_browser.browser import (
    StudioProcess,
    few_epochs,
    show,
    until,
    watched,
    write_clips,
)

pytestmark = pytest.mark.slow

PAGES = ("record", "clips", "train", "live", "use")

FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select, summary, [tabindex='0']"
NAME = """(one) => [one.tagName, one.id, one.value, one.textContent.slice(0, 40)].join(" ")"""
EXAMINED = """fetch("api/state").then((answer) => answer.json())
    .then((state) => state.clips.every((clip) => clip.examined))"""
DROP = """async ([bytes, name]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(bytes)], name));
    const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
    document.querySelector(".drop").dispatchEvent(drop);
}"""


@pytest.fixture
def record(page, studio):
    """The page Record with its camera running."""
    show(page, studio, "record")
    page.locator("video.picture").wait_for()
    page.locator(".empty").wait_for(state="hidden")
    page.get_by_role("radio", name="squat").check()
    return page


def of(folder, label):
    return [clip for clip in find_clips(folder) if clip.label == label]


@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_and_every_control_has_a_name(browser, studio, width):
    page = watched(browser.new_page(viewport={"width": width, "height": 740}))
    for name in PAGES:
        show(page, studio, name)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, name
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, select, [role=slider]")]
                .filter((one) => one.offsetParent && !(one.textContent.trim()
                    || one.getAttribute("aria-label") || one.labels?.length || one.title))
                .map((one) => one.outerHTML)"""
        )
        assert nameless == [], name
    assert page.faults == []
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_tab_key_goes_through_all_controls_in_their_order_and_shows_where(page, studio, name):
    show(page, studio, name)
    until(page, EXAMINED)
    if name == "record":
        # The camera opens by itself, and then there are other controls.
        page.locator(".empty").wait_for(state="hidden")
    page.wait_for_timeout(300)
    # One radio button of a group, the chosen one, is reached.
    wanted = page.evaluate(
        f"""() => [...document.querySelectorAll("{FOCUSABLE}")]
            .filter((one) => one.checkVisibility() && (one.type !== "radio" || one.checked))
            .map({NAME})"""
    )
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(page.evaluate(f"() => ({NAME})(document.activeElement)"))
        outline = page.evaluate(
            """() => {
                const one = document.activeElement;
                const marked = one.classList.contains("sr") ? one.labels[0] : one;
                return getComputedStyle(marked).outlineStyle;
            }"""
        )
        assert outline != "none", reached[-1]
    assert reached == wanted


def test_keys_choose_actions_and_record(record, folder):
    page = record
    page.get_by_label("Length").select_option("hold")
    page.get_by_label("Length").blur()
    for key in "21":
        page.keyboard.press(key)
        chosen = page.locator(".action").nth(int(key) - 1)
        assert chosen.get_by_role("radio").is_checked()
    label = page.locator("input[name=action]:checked").input_value()
    count = len(of(folder, label))
    countdown = page.get_by_label("Countdown")
    was = countdown.is_checked()
    countdown.press(" ")
    assert countdown.is_checked() != was
    # As long as the key is held, also on the button itself.
    page.locator("button.record").focus()
    page.keyboard.down(" ")
    page.get_by_role("button", name="Stop").wait_for()
    page.wait_for_timeout(1500)
    page.keyboard.up(" ")
    page.get_by_text("Saved a recording").wait_for()
    assert len(of(folder, label)) == count + 1
    assert page.faults == []


def test_a_retake_counts_down_and_replaces_the_last_recording(record, folder):
    page = record
    page.get_by_label("Length").select_option("2")
    page.get_by_label("Countdown").uncheck()
    before = {clip.path for clip in of(folder, "squat")}
    page.get_by_role("button", name="Record squat").click()
    page.get_by_text("Saved a recording of squat.").wait_for()
    (first,) = {clip.path for clip in of(folder, "squat")} - before
    page.get_by_label("Countdown").check()
    page.get_by_role("button", name="Retake").click()
    for number in "321":
        page.locator(".big", has_text=number).wait_for()
    page.locator(".light:visible").wait_for()
    # The message of the first recording may still be there.
    until(page, lambda: {clip.path for clip in of(folder, "squat")} - before - {first})
    (second,) = {clip.path for clip in of(folder, "squat")} - before
    assert second != first
    assert not first.exists()
    assert page.faults == []


def test_the_editor_cuts_moves_and_sets_the_part(page, studio, folder, exercises):
    write_video(folder / "jump" / "long.mp4", exercises[1][:40])
    show(page, studio, "clips")
    # A file that was put into the folder is found by itself.
    page.locator("button.clip, .loose", has_text="long").or_(
        page.locator('button.clip[title="jump/long.mp4"]')
    ).first.wait_for()
    if page.locator(".loose", has_text="long").count():
        page.locator(".loose", has_text="long").get_by_role("button", name="Add").click()
    page.locator('button.clip[title="jump/long.mp4"] img').wait_for()
    page.locator('button.clip[title="jump/long.mp4"]').click()
    end = page.get_by_role("spinbutton", name="End")
    until(page, "document.querySelector('.editor video').readyState >= 2")
    page.locator('button.clip[title="jump/long.mp4"]').focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
        page.wait_for_timeout(100)
    page.keyboard.press("o")
    assert float(end.input_value()) == pytest.approx(1, abs=0.1)
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_timeout(100)
    page.keyboard.press("i")
    page.get_by_label("Cut out as a new clip of").select_option("squat")
    page.get_by_role("button", name="Cut out").click()
    page.get_by_text("A new clip of squat.").wait_for()
    (cut,) = [clip for clip in of(folder, "squat") if clip.path.name == "long.mp4"]
    assert cut.end - cut.start == pytest.approx(1 / 3, abs=0.1)
    page.get_by_label("Part").select_option("test")
    page.locator(".editor label", has_text="Action").locator("select").select_option("jump")
    page.get_by_text("Moved to jump.").wait_for()
    both = [clip for clip in of(folder, "jump") if clip.path.name == "long.mp4"]
    assert [clip.part for clip in both] == ["test", "test"]
    shown = "button.clip[title^='jump/long.mp4']"
    for left in (1, 0):
        page.locator(shown).first.click()
        page.get_by_role("button", name="Delete").click()
        until(page, f'document.querySelectorAll("{shown}").length === {left}')
    assert list((folder / ".trash").rglob("long.mp4"))
    page.get_by_role("button", name="Empty the trash").click()
    page.get_by_role("button", name="Remove for good").click()
    page.get_by_role("button", name="Empty the trash").wait_for(state="hidden")
    assert not list((folder / ".trash").rglob("*.mp4"))
    assert page.faults == []


def test_a_trim_is_kept_when_the_video_says_later_how_long_it_is(page, studio, folder, exercises):
    (folder / "jump").mkdir(exist_ok=True)
    write_video(folder / "jump" / "slow.mp4", exercises[1][:40])
    late, is_late = [], True

    def hold(route):
        if is_late:
            late.append(route)
        else:
            route.continue_()

    page.route("**/api/video?*", hold)
    show(page, studio, "clips")
    added = page.locator('button.clip[title="jump/slow.mp4"]')
    loose = page.locator(".loose", has_text="slow")
    added.or_(loose).first.wait_for()
    if loose.count():
        loose.get_by_role("button", name="Add").click()
    added.click()
    until(page, lambda: late)
    start, end = (page.get_by_role("spinbutton", name=name) for name in ("Start", "End"))
    for field, value in ((start, "0.30"), (end, "0.90")):
        field.fill(value)
        page.keyboard.press("Tab")
    is_late = False
    for route in late:
        route.continue_()
    until(page, "document.querySelector('.editor video').readyState >= 2")
    assert (start.input_value(), end.input_value()) == ("0.30", "0.90")
    page.get_by_role("button", name="Save the trim").click()
    page.get_by_text("Trimmed.").wait_for()
    (clip,) = [clip for clip in of(folder, "jump") if clip.path.name == "slow.mp4"]
    assert (clip.start, clip.end) == (0.3, 0.9)
    assert page.faults == []


def test_a_file_that_is_dropped_becomes_a_clip(page, studio, folder, exercises, tmp_path):
    file = write_video(tmp_path / "dropped.mp4", exercises[2][:12])
    show(page, studio, "record")
    page.get_by_role("radio", name="jump").check()
    page.evaluate(DROP, [[*file.read_bytes()], file.name])
    page.get_by_text("1 file added.").wait_for()
    assert (folder / "jump" / "dropped.mp4").is_file()


def test_files_that_are_refused_stay_listed_by_name(page, studio, exercises, tmp_path):
    show(page, studio, "record")
    page.get_by_role("radio", name="jump").check()
    page.evaluate(DROP, [[*b"no video"], "notes.mp4"])
    refused = page.get_by_role("listitem").filter(has_text="notes.mp4: The file is not a video")
    refused.wait_for()
    file = write_video(tmp_path / "dropped.mp4", exercises[2][:12])
    page.evaluate(DROP, [[*file.read_bytes()], file.name])
    page.get_by_text("1 file added.").wait_for()
    refused.wait_for(state="detached")


def test_a_file_is_watched_and_fills_the_screen(page, studio, exercises, tmp_path):
    file = write_video(tmp_path / "watched.mp4", exercises[0])
    show(page, studio, "live")
    page.set_input_files("#live-file", str(file))
    page.get_by_text("answers per second").wait_for()
    page.get_by_role("button", name="Full screen").click()
    until(page, "document.fullscreenElement?.classList.contains('stage')")
    assert page.faults == []


def test_the_page_of_the_api_shows_every_request(page, studio):
    page.goto(f"{studio.origin}/docs.html")
    page.get_by_text("GET /api/state").click()
    paths = page.request.get(f"{studio.origin}/openapi.json").json()["paths"]
    assert page.locator("details.endpoint").count() == sum(map(len, paths.values()))
    assert page.faults == []


def test_a_training_of_skeletons_alone_stores_no_pictures(context, exercises, tmp_path):
    folder = write_clips(tmp_path / "clips", exercises)
    studio = StudioProcess(folder, "--skeleton-only")
    try:
        page = watched(context.new_page())
        show(page, studio, "train")
        few_epochs(page)
        page.get_by_role("button", name=re.compile("Train")).click()
        page.get_by_text("clips that were not trained on").wait_for()
        page.locator(".worst img").first.wait_for()
        pictures = sorted((folder / ".studio" / "training" / "worst").iterdir())
        assert pictures
        for path in pictures:
            strip = cv2.imread(str(path))[..., ::-1]
            assert (strip[0] == OUTLINE).all()  # nothing but the background at the edge
    finally:
        studio.end()
