"""The page in a real browser: what is drawn, what hovering tells, and that nothing hostile runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gradaudit.model.report import Report, TimelineRun
from gradaudit.render.html import html

from .reports import at, finding, parameter, report
from .samples import EVERY, long_run

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("no Chromium and chromedriver: the HTML is not looked at", allow_module_level=True)

from selenium.webdriver import ActionChains, Chrome, ChromeOptions  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)


class Reader:
    """Somebody who opens a report."""

    def __init__(self, browser: Chrome, folder: Path) -> None:
        self.browser = browser
        self._folder = folder

    def open(self, sample: Report, width: int = 1280, scheme: str = "light") -> None:
        page = self._folder / "report.html"
        page.write_text(html(sample), encoding="utf-8")
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip
        self.command("Emulation.setEmulatedMedia",
                   features=[{"name": "prefers-color-scheme", "value": scheme}])  # fmt: skip
        self.browser.get(page.as_uri())
        self.wait()

    def command(self, command: str, **fields: object) -> dict:
        return self.browser.execute_cdp_cmd(command, fields)

    def worked(self) -> float:
        """Seconds of processor time that the page has taken."""
        told = self.command("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in told}["TaskDuration"]

    def wait(self) -> None:
        """Until what is due has been drawn."""
        self.browser.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        )

    def find(self, name: str):
        return self.browser.find_element(By.ID, name)

    def run(self, script: str, *arguments: object):
        return self.browser.execute_script(script, *arguments)

    def names(self) -> list[str]:
        labels = self.browser.find_elements(By.CSS_SELECTOR, ".labels button:not([hidden])")
        return [label.text for label in sorted(labels, key=lambda label: label.location["y"])]

    def label(self, text: str):
        labels = self.browser.find_elements(By.CSS_SELECTOR, ".labels button:not([hidden])")
        return next(label for label in labels if label.text.startswith(text))

    def hover(self, share: float, row: int) -> str:
        canvas = self.find("canvas")
        self.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
        self.wait()  # scrolling hides what hovering shows
        width, height = canvas.size["width"], canvas.size["height"]
        x, y = share * (width - 8) - width / 2, 26 + 22 * row + 11 - height / 2
        ActionChains(self.browser).move_to_element_with_offset(canvas, int(x), int(y)).perform()
        self.wait()
        return self.find("tip").text

    def colour(self, share: float, row: int) -> list[int]:
        return self.run(
            """const canvas = document.getElementById("canvas"), width = canvas.width - 8;
            return [...canvas.getContext("2d")
                .getImageData(arguments[0] * width, 26 + 22 * arguments[1] + 11, 1, 1).data]""",
            share,
            row,
        )

    def complaints(self) -> list[dict]:
        return self.browser.get_log("browser")


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = Chrome(options=options, service=Service(DRIVER))
    yield started
    started.quit()


@pytest.fixture
def reader(browser, tmp_path) -> Iterator[Reader]:
    reading = Reader(browser, tmp_path)
    yield reading
    assert [said for said in reading.complaints() if "getImageData" not in said["message"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(
    "name", ["healthy", "many", "hostile", "failed", "no_torch", "a_thousand_findings"]
)
def test_it_fits_the_window_and_nothing_goes_wrong(reader, name, width, scheme):
    reader.open(EVERY[name], width, scheme)
    assert reader.run("return document.documentElement.scrollWidth") <= width
    shown = reader.browser.find_elements(By.CSS_SELECTOR, "article")
    assert len(shown) == len(EVERY[name].findings)


def test_nothing_hostile_runs(reader):
    evil = "</script><script>owned=1</script><img src=x onerror=owned=1>"
    told = finding(evil, parameters=(evil,), location=at(3, evil, path=evil), help=evil)
    reader.open(report(told, parameters=(evil, f"net.{evil}")))
    assert reader.names() == [evil, "▾ net 1", evil]
    assert evil in reader.hover(0.5, 0)
    reader.label(evil).click()
    assert evil in reader.find("details").text
    assert evil in reader.find("findings").text
    assert reader.run("return typeof owned") == "undefined"


def test_hovering_tells_state_contributions_and_norm(reader):
    reader.open(report(parameters=(parameter("w", state="stale", norms=120),)))
    told = reader.hover(0.3, 0).splitlines()
    assert told[0] == "w"
    assert told[1].startswith("iteration ")
    assert told[2] == "stale: applied again with what was applied before"
    assert told[3] == "so from 0 to 119"
    assert told[4] == "1 contribution"
    assert told[5].startswith("norm ")


def test_hovering_tells_values_lives_and_where_contributions_came_from(reader):
    runs = (
        TimelineRun(0, 59, "nonfinite", 2, life="stale", backwards=(0, 1)),
        TimelineRun(60, 119, "unapplied", 0, mixed=True, backwards=(1,)),
    )
    places = (at(40, "penalty.backward()"), at(44, "loss.backward()"))
    info = replace(parameter("w"), timeline=runs)
    reader.open(replace(report(parameters=(info,)), backwards=places))
    assert reader.hover(0.3, 0).splitlines()[2:] == [
        "nonfinite: NaN or Inf whenever it was sampled",
        "stale: applied again with what was applied before",
        "so from 0 to 59",
        "2 contributions, from",
        "train.py:40 penalty.backward()",
        "train.py:44 loss.backward()",
    ]
    assert reader.hover(0.7, 0).splitlines()[2:] == [
        "unapplied: still held, applied by nothing",
        "the gravest between 60 and 119",
        "what is there came from",
        "train.py:44 loss.backward()",
    ]


def test_states_have_the_colours_of_the_legend(reader):
    first, second = parameter("a", state="stale"), parameter("b", state="fresh")
    reader.open(report(parameters=(first, second)))
    assert reader.colour(0.5, 0) == [0xD5, 0x5E, 0x00, 255]
    assert reader.colour(0.5, 1) == [0x00, 0x9E, 0x73, 255]
    swatch = reader.browser.find_element(By.CSS_SELECTOR, ".swatch.stale")
    assert swatch.value_of_css_property("background-color") == "rgba(213, 94, 0, 1)"


def test_modules_fold_and_unfold(reader):
    reader.open(EVERY["many"])
    unfolded = reader.names()
    assert unfolded[:3] == ["▾ net 20", "▾ encoder 18", "▾ 0 2"]
    reader.label("▾ encoder").click()
    reader.wait()
    assert reader.names() == ["▾ net 20", "▸ encoder 18", "▾ head 2", "weight", "bias"]
    reader.find("fold").click()
    reader.wait()
    assert reader.names() == ["▸ net 20"]
    reader.find("unfold").click()
    reader.wait()
    assert reader.names() == unfolded


def test_searching_shows_what_has_the_text_in_its_name(reader):
    reader.open(EVERY["many"])
    search = reader.find("find")
    search.send_keys("ENCODER.4")
    reader.wait()
    assert reader.names() == ["▾ net 2", "▾ encoder 2", "▾ 4 2", "weight", "bias"]
    search.send_keys("nosuch")
    reader.wait()
    assert reader.find("none").is_displayed()


def test_a_finding_leads_to_its_parameters_in_the_timeline(reader):
    reader.open(EVERY["broken_outside"])
    everything = reader.names()
    first, second = reader.browser.find_elements(By.CSS_SELECTOR, "button.show")
    second.click()
    reader.wait()
    assert reader.names() == ["▾ net 2", "▾ head 2", "weight", "bias"]
    assert reader.find("only").text.startswith("only those of error GA401 graph-cut")
    reader.find("only").click()
    reader.wait()
    assert reader.names() == everything
    assert not reader.find("only").is_displayed()
    first.send_keys(" ")  # the keyboard does it, too
    reader.wait()
    assert "head" not in " ".join(reader.names())


@pytest.mark.parametrize("width", [1280, 360])
def test_what_is_marked_in_a_long_line_is_in_view(reader, width):
    reader.open(EVERY["hostile"], width)
    source, mark = (reader.browser.find_element(By.CSS_SELECTOR, f".excerpt {part}")
                    for part in (".source", "mark"))  # fmt: skip
    reader.run("arguments[0].scrollIntoView({block: 'center'})", source)
    reader.wait()
    reader.wait()
    left, right = reader.run(
        """const [mark, box] = [...arguments].map((element) => element.getBoundingClientRect());
        return [mark.left - box.left, box.right - mark.right]""",
        mark,
        source,
    )
    assert left > 0
    assert right > 0


def test_the_listing_leads_to_the_finding(reader):
    reader.open(EVERY["broken_outside"])
    links = reader.browser.find_elements(By.CSS_SELECTOR, ".listing a, .index a")
    targets = [link.get_attribute("href").partition("#")[2] for link in links]
    assert targets == ["finding-1", "finding-2", "finding-2", "finding-1"]
    assert all("graph-cut" in reader.find(target).text for target in targets)


def test_zooming_and_keys(reader):
    reader.open(report(parameters=("w",)))
    assert reader.find("range").text == "iterations 0 to 119 of 120"
    reader.find("in").click()
    reader.wait()
    assert reader.find("range").text == "iterations 30 to 89 of 120"
    reader.run("document.getElementById('chart').focus()")
    ActionChains(reader.browser).send_keys("0").send_keys("\ue014").send_keys("\ue014").perform()
    reader.wait()
    assert reader.find("range").text == "iterations 0 to 119 of 120"
    assert "iteration 1\n" in reader.find("tip").text


def test_selecting_a_name_shows_its_facts_and_norms(reader):
    reader.open(report(parameters=(parameter("net.w", norms=50),)))
    reader.label("w").click()
    shown = reader.find("details")
    assert "float32 [64, 32]; in opt" in shown.text
    assert "50 samples" in shown.text
    assert shown.find_elements(By.TAG_NAME, "canvas")


def test_norms_that_are_all_zero_are_called_so_and_not_drawn(reader):
    zero = replace(parameter("w"), grad_norm=((0, 0.0), (1, 0.0)))
    reader.open(report(parameters=(zero,)))
    reader.label("w").click()
    assert "2 samples: all zero." in reader.find("details").text
    assert not reader.find("details").find_elements(By.TAG_NAME, "canvas")


def test_a_long_run_is_smooth(reader):
    reader.open(long_run())
    reader.find("unfold").click()
    reader.command("Performance.enable", timeDomain="threadTicks")
    before = reader.worked()
    reader.browser.execute_async_script(
        """const done = arguments[0], chart = document.getElementById("chart");
        let frames = 0;
        (function next() {
            chart.scrollTop += 300;
            if (frames % 3 === 0) document.getElementById("in").click();
            if (++frames < 30) requestAnimationFrame(next); else done();
        })();"""
    )
    assert (reader.worked() - before) / 30 < 0.05  # a frame
