"""The page of a batch in a real browser: it can be seen, filtered, played, and attacks nobody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from results_kit import job_row, small_video, subject

from orchestrator.media.poster import make_poster
from orchestrator.model import State
from orchestrator.report.cards import Video
from orchestrator.report.gallery import render
from orchestrator.store.base import JobRow

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EVIL = "\"><script>window.evil=1</script><img src=x onerror=window.evil=1>'"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "no Chromium on the path: install the system's package chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a page of nine jobs, two of them hostile, and one video."""
    folder = tmp_path_factory.mktemp("gallery")
    small_video(folder / "out" / "good.mp4")
    small_video(folder / "out" / f"{EVIL.replace('/', '')}.mp4")
    done = [
        job_row("good", output=str(folder / "out" / "good.mp4"), tags=("vip",)),
        job_row(EVIL, output=str(folder / "out" / f"{EVIL.replace('/', '')}.mp4")),
        *(job_row(f"video-{n}", output=str(folder / "out" / "good.mp4")) for n in range(3)),
    ]
    others = [
        job_row("doubtful", State.IN_DOUBT, message="no reply"),
        job_row("broken", State.FAILED, message=EVIL * 9, tags=("vip", EVIL), task_id=EVIL),
        job_row("broken-too", State.FAILED, message="no such voice"),
        job_row("waiting", State.READY, attempts=0),
    ]
    write(folder / "page.html", [*done, *others])
    return folder


def write(path: Path, rows: list[JobRow], *, rehearsal: bool = False) -> None:
    poster = make_poster(path.parent / "out" / "good.mp4")
    videos = {
        row.job_id: Video(there=True, poster=poster) for row in rows if row.state is State.DONE
    }
    path.write_text(render(subject(*rows, videos=videos, rehearsal=rehearsal), path.parent))


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page, opened from its file; complaints of the browser fail the test."""
    context = browser.new_context()
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(f"file://{folder}/page.html")
    yield opened
    context.close()
    assert complaints == []


def shown(page: Page) -> list[str]:
    """The ids of the cards that can be seen."""
    return page.locator("article:visible h3").all_text_contents()


def test_everything_is_shown_at_first_and_what_needs_attention_first(page: Page) -> None:
    assert shown(page)[:3] == ["doubtful", "broken", "broken-too"]
    assert len(shown(page)) == 9
    assert page.locator("output").inner_text() == ""


def test_the_filter_by_state_hides_the_others_and_empty_sections(page: Page) -> None:
    page.get_by_role("button", name="failed").click()
    assert shown(page) == ["broken", "broken-too"]
    assert page.locator("section:visible").count() == 1
    assert page.locator("output").inner_text() == "2 of 9 shown"
    assert page.get_by_role("button", name="failed").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="All").click()
    assert len(shown(page)) == 9


def test_words_are_found_in_ids_tags_and_errors_and_all_have_to_be_there(page: Page) -> None:
    box = page.get_by_role("searchbox")
    box.fill("VIP")
    assert shown(page) == ["broken", "good"]
    box.fill("vip broken")
    assert shown(page) == ["broken"]
    box.fill("no such voice")
    assert shown(page) == ["broken-too"]
    box.fill("nothing of the kind")
    assert shown(page) == []
    assert page.locator("#none").is_visible()


def test_state_and_words_work_together_and_with_the_keyboard_alone(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("broken")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(":focus").inner_text().startswith("in doubt")
    assert shown(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert shown(page) == ["broken", "broken-too"]
    page.get_by_role("searchbox").focus()
    page.keyboard.press("Escape")
    assert page.get_by_role("searchbox").input_value() == ""


def test_the_first_stop_of_the_tab_key_leads_to_the_jobs(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the jobs"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "jobs"


def test_hostile_texts_run_nothing_and_add_nothing(page: Page) -> None:
    assert page.evaluate("window.evil") is None
    assert page.locator("img").count() == 0
    assert EVIL in shown(page)
    link = page.locator("article", has_text="window.evil").locator(".open a").first
    assert link.evaluate("a => a.protocol") == "file:"


def test_a_script_that_got_in_would_not_run(browser: Browser, folder: Path) -> None:
    source = (folder / "page.html").read_text()
    attacked = folder / "attacked.html"
    attacked.write_text(source.replace("<main", "<script>window.evil=1</script><main", 1))
    page = browser.new_page()
    page.goto(f"file://{attacked}")
    assert page.evaluate("window.evil") is None
    page.close()


def test_a_video_is_fetched_when_it_is_played_and_not_before(page: Page, folder: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    assert [url for url in asked if not url.startswith("data:")] == [f"file://{folder}/page.html"]
    video = page.locator("video").first
    assert video.evaluate("v => v.networkState") in (0, 1)
    page.get_by_role("button", name="Play Video of good").click()
    assert video.evaluate("v => v.controls")
    assert f"file://{folder}/out/good.mp4" in asked


def test_tall_and_wide_videos_have_cards_of_one_size(browser: Browser, folder: Path) -> None:
    videos = {}
    rows = [job_row(name) for name in ("tall", "wide")]
    for row, width, height in zip(rows, (64, 160), (160, 64), strict=True):
        path = small_video(folder / f"{row.job_id}.mp4", width=width, height=height)
        videos[row.job_id] = Video(there=True, poster=make_poster(path))
    (folder / "shapes.html").write_text(render(subject(*rows, videos=videos), folder))
    page = browser.new_page()
    page.goto(f"file://{folder}/shapes.html")
    page.wait_for_function("document.querySelectorAll('video').length === 2")
    sizes = page.evaluate(SCREENS)
    assert len(sizes) == 2
    assert all(abs(width - height) < 1 for width, height in sizes)
    page.close()


SCREENS = """() => [...document.querySelectorAll('.screen')]
  .map((screen) => screen.getBoundingClientRect())
  .map((box) => [box.width, box.height])"""


@pytest.mark.parametrize("width", [320, 400, 768, 1280, 1920])
def test_nothing_sticks_out_at_any_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const numbers = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const found = numbers(getComputedStyle(element).backgroundColor);
    return found[3] === 255 || !element.parentElement ? found : ground(element.parentElement);
  };
  let least = 99;
  for (const element of document.querySelectorAll('h1, h2, h3, p, li, dt, dd, small, code, a')) {
    if (!element.innerText?.trim() || element.closest('.skip, .screen')) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(ground(element))];
    least = Math.min(least, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return least;
}"""


def test_without_scripts_every_job_is_there_and_no_filter(browser: Browser, folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{folder}/page.html")
    assert page.locator("article:visible").count() == 9
    assert page.locator("#filter").is_hidden()
    assert page.locator("video[controls]").count() == 5
    context.close()


def test_a_rehearsal_says_so_on_top(browser: Browser, folder: Path) -> None:
    write(folder / "rehearsal.html", [job_row("a")], rehearsal=True)
    page = browser.new_page()
    page.goto(f"file://{folder}/rehearsal.html")
    assert page.title().startswith("Rehearsal: ")
    notice = page.locator(".rehearsal").bounding_box()
    assert notice is not None
    assert notice["y"] == 0
    page.close()


def test_a_thousand_jobs_are_no_burden(browser: Browser, folder: Path) -> None:
    path = folder / "thousand.html"
    write(path, [job_row(f"job-{n:04}") for n in range(1_000)])
    page = browser.new_page()
    began = time.monotonic()
    page.goto(f"file://{path}")
    page.get_by_role("searchbox").fill("job-0999")
    assert shown(page) == ["job-0999"]
    assert time.monotonic() - began < 15
    page.close()
