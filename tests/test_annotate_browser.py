"""The annotation page in a browser, used as a person uses it: with the mouse, with keys, for long."""

import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import known_filters
import numpy as np
import pytest
from browser import open_browser
from cli_runner import command
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from dcgan_cli.checkpoint.format import save
from dcgan_cli.data.box_files import SampleBoxes, read_boxes, write_boxes
from dcgan_cli.data.labels import Boxes
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.render.annotate import annotation_page

pytestmark = pytest.mark.browser

SIDE = 64
COUNT = 6
WIDE, SMALL = (1280, 800), (800, 600)

Pixels = tuple[int, int, int, int]


@dataclass(frozen=True)
class Page:
    """The page as a person meets it; places are pixels of the sample."""

    browser: Chrome
    downloads: Path

    def resize(self, size: tuple[int, int]) -> None:
        width, height = size
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        # The page is laid out anew a frame or two later; on a busy machine that takes a while.
        self.browser.execute_async_script(
            """const [width, done] = arguments;
            const image = document.getElementById("image");
            if (!image) return done();  // nothing is open yet
            let last = "", same = 0;
            const look = () => {
              const { left, top, width: wide } = image.getBoundingClientRect();
              const place = [innerWidth, left, top, wide].join();
              same = place === last && innerWidth === width ? same + 1 : 0;
              last = place;
              same < 5 ? requestAnimationFrame(look) : done();
            };
            look();""",
            width,
        )

    def press(self, *keys: str, shift: bool = False, control: bool = False) -> None:
        chain = ActionChains(self.browser, duration=0)
        held = [key for key, on in ((Keys.SHIFT, shift), (Keys.CONTROL, control)) if on]
        for key in held:
            chain = chain.key_down(key)
        chain = chain.send_keys(*keys)
        for key in held:
            chain = chain.key_up(key)
        chain.perform()

    def drag(self, x0: float, y0: float, x1: float, y1: float, *, shift: bool = False) -> None:
        image = self.find("image")
        scale = image.rect["width"] / SIDE
        chain = ActionChains(self.browser, duration=0)
        chain.move_to_element_with_offset(
            image, round((x0 - SIDE / 2) * scale), round((y0 - SIDE / 2) * scale)
        )
        if shift:
            chain = chain.key_down(Keys.SHIFT)
        chain = chain.click_and_hold()
        chain = chain.move_by_offset(round((x1 - x0) * scale), round((y1 - y0) * scale)).release()
        if shift:
            chain = chain.key_up(Keys.SHIFT)
        chain.perform()

    def click(self, name: str) -> None:
        self.find(name).click()

    def find(self, name: str) -> Any:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.find(name).text

    def type_name(self, text: str) -> None:
        self.find("kind").clear()
        self.find("kind").send_keys(text)

    @property
    def message(self) -> str:
        return self.text("message-text")

    @property
    def boxes(self) -> list[Pixels]:
        """The boxes that are to be seen on the sample, as the screen has them."""
        return [
            tuple(row)
            for row in self.browser.execute_script(
                """const frame = document.getElementById("image").getBoundingClientRect();
                const scale = frame.width / arguments[0];
                return [...document.querySelectorAll(".box")].map((box) => {
                  const { left, top, right, bottom } = box.getBoundingClientRect();
                  return [left - frame.left, top - frame.top, right - frame.left, bottom -
                  frame.top]
                    .map((edge) => Math.round(edge / scale));
                });""",
                SIDE,
            )
        ]

    @property
    def due(self) -> bool:
        """Whether the button Save shows that something is not saved."""
        return "due" in str(self.find("save").get_attribute("class"))

    @property
    def focused(self) -> str:
        return self.browser.execute_script(
            "return document.activeElement.id || document.activeElement.className"
        )

    def thumbs(self) -> list[str]:
        return [
            str(thumb.get_attribute("aria-label"))
            for thumb in self.browser.find_elements(By.CSS_SELECTOR, ".thumb")
        ]

    def save(self) -> Path:
        """What Save writes among the downloads."""
        for old in self.downloads.iterdir():
            old.unlink()
        self.click("save")
        WebDriverWait(self.browser, 20, 0.05).until(
            lambda _: [file.name for file in self.downloads.iterdir()] == ["boxes.json"]
        )
        return self.downloads / "boxes.json"

    def load(self, path: Path) -> str:
        """Load a file through the file chooser; the message that follows."""
        self.browser.execute_script("closeMessage()")
        self.find("file").send_keys(str(path))
        return self.wait_for_message()

    def drop(self, name: str, text: str, size: int = 0) -> str:
        """Drop a file of at least `size` bytes on the page; the message that follows."""
        self.browser.execute_script(
            """closeMessage();
            const data = new DataTransfer();
            data.items.add(new File([arguments[1].padEnd(arguments[2])], arguments[0]));
            for (const type of ["dragover", "drop"]) {
              document.body.dispatchEvent(
                new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
            }""",
            name,
            text,
            size,
        )
        return self.wait_for_message()

    def wait_for_message(self) -> str:
        WebDriverWait(self.browser, 20, 0.02).until(lambda _: self.message)
        return self.message


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Chrome, Path]]:
    downloads = tmp_path_factory.mktemp("downloads")
    with open_browser(tmp_path_factory.mktemp("profile"), downloads) as driver:
        yield driver, downloads


@pytest.fixture
def page(browser: tuple[Chrome, Path], tmp_path: Path) -> Generator[Page]:
    """The page of six samples, as on its first day, and without an error in the end."""
    driver, downloads = browser
    opened = Page(driver, downloads)
    opened.resize(WIDE)
    driver.get(write_page(tmp_path).as_uri())
    driver.execute_script("localStorage.clear()")
    driver.refresh()
    yield opened
    complaints = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not complaints


def write_page(folder: Path, name: str = "page.html", **changes: Any) -> Path:
    stream = np.random.default_rng(0)
    given: dict[str, Any] = {
        "checkpoint": "0123456789ab",
        "seed": 0,
        "bn": "reestimated",
        "average": True,
        "kind": "window",
    }
    images = stream.integers(0, 256, (COUNT, SIDE, SIDE, 3), np.uint8)
    path = folder / name
    path.write_bytes(annotation_page(images, **given | changes))
    return path


def corners(found: SampleBoxes) -> list[tuple[int, list[float]]]:
    return list(zip(found.boxes.image.tolist(), found.boxes.corners.tolist(), strict=True))


def fractions(pixels: Sequence[float]) -> list[float]:
    return [edge / SIDE for edge in pixels]


# With the mouse


def test_draw_move_resize_delete_and_undo_with_the_mouse(page: Page) -> None:
    page.drag(40, 50, 10, 20)  # from any corner
    assert page.boxes == [(10, 20, 40, 50)]
    assert page.text("tally") == "1 of 6 looked at, 1 box"
    assert page.text("hint").startswith("30 × 30 pixels at 10, 20")
    page.drag(20, 30, 25, 28)  # its inside moves it
    assert page.boxes == [(15, 18, 45, 48)]
    page.drag(45, 48, 50, 60)  # its corners and edges resize it
    page.drag(15, 39, 5, 39)
    assert page.boxes == [(5, 18, 50, 60)]
    page.drag(5, 39, 60, 39)  # past the other edge it turns over
    assert page.boxes == [(50, 18, 60, 60)]
    page.drag(55, 40, 75, 66)  # no further than the image goes
    assert page.boxes == [(54, 22, 64, 64)]
    page.drag(2, 2, 12, 12)
    assert len(page.boxes) == 2
    page.click("remove")
    assert page.boxes == [(54, 22, 64, 64)]
    page.click("undo")
    assert page.boxes == [(54, 22, 64, 64), (2, 2, 12, 12)]
    for _ in range(7):
        page.click("undo")
    assert page.boxes == []
    assert page.text("tally") == "0 of 6 looked at, 0 boxes"
    assert not page.find("undo").is_enabled()
    for _ in range(8):
        page.click("redo")
    assert page.boxes == [(54, 22, 64, 64)]
    assert not page.find("redo").is_enabled()


def test_a_slip_of_the_hand_draws_nothing(page: Page) -> None:
    page.drag(10, 10, 10.2, 10.2)
    page.drag(10, 10, 10, 30)
    assert page.boxes == []
    assert page.text("tally") == "0 of 6 looked at, 0 boxes"


def test_a_drag_may_begin_and_end_outside_the_image(page: Page) -> None:
    page.drag(-2, -0.4, 20, 30)
    page.drag(30, 40, 80, 64.5)
    assert page.boxes == [(0, 0, 20, 30), (30, 40, 64, 64)]


def test_shift_draws_on_top_of_a_box_and_escape_gives_a_drag_up(page: Page) -> None:
    page.drag(10, 10, 50, 50)
    page.drag(20, 20, 30, 30, shift=True)
    assert page.boxes == [(10, 10, 50, 50), (20, 20, 30, 30)]
    image = page.find("image")
    chain = ActionChains(page.browser, duration=0).move_to_element_with_offset(image, -300, 250)
    chain.click_and_hold().move_by_offset(100, 20).send_keys(Keys.ESCAPE).release().perform()
    assert len(page.boxes) == 2


def test_a_finger_draws_too(page: Page) -> None:
    left, top, scale = page.browser.execute_script(
        """const { left, top, width } = document.getElementById("image").getBoundingClientRect();
        return [left, top, width / arguments[0]];""",
        SIDE,
    )
    for kind, places in (
        ("touchStart", [(8, 8)]),
        ("touchMove", [(20, 20)]),
        ("touchMove", [(30, 40)]),
        ("touchEnd", []),
    ):
        points = [{"x": left + x * scale, "y": top + y * scale} for x, y in places]
        page.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )
    assert page.boxes == [(8, 8, 30, 40)]


def test_after_a_click_enter_is_for_the_sample(page: Page) -> None:
    page.drag(10, 10, 50, 50)
    page.drag(1, 1, 8, 8)
    page.click("undo")
    page.press(Keys.ENTER)
    assert page.text("name") == "Sample 1"
    page.browser.find_elements(By.CSS_SELECTOR, ".thumb")[3].click()
    page.press(Keys.ENTER)
    assert page.text("name") == "Sample 4"
    assert page.thumbs()[:4] == [
        "Sample 0: 1 box",
        "Sample 1: not looked at",
        "Sample 2: not looked at",
        "Sample 3: nothing here",
    ]


# With the keys


def test_everything_with_the_keys(page: Page) -> None:
    page.press("b")
    assert page.boxes == [(21, 21, 43, 43)]
    assert page.focused == "box selected"
    page.press(Keys.ARROW_RIGHT * 3, Keys.ARROW_UP * 2)
    assert page.boxes == [(24, 19, 46, 41)]
    page.press(Keys.ARROW_RIGHT * 4, Keys.ARROW_UP, shift=True)
    assert page.boxes == [(24, 19, 50, 40)]
    page.press("b")
    page.press(Keys.ARROW_LEFT * 30)
    assert page.boxes[1] == (0, 21, 22, 43)
    page.press(Keys.TAB, shift=True)  # back to the first box
    page.press(Keys.DELETE)
    assert page.boxes == [(0, 21, 22, 43)]
    page.press("z", control=True)
    assert page.boxes == [(24, 19, 50, 40), (0, 21, 22, 43)]
    page.press("y", control=True)
    assert page.boxes == [(0, 21, 22, 43)]
    page.press("z", control=True)
    page.press("z", shift=True, control=True)
    assert page.boxes == [(0, 21, 22, 43)]
    page.press(Keys.TAB, Keys.ARROW_DOWN, Keys.ESCAPE)
    assert page.boxes == [(0, 22, 22, 44)]
    assert page.focused == "picture"
    page.press(Keys.ENTER)
    page.press("n")
    assert page.find("nothing").is_selected()
    page.press("n")
    assert not page.find("nothing").is_selected()
    page.press(Keys.ARROW_RIGHT, Keys.PAGE_DOWN, Keys.ARROW_LEFT)
    assert page.text("name") == "Sample 2"
    page.press(Keys.PAGE_UP)
    assert page.text("name") == "Sample 1"
    page.press(Keys.END)
    assert page.text("name") == "Sample 5"
    assert page.text("tally") == "1 of 6 looked at, 1 box"


def test_a_row_of_nudges_is_undone_at_once(page: Page) -> None:
    page.press("b", Keys.ARROW_RIGHT * 5)
    page.press("z", control=True)
    assert page.boxes == [(21, 21, 43, 43)]


def test_enter_goes_through_all_samples_and_back_to_those_left_out(page: Page) -> None:
    page.drag(10, 10, 50, 50)
    page.press(Keys.ENTER)
    page.press(Keys.PAGE_DOWN)  # sample 1 is left out
    page.press(Keys.ENTER * 4)
    assert page.text("name") == "Sample 1"
    assert page.text("tally") == "5 of 6 looked at, 1 box"
    assert page.message == ""
    page.press(Keys.ENTER)
    assert page.message == "All 6 are looked at: 1 box. Save boxes.json now."
    assert page.text("name") == "Sample 1"  # there is nowhere to go on to
    page.press(Keys.HOME)
    assert page.message == ""
    page.press(Keys.DELETE)  # nothing is selected
    page.press(Keys.TAB, Keys.DELETE)
    assert page.text("tally") == "5 of 6 looked at, 0 boxes"  # deleting is no answer yet


def test_a_key_held_down_does_not_rush_through_the_samples(page: Page) -> None:
    for repeated in (False, True, True):
        page.browser.execute_cdp_cmd(
            "Input.dispatchKeyEvent",
            {"type": "rawKeyDown", "key": "Enter", "windowsVirtualKeyCode": 13,
             "autoRepeat": repeated},
        )  # fmt: skip
    assert page.text("name") == "Sample 1"


def test_the_help_opens_and_closes_and_takes_the_keys(page: Page) -> None:
    page.press("?")
    assert page.find("help").is_displayed()
    assert "Drawing boxes: window" in page.text("help")
    assert "kept in this browser" in page.text("help")
    page.press("b")
    page.press(Keys.ESCAPE)
    assert not page.find("help").is_displayed()
    assert page.focused == "picture"
    assert page.boxes == []
    page.click("ask")
    page.browser.find_element(By.CSS_SELECTOR, "#help button").click()
    assert not page.find("help").is_displayed()


# The name of the object


def test_the_name_is_typed_shown_undone_and_saved(page: Page) -> None:
    page.press("b")
    page.type_name("bay  window – “A” <b>")
    page.press(Keys.ENTER)  # leaves the field, not the sample
    assert page.text("name") == "Sample 0"
    assert page.focused == "picture"
    found = read_boxes(page.save(), COUNT)
    assert found.boxes.kind.tolist() == ["bay  window – “A” <b>"]
    page.press("z", control=True)
    assert page.find("kind").get_attribute("value") == "window"


def test_without_a_name_nothing_is_saved(page: Page) -> None:
    page.press("b")
    page.type_name("  ")
    page.press("s", control=True)
    assert "The object has no name yet" in page.message
    assert page.focused == "kind"
    page.find("kind").send_keys("arch")
    assert read_boxes(page.save(), COUNT).boxes.kind.tolist() == ["arch"]


# What is kept


def test_everything_survives_a_reload(page: Page) -> None:
    page.drag(10, 10, 50, 50)
    page.press(Keys.ENTER * 2)
    page.type_name("door")
    page.browser.refresh()
    assert page.text("tally") == "2 of 6 looked at, 1 box"
    assert page.text("name") == "Sample 2"
    assert page.find("kind").get_attribute("value") == "door"
    assert not page.find("undo").is_enabled()
    page.press(Keys.HOME)
    assert page.boxes == [(10, 10, 50, 50)]
    page.find("kind").send_keys(Keys.CONTROL, "a")  # and a name that is not typed yet
    page.find("kind").send_keys(Keys.DELETE)
    page.browser.refresh()
    assert page.text("tally") == "2 of 6 looked at, 1 box"
    assert page.find("kind").get_attribute("value") == ""


def test_pages_of_other_samples_keep_their_own(page: Page, tmp_path: Path) -> None:
    page.drag(10, 10, 50, 50)
    here = page.browser.current_url
    for change in ({"seed": 1}, {"checkpoint": "x"}, {"bn": "batch"}, {"kind": "bed"}):
        page.browser.get(write_page(tmp_path, "other.html", **change).as_uri())
        assert page.text("tally") == "0 of 6 looked at, 0 boxes"
    page.browser.get(here)
    assert page.text("tally") == "1 of 6 looked at, 1 box"


def test_two_tabs_of_one_page_show_the_same(page: Page) -> None:
    first = page.browser.current_window_handle
    here = page.browser.current_url
    page.browser.switch_to.new_window("tab")
    try:
        page.resize(WIDE)
        page.browser.get(here)
        page.drag(10, 10, 50, 50)
        page.browser.switch_to.window(first)
        WebDriverWait(page.browser, 10, 0.05).until(lambda _: page.boxes == [(10, 10, 50, 50)])
    finally:
        for handle in page.browser.window_handles:
            if handle != first:
                page.browser.switch_to.window(handle)
                page.browser.close()
        page.browser.switch_to.window(first)


def test_a_browser_that_keeps_nothing_says_so(page: Page) -> None:
    page.browser.execute_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    page.press("b")
    page.press("?")
    assert "save before you close the page" in page.text("help")
    page.press(Keys.ESCAPE)
    page.save()  # then nothing is lost by leaving


def test_what_was_kept_and_is_damaged_is_said(page: Page) -> None:
    page.browser.execute_script("localStorage.setItem(KEY, '{')")
    page.browser.refresh()
    assert page.message.startswith("What was kept cannot be read")
    assert page.text("tally") == "0 of 6 looked at, 0 boxes"


# Files


def test_what_is_saved_is_read_exactly_and_loaded_again(page: Page, tmp_path: Path) -> None:
    page.drag(10, 20, 40, 50)
    page.drag(50, 1, 63, 11)
    page.press(Keys.ENTER * 3)
    page.drag(7, 8, 9, 64)
    assert page.due
    saved = page.save()
    assert not page.due
    assert page.message == (
        "boxes.json is among your downloads: 3 boxes on 4 of 6 samples. The other 2 will be left out."
    )
    found = read_boxes(saved, COUNT)
    assert corners(found) == [
        (0, fractions([10, 20, 40, 50])),
        (0, fractions([50, 1, 63, 11])),
        (3, fractions([7, 8, 9, 64])),
    ]
    assert found.boxes.kind.tolist() == ["window"] * 3
    assert found.boxes.seen.tolist() == [True, True, True, True, False, False]
    assert (found.checkpoint, found.seed, found.bn, found.average) == (
        "0123456789ab", 0, "reestimated", True,
    )  # fmt: skip

    copy = tmp_path / "mine.json"
    copy.write_bytes(saved.read_bytes())
    page.browser.execute_script("localStorage.clear()")
    page.browser.refresh()
    assert page.text("tally") == "0 of 6 looked at, 0 boxes"
    assert page.load(copy) == "mine.json: 3 boxes on 4 samples."
    assert page.boxes == [(10, 20, 40, 50), (50, 1, 63, 11)]
    assert not page.due
    assert page.save().read_bytes() == copy.read_bytes()
    page.click("undo")
    assert page.boxes == []
    assert page.due
    assert page.drop("dropped.json", copy.read_text()) == "dropped.json: 3 boxes on 4 samples."
    assert page.save().read_bytes() == copy.read_bytes()


def test_a_page_can_come_with_boxes_and_an_enormous_seed(page: Page, tmp_path: Path) -> None:
    boxes = Boxes(
        np.array([1, 1, 4]),
        np.array(["window", "door", "window"]),
        np.array([[0.1, 0.2, 0.3, 1 / 3], [0, 0, 1, 1], [1e-9, 0, 1, 0.7]]),
        np.array([True, False, False, False, False, False]),
    )
    about = ("0123456789ab", 2**63 + 1, "reestimated", True)
    path = write_page(
        tmp_path, "with.html", seed=about[1], boxes=write_boxes(SampleBoxes(boxes, *about))
    )
    page.browser.get(path.as_uri())
    assert page.text("tally") == "3 of 6 looked at, 2 boxes"
    found = read_boxes(page.save(), COUNT)
    assert found.seed == 2**63 + 1
    assert corners(found) == [(1, [0.1, 0.2, 0.3, 1 / 3]), (4, [1e-9, 0, 1, 0.7])]


def test_boxes_drawn_on_the_page_make_the_model_forget(
    page: Page, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The whole way, as typed: --annotate, boxes drawn by hand, saved, --boxes."""
    model, html, count = tmp_path / "model.pt", tmp_path / "page.html", 100
    save(model, known_filters.checkpoint())

    drop_filters = partial(command("drop-filters", capfdbinary), str(model), "--bn", "running")
    assert drop_filters("--find", "block", "--annotate", str(html), "-n", str(count))[0] == 0
    page.browser.get(html.as_uri())
    there = known_filters.boxes(seeded_latents(0, count, known_filters.CONFIG.z_dim, "normal"))
    for number in range(count):
        for box in there.corners[there.image == number] * SIDE:
            page.drag(*box)
        page.press(Keys.ENTER)
    assert page.text("tally") == f"{count} of {count} looked at, {len(there.corners)} boxes"
    drawn = page.save()
    assert corners(read_boxes(drawn, count)) == list(
        zip(there.image.tolist(), there.corners.tolist(), strict=True)
    )

    grid = str(tmp_path / "image grid.png")
    code, out, err = drop_filters("--boxes", str(drawn), "--fresh", "40", "--json", "-o", grid)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["chosen"] == [known_filters.OBJECT]
    assert answer["findings"]["fall"]["value"] > 0.7


def document(**changes: Any) -> str:
    about = {"checkpoint": "0123456789ab", "seed": 0, "count": COUNT, "bn": "reestimated"}
    box = {"sample": 1, "kind": "window", "corners": [0.25, 0.125, 0.5, 0.375]}
    content = {"format": "dcgan boxes", "version": 1, "samples": {**about, "average": True},
               "seen": [0], "boxes": [box]}  # fmt: skip
    return json.dumps({**content, **changes})


def one_box(**changes: Any) -> str:
    return document(boxes=[{**json.loads(document())["boxes"][0], **changes}])


@pytest.fixture(scope="module")
def hostile() -> list[tuple[str, str]]:
    """Files that nobody should be able to load, and what is said of them."""
    return [
        ("", "the file is empty"),
        ("{", "not JSON; expected boxes.json as this page saves it"),
        ("[1]", "found [1]; expected boxes.json"),
        ("null", "found null"),
        ("<annotation/>", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (
            '{"images": [], "annotations": []}',
            "give those of other programs to dcgan drop-filters --boxes",
        ),
        (document(version=9), "version 9; this page reads up to 1"),
        (document(samples={"checkpoint": "ba9876543210"}), 'checkpoint is "ba9876543210", of this'),
        (document(samples={"seed": 7}), "about other samples: seed is 7, of this page 0"),
        (document(seen=7), "seen is 7"),
        (document(seen=[COUNT]), "seen: sample 6; this page has samples 0 to 5"),
        (document(boxes=None), "boxes is null"),
        (document(boxes=[None]), "box 0: sample missing"),
        (document(boxes=[json.loads(document())["boxes"][0]] * 501), "more than 500 boxes on"),
        (one_box(sample="1"), 'box 0: sample "1"'),
        (one_box(sample=-1), "box 0: sample -1"),
        (one_box(kind=""), 'kind is ""'),
        (one_box(kind="w" * 81), "expected the name of an object"),
        (one_box(kind={"toString": 1}), "expected the name of an object"),
        (one_box(corners=[0, 0, 1]), "corners is [0,0,1]"),
        (one_box(corners=[0.5, 0, 0.4, 1]), "expected x0 < x1"),
        (one_box(corners=[0, 0, 1, 1.5]), "fractions from 0 to 1"),
        (one_box(corners=[0, 0, 1, "1"]), "fractions from 0 to 1"),
        (one_box(corners=[0, 0, 1, None]), "fractions from 0 to 1"),
        (document().replace("0.375", "1e999"), "fractions from 0 to 1"),
    ]


def test_a_file_that_cannot_be_taken_is_said_and_changes_nothing(
    page: Page, hostile: list[tuple[str, str]]
) -> None:
    page.drag(10, 10, 50, 50)
    for text, said in hostile:
        message = page.drop("<b>x</b>.json", text)
        assert message.startswith("<b>x</b>.json: ")  # as text, not as an element
        assert said in message
        assert len(message) < 300
    assert "wrong" in str(page.find("message").get_attribute("class"))
    assert page.drop("huge.json", "{}", 17 << 20) == (
        "huge.json: larger than 16 MiB; no list of boxes is"
    )
    assert page.text("tally") == "1 of 6 looked at, 1 box"
    assert page.boxes == [(10, 10, 50, 50)]
    page.click("message-close")
    assert page.message == ""


def test_of_several_objects_the_one_of_the_page_is_taken(page: Page) -> None:
    box = json.loads(document())["boxes"][0]
    others = [{**box, "kind": kind} for kind in ("door", "<i>bed</i>", "door")]
    text = document(boxes=[*others, box])
    assert page.drop("b.json", text) == (
        "b.json: 1 box on 2 samples. Boxes of other objects are left out: door 2, <i>bed</i> 1."
    )
    assert page.due
    page.type_name("sofa")
    page.press(Keys.ENTER)
    assert page.drop("b.json", text).startswith("b.json: 2 boxes on 2 samples.")
    assert page.find("kind").get_attribute("value") == "door"


# The look of it


@pytest.mark.parametrize("size", [WIDE, SMALL, (768, 1024), (390, 800)])
def test_all_of_it_is_on_the_screen(page: Page, size: tuple[int, int]) -> None:
    page.resize(size)
    page.drag(10, 10, 50, 50)
    outside = page.browser.execute_script(
        """return [...document.querySelectorAll("header *, .work, .actions *, #strip, .box")]
          .filter((element) => {
            const { left, top, right, bottom, width } = element.getBoundingClientRect();
            return width > 0 &&
              (left < 0 || top < 0 || right > innerWidth + 0.5 || bottom > innerHeight + 0.5);
          }).map((element) => element.id || element.className || element.tagName);"""
    )
    assert outside == []
    scale = page.find("image").rect["width"] / SIDE
    assert scale == int(scale) >= 4
    assert page.boxes == [(10, 10, 50, 50)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(page: Page, scheme: str) -> None:
    page.browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    contrasts = page.browser.execute_script(
        """const light = (color) => {
          const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
            const c = part / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
          const color = getComputedStyle(element).backgroundColor;
          return color.startsWith("rgba") ? ground(element.parentElement) : color;
        };
        return [...document.querySelectorAll("label, button:enabled, #tally, #hint, dialog p")]
          .map((element) => {
            const pair = [getComputedStyle(element).color, ground(element)].map(light);
            return [element.id, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
          });"""
    )
    assert len(contrasts) > 10
    assert [name for name, contrast in contrasts if contrast < 4.5] == []
