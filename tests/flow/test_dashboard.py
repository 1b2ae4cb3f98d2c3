"""The dashboard in a real browser: Debian's Chromium, driven by Playwright.

What a page asks for and what it complains of is watched in every test: no request leaves the listener,
nothing is refused by the policy, no script fails. Screenshots of each view go to BUILD/screenshots/;
with SEVIRD_DOCS=1 those of docs/dashboard.md are made anew.
"""

import csv
import http.client
import io
import os
import shutil
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from PIL import Image

from conftest import BUILD, ROOT, Daemon

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect, sync_playwright  # noqa: E402

CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
REAL = ROOT.parent / "shared" / "data" / "CATALOG_2019H1_subset.csv"
MAKE_RAW = BUILD / "config" / "demo" / "make_raw"
SCREENSHOTS = BUILD / "screenshots"
SLOW = 30_000  # a daemon with sanitizers beside seven other tests

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)")
expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield browser
        browser.close()


class Watched:
    """A browser's context in which everything that goes wrong is kept."""

    def __init__(self, browser, daemon, **options):
        self.origin = "http://%s:%d" % daemon.http_address
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_default_timeout(SLOW)
        self.context.on("request", self.on_request)
        self.requests, self.complaints = [], []
        self.lost = False  # the daemon was taken away: then it may complain of that

    def on_request(self, request):
        self.requests.append(request.url)

    def on_console(self, message):
        if message.type == "error" and not (self.lost and "Failed to load resource" in message.text):
            self.complaints.append(message.text)

    def open(self, path=""):
        page = self.context.new_page()
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.goto(f"{self.origin}/{path}")
        return page

    def check(self):
        self.context.close()
        away = [url for url in self.requests if not url.startswith((self.origin + "/", f"blob:{self.origin}/"))]
        assert away == []
        assert self.complaints == []


@pytest.fixture
def watch(browser):
    made = []

    def make(daemon, **options):
        if "dashboard was not built" in daemon.http("GET", "/").text:
            pytest.skip("this build has no dashboard (no npm, or no network)")
        made.append(Watched(browser, daemon, **options))
        return made[-1]

    yield make
    for watched in made:
        watched.check()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demonstration's data. Tests only look at it."""
    if not MAKE_RAW.exists():
        pytest.skip("config/demo/make_raw is not built")
    directory = tmp_path_factory.mktemp("demo")
    daemon = Daemon(directory)
    subprocess.run([MAKE_RAW, directory / "sample"], check=True, stdout=subprocess.DEVNULL)
    (directory / "sample" / "complete").unlink(missing_ok=True)
    daemon.raw.rmdir()
    (directory / "sample").rename(daemon.raw)
    daemon.configure(extract={"memory": "512MiB"}).start()
    status = daemon.wait_for(lambda status: status["idle"] and not status["jobs"]["WAITING"], timeout=400)
    assert status["jobs"]["DONE"] == 7, status["last_errors"]
    yield daemon
    daemon.stop()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The real catalog. Tests only look at it."""
    if not REAL.exists():
        pytest.skip("the real catalog is not at hand")
    daemon = Daemon(tmp_path_factory.mktemp("real"))
    (daemon.raw / "CATALOG.csv").write_bytes(REAL.read_bytes())
    daemon.start()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 1)
    yield daemon
    daemon.stop()


def tile(page, name):
    return float(page.locator(f"[data-tile={name}]").get_attribute("data-value"))


def settled(page):
    """The data view shows the answer to what was asked last."""
    expect(page.locator(".data")).to_have_attribute("data-shown", page.evaluate("location.hash.split('?')[1] ?? ''"))
    expect(page.locator(".data[aria-busy=false]")).to_be_visible()
    return page


# -- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["demo", "real"])
def test_the_numbers_on_the_page_are_those_of_sql(request, watch, data):
    demo = request.getfixturevalue(data)
    page = settled(watch(demo).open("#/data"))
    ((events, rows, missing),) = demo.query("SELECT count(DISTINCT id), count(*), avg(pct_missing) FROM events")
    ((frames,),) = demo.query("SELECT count(*) FROM frames")
    ((flashes,),) = demo.query("SELECT count(*) FROM flashes")
    assert (tile(page, "events"), tile(page, "rows"), tile(page, "frames"), tile(page, "flashes")) == (events, rows, frames, flashes)
    assert tile(page, "missing") == pytest.approx(missing)
    assert page.locator("[data-tile=events]").inner_text() == f"{events:,}"
    for name, count in demo.query("SELECT img_type, count(*) FROM events GROUP BY 1"):
        row = page.locator("#rows-by-image-type .bar-row", has_text=name)
        assert row.locator(".bar-text").inner_text() == f"{count:,}", name
    strongest = page.locator("#strongest-by-vil-area li")
    wanted = demo.query("SELECT id, max(a133) AS area FROM frames WHERE a133 > 0 GROUP BY id ORDER BY area DESC, id LIMIT 12")
    assert [line.split("\n")[0] for line in strongest.all_inner_texts()] == [row[0] for row in wanted]
    if wanted:
        assert f"{100 * wanted[0][1]:.1f} %" in strongest.first.inner_text()
    header = page.locator("#event-type-and-image-type thead th").all_inner_texts()[1:]
    for event_type, img_type, count in demo.query(
        "SELECT coalesce(event_type, '(none)'), img_type, count(*) FROM events GROUP BY 1, 2"
    ):
        row = page.locator("#event-type-and-image-type tbody tr", has=page.get_by_role("button", name=event_type, exact=True))
        assert row.locator("td").all_inner_texts()[header.index(img_type)] == f"{count:,}", (event_type, img_type)
    months = dict(line.split("\n")[:2] for line in page.locator("#events-by-month li button").all_inner_texts())
    for month, count in demo.query(
        "SELECT substr(first, 1, 7), count(*) FROM (SELECT min(time_utc) AS first FROM events GROUP BY id) GROUP BY 1"
    ):
        assert months[month] == f"{count:,}"


def test_a_filter_drives_all_charts_and_lives_in_the_address(real, watch):
    demo = real
    watched = watch(demo)
    page = settled(watched.open("#/data"))
    before = tile(page, "events")
    texts = {name: page.locator(f"#{name}").inner_text() for name in ("events", "coverage", "events-by-month", "event-type-and-image-type", "rows-by-image-type")}
    cells = page.locator("#where .cell").count()
    page.get_by_role("button", name="Tornado", exact=True).click()
    page.wait_for_url("**/#/data?event_type=Tornado")
    settled(page)
    expect(page.locator("#event-type-and-image-type tbody tr")).to_have_count(1)
    ((count,),) = demo.query("SELECT count(DISTINCT id) FROM events WHERE event_type = 'Tornado'")
    assert tile(page, "events") == count < before
    for name, text in texts.items():
        assert page.locator(f"#{name}").inner_text() != text, name
    assert page.locator("#where .cell").count() < cells
    page.get_by_role("group", name="Image type").get_by_role("button", name="vil").click()
    settled(page)
    page.locator("input[type=date]").first.fill("2019-05-01")
    page.wait_for_url("**from=2019-05-01**")
    settled(page)
    ((count,),) = demo.query(
        "SELECT count(DISTINCT id) FROM events WHERE event_type = 'Tornado' AND img_type = 'vil'"
        " AND id IN (SELECT id FROM events GROUP BY id HAVING min(time_utc) >= '2019-05-01')"
    )
    assert tile(page, "events") == count
    other = settled(watched.open(page.url.split("/", 3)[3]))  # as sent to somebody
    assert tile(other, "events") == count
    page.go_back()
    settled(page)
    page.get_by_role("link", name="Show all").first.click()
    settled(page)
    expect(page.locator("[data-tile=events]")).to_have_attribute("data-value", str(int(before)))


def test_a_box_on_the_map_by_mouse_and_by_keyboard(real, watch):
    demo = real
    page = settled(watch(demo).open("#/data"))
    page.locator("#where").scroll_into_view_if_needed()
    box = page.locator("#where .map svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.7, steps=5)
    page.mouse.up()
    page.wait_for_url("**bbox=**")
    settled(page)
    south, west, north, east = map(float, urllib.parse.parse_qs(page.url.split("?")[1])["bbox"][0].split(","))
    where = f"llcrnrlat <= {north} AND urcrnrlat >= {south} AND llcrnrlon <= {east} AND urcrnrlon >= {west}"
    ((count,),) = demo.query(f"SELECT count(DISTINCT id) FROM events WHERE {where}")
    assert abs(tile(page, "events") - count) <= 2  # an event's box holds those of all its rows
    page.get_by_role("button", name="Clear box").click()
    settled(page)
    for side, value in (("south", "30"), ("west", "-100"), ("north", "35"), ("east", "-95")):
        page.get_by_label(side, exact=True).fill(value)
    page.keyboard.press("Enter")
    page.wait_for_url("**bbox=30%2C-100%2C35%2C-95**")


def test_any_chart_as_csv_and_its_sql_runs(real, watch):
    demo = real
    page = settled(watch(demo).open("#/data?type=vil"))
    link = page.locator("#events-by-month").get_by_role("link", name="rows as CSV")
    with page.expect_download() as download:
        link.click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text())))
    assert rows[0] == ["month", "storms", "random"] and len(rows) - 1 == page.locator("#events-by-month li button").count()
    panel = page.locator("#events-by-month")
    panel.get_by_role("button", name="its SQL").click()
    sql = panel.locator("pre").inner_text()
    assert [list(map(str, row)) for row in demo.query(sql)] == rows[1:]
    panel.get_by_role("button", name="Run").click()
    expect(panel.locator("table.rows tbody tr")).to_have_count(len(rows) - 1)


def test_without_data_the_views_say_so(running, watch):
    watched = watch(running)
    page = settled(watched.open("#/data"))
    assert "There is no catalog yet" in page.locator("main").inner_text()
    expect(watched.open("#/storm").get_by_text("There is no catalog yet")).to_be_visible()
    page = watched.open()
    expect(page.get_by_text("Nothing is in quarantine.")).to_be_visible()
    expect(page.locator("[data-state=DONE]")).to_have_text("0")


def test_an_error_is_told_and_can_be_tried_again(running, watch):
    watched = watch(running)
    watched.lost = True
    page = watched.open()
    problem = '{"title": "Gateway Timeout", "detail": "the query took <b>too long</b>"}'
    page.route("**/v1/data?*", lambda route: route.fulfill(status=504, content_type="application/problem+json", body=problem))
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("the query took <b>too long</b>")
    page.unroute("**/v1/data?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


# -- pipeline ------------------------------------------------------------------------------------


def test_a_job_appears_live_and_tells_its_story(running, watch):
    page = watch(running).open()
    expect(page.get_by_text("by the event stream")).to_be_visible()
    running.sample.add("vil", ["S10000"])
    running.sample.write_catalog()
    row = page.locator(".moves tr", has_text="SEVIR_VIL").filter(has_text="DONE")
    expect(row).to_have_count(1)
    expect(page.locator("[data-state=DONE]")).to_have_text("2")
    ((job, key),) = [(j["id"], j["key"]) for j in running.get("/v1/jobs")["jobs"] if j["key"].endswith(".h5")]
    row.get_by_role("button").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(key)
    story = running.get(f"/v1/jobs/{job}")
    expect(dialog.locator("ol.moves-list li")).to_have_count(len(story["jobs"][0]["transitions"]))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("#sources")).to_contain_text("2 listed")


def test_a_file_named_like_a_script_stays_a_name(running, watch):
    name = "<img src=x onerror=window.hit=1><script>window.hit=2<|script>'\"&amp;.h5"
    watched = watch(running)
    page = watched.open()
    (running.raw / name).write_bytes(b"no HDF5")
    expect(page.locator("#quarantine")).to_contain_text(name)
    expect(page.locator(".moves")).to_contain_text(name)
    page.locator("#quarantine").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    assert page.locator("main img, main script").count() == 0 and page.evaluate("window.hit") is None
    for view in ("data", "storm"):
        other = watched.open(f"#/{view}?" + urllib.parse.urlencode({"id": name, "event_type": name, "q": name, "frame": name}))
        if view == "data":
            expect(other.get_by_text("No event matches.")).to_be_visible()
        else:
            watched.complaints.clear()  # 404 is the point
            expect(other.get_by_role("alert")).to_contain_text("<img src=x")
            watched.complaints.clear()
        assert other.evaluate("window.hit") is None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_the_page_tells_that_it_lost_the_daemon_and_recovers(daemon, watch):
    daemon.configure(http={"listen": f"127.0.0.1:{free_port()}"}).start()
    watched = watch(daemon)
    page = watched.open()
    expect(page.get_by_text("by the event stream")).to_be_visible()
    watched.lost = True
    daemon.kill()
    expect(page.locator("#connection")).to_contain_text("lost since")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    daemon.start()
    expect(page.locator("#connection")).to_contain_text("running")
    expect(page.get_by_role("alert")).to_have_count(0)
    daemon.sample.add("vil", ["S10000"])
    daemon.sample.write_catalog()
    expect(page.locator(".moves tr", has_text="SEVIR_VIL").filter(has_text="DONE")).to_have_count(1)


def test_ten_pages_share_one_stream_and_all_of_them_live(running, watch):
    watched = watch(running)
    pages = [watched.open() for _ in range(10)]
    for page in pages:
        expect(page.locator("#connection")).to_contain_text("running")
    running.sample.add("vil", ["S10000"])
    running.sample.write_catalog()
    for page in pages:
        page.bring_to_front()
        expect(page.locator("[data-state=DONE]")).to_have_text("2")
    assert len([url for url in watched.requests if "/v1/events" in url]) <= 1 + len(pages)  # one at a time


# -- storm ---------------------------------------------------------------------------------------


def pixels(page, name):
    """What the canvas shows, as a PIL picture."""
    data = page.locator(f"[data-type={name}] canvas").evaluate(
        "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).concat(c.width, c.height)"
    )
    return Image.frombytes("RGBA", (data[-2], data[-1]), bytes(data[:-2])).convert("RGB")


def drawn(page, name):
    return page.locator(f"[data-type={name}] canvas").get_attribute("data-drawn")


def test_a_storm_plays_in_step(demo, watch):
    page = watch(demo).open("#/storm?id=S834603&frame=3")
    storm = demo.get("/v1/storms/S834603")
    for name in ("vis", "ir069", "ir107", "vil", "lght"):
        expect(page.locator(f"[data-type={name}] canvas")).to_have_attribute("data-drawn", "3")
    row = next(r for r in storm["types"] if r["img_type"] == "ir069")
    image = row["frames"]["rows"][3][row["frames"]["columns"].index("image")]
    with Image.open(demo.processed / image) as published:
        assert pixels(page, "ir069").tobytes() == published.convert("RGB").tobytes()
    slider = page.get_by_role("slider", name="Frame")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("output")).to_contain_text("5 / 49")
    for name in ("vis", "ir069", "ir107", "vil", "lght"):
        expect(page.locator(f"[data-type={name}] canvas")).to_have_attribute("data-drawn", "4")
    page.wait_for_url("**frame=4")
    page.keyboard.press("End")
    expect(page.locator("[data-type=vil] canvas")).to_have_attribute("data-drawn", "48")
    page.get_by_role("button", name="Play").click()
    seen = set()
    while len(seen) < 5:  # ends by its own time-out if nothing moves
        at = page.locator("output").get_attribute("data-frame")
        seen.add(at)
        expect(page.locator("output")).not_to_have_attribute("data-frame", at)
    page.get_by_role("button", name="Pause").click()
    at = page.locator("output").get_attribute("data-frame")
    for name in ("vis", "vil", "lght"):
        expect(page.locator(f"[data-type={name}] canvas")).to_have_attribute("data-drawn", at)
    assert page.locator("output").get_attribute("data-frame") == at
    csv_link = page.locator("#files").get_by_role("link", name="CSV").first.get_attribute("href")
    assert demo.http("GET", csv_link).status == 200
    manifest = page.locator("#files").get_by_role("link", name="JSON").first.get_attribute("href")
    assert demo.http("GET", manifest).json["source"]["key"] == storm["types"][0]["object"]


@pytest.mark.parametrize("images", ["none", "packed"])
def test_pictures_come_from_an_archive_or_are_made_on_demand(daemon, watch, images):
    daemon.sample.frames = 49
    daemon.sample.add("vil", ["S10000"])
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": images}).start()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    page = watch(daemon).open("#/storm?id=S10000&frame=24")
    expect(page.locator("[data-type=vil] canvas")).to_have_attribute("data-drawn", "24")
    assert len(set(pixels(page, "vil").getdata())) > 3
    expect(page.locator("[data-type=vil] .under")).to_contain_text("made on demand" if images == "none" else "12:00")
    expect(page.locator("[data-type=vis] .picture")).to_contain_text("the catalog has none")


# -- care ----------------------------------------------------------------------------------------

VIEWS = {"pipeline": "", "data": "#/data", "storm": "#/storm?id=S834603&frame=20"}


def ready(page, view):
    expect(page.locator("#connection")).to_contain_text("running")
    if view == "data":
        settled(page)
        expect(page.locator("#a-statistic-over-time .line").first).to_be_visible()
    if view == "storm":
        for name in ("vis", "ir069", "ir107", "vil", "lght"):
            expect(page.locator(f"[data-type={name}] canvas")).to_have_attribute("data-drawn", "20")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_each_view_is_accessible_and_fits_a_phone(demo, watch, view, scheme):
    from axe_playwright_python.sync_playwright import Axe

    SCREENSHOTS.mkdir(exist_ok=True)
    for width, height in ((1280, 900), (390, 844)):
        watched = watch(demo, viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
        page = ready(watched.open(VIEWS[view]), view)
        found = Axe().run(page).response["violations"]
        serious = [(v["id"], v["help"], [n["html"][:150] for n in v["nodes"][:3]]) for v in found if v["impact"] in ("serious", "critical")]
        assert serious == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), "it is wider than the screen"
        name = "wide" if width > 1000 else "narrow"
        page.screenshot(path=SCREENSHOTS / f"{view}-{scheme}-{name}.png", full_page=True)
        if os.environ.get("SEVIRD_DOCS") and scheme == "light" and name == "wide":
            keep_for_docs(SCREENSHOTS / f"{view}-{scheme}-{name}.png", ROOT / "docs" / "dashboard" / f"{view}.png")


def keep_for_docs(path, target):
    target.parent.mkdir(exist_ok=True)
    picture = Image.open(path).convert("RGB")
    picture = picture.crop((0, 0, picture.width, min(picture.height, 1150)))
    picture = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS)
    picture.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


def test_everything_is_within_reach_of_the_keyboard(demo, watch):
    page = watch(demo).open()
    expect(page.locator("#connection")).to_contain_text("running")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("link", name="Data", exact=True).focus()
    page.keyboard.press("Enter")
    settled(page)
    for target in ("button", "a[href]", "input", "select", ".scroll"):
        for element in page.locator(f"main {target}").all()[:40]:
            assert element.evaluate("e => e.tabIndex") >= 0
    page.get_by_role("group", name="Image type").get_by_role("button", name="vil").focus()
    page.keyboard.press("Space")
    page.wait_for_url("**type=vil**")


def test_times_are_utc_with_the_readers_own_on_hover(demo, watch):
    page = settled(watch(demo, timezone_id="America/New_York", locale="en-GB").open("#/data?q=S834603"))
    time = page.locator("#events tbody time").first
    assert time.inner_text() == demo.query("SELECT min(time_utc) FROM events WHERE id = 'S834603'")[0][0][:16]
    assert "14:30" in time.get_attribute("title")


WATCH_SHIFTS = """
window.shifts = [];
const nameOf = node => {
    const parts = [];
    for (let e = node?.nodeType === 1 ? node : node?.parentElement; e && parts.length < 4; e = e.parentElement)
        parts.unshift(e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className?.split ? e.className.trim().split(/ +/).filter(Boolean).map(c => '.' + c).join('') : ''));
    return parts.join(' > ') + ' "' + (node?.textContent ?? '').trim().slice(0, 40) + '"';
};
const boxOf = r => `${Math.round(r.x)},${Math.round(r.y)} ${Math.round(r.width)}x${Math.round(r.height)}`;
new PerformanceObserver(list => list.getEntries().forEach(entry => window.shifts.push({
    value: entry.value,
    told: `${entry.value.toFixed(4)} at ${Math.round(entry.startTime)} ms: ` + entry.sources.map(s => `${nameOf(s.node)} from ${boxOf(s.previousRect)} to ${boxOf(s.currentRect)}`).join('; '),
}))).observe({type: 'layout-shift', buffered: true});
"""


def jumped(page):
    """What moved by itself, and by how much in all (as Chromium's cumulative layout shift, over all time)."""
    shifts = page.evaluate("window.shifts")
    return sum(shift["value"] for shift in shifts), "\n".join(shift["told"] for shift in shifts)


@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_nothing_jumps_while_data_streams_in(running, watch, width, height):
    watched = watch(running, viewport={"width": width, "height": height})
    watched.context.add_init_script(WATCH_SHIFTS)
    pipeline, data = (watched.open(view) for view in ("", "#/data"))
    expect(pipeline.get_by_text("by the event stream")).to_be_visible()
    running.sample.add("vil", ["S10000", "S20000"])
    running.sample.add("ir069", ["S10000", "S20000"])
    running.sample.write_catalog()
    (running.raw / "broken.h5").write_bytes(b"no HDF5")
    expect(pipeline.locator("[data-state=DONE]")).to_have_text("3")
    expect(pipeline.locator("#quarantine")).to_contain_text("broken.h5")
    expect(pipeline.locator("#sources")).to_contain_text("4 listed")
    data.bring_to_front()
    expect(data.locator("[data-tile=frames]")).to_have_text("52")
    storm = watched.open("#/storm?id=S10000")
    expect(storm.locator("[data-type=vil] canvas")).to_have_attribute("data-drawn", "6")
    expect(storm.locator("#files")).to_be_visible()
    for name, page in {"pipeline": pipeline, "data": data, "storm": storm}.items():
        total, told = jumped(page)
        assert total < 0.05, f"{name} moved by {total:.3f}:\n{told}"


def test_no_other_page_and_no_other_method_gets_anywhere(running, watch):
    host, port = running.http_address
    for path in ("/", "/v1/data", "/v1/storms/S1", "/v1/objects/x", "/v1/colors", "/v1/history", "/plain"):
        answer = running.http("GET", path, headers={"Host": f"evil.example:{port}"})
        assert answer.status == 421 and b"<script" not in answer.body
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert running.http(method, path).status == 405


def test_a_page_for_which_there_is_no_stream_looks_instead(running, watch):
    streams = [http.client.HTTPConnection(*running.http_address) for _ in range(16)]
    for stream in streams:
        stream.request("GET", "/v1/events")
        assert stream.getresponse().status == 200
    watched = watch(running)
    watched.lost = True  # the browser tells of the 503
    page = watched.open()
    expect(page.get_by_text("by looking every few seconds")).to_be_visible()
    running.sample.add("vil", ["S10000"])
    running.sample.write_catalog()
    expect(page.locator("[data-state=DONE]")).to_have_text("2")
    for stream in streams:
        stream.close()


# -- the build -----------------------------------------------------------------------------------


def build(folder, mode, path):
    """build.py on a copy of the dashboard, with `path` for programs: (exit status, what it said, table)."""
    source = ROOT / "daemon" / "dashboard"
    copy = folder / "dashboard"
    if not copy.exists():
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns(".cache", "node_modules"))
    table = folder / "dashboard.c"
    done = subprocess.run(
        [sys.executable, copy / "build.py", mode, table], env={"PATH": str(path)}, capture_output=True, text=True
    )
    return done.returncode, done.stderr, table.read_text() if table.exists() else ""


def test_without_npm_the_daemon_is_built_all_the_same(tmp_path):
    nothing = tmp_path / "bin"
    nothing.mkdir()
    code, said, table = build(tmp_path, "auto", nothing)
    assert code == 0 and "ops_asset_count = 0" in table
    assert said == "dashboard: there is no npm; the daemon will serve a plain page\n"
    code, said, _ = build(tmp_path, "enabled", nothing)
    assert code == 1 and said == "dashboard: there is no npm\n"
    code, said, table = build(tmp_path, "disabled", nothing)
    assert (code, said) == (0, "") and "ops_asset_count = 0" in table


def test_what_was_made_once_needs_no_npm_again(tmp_path):
    nothing = tmp_path / "bin"
    nothing.mkdir()
    build(tmp_path, "auto", nothing)
    made = tmp_path / "dashboard" / ".cache" / subprocess.run(
        [sys.executable, "-c", "import build; print(build.digest())"], cwd=tmp_path / "dashboard", capture_output=True, text=True
    ).stdout.strip()  # fmt: skip
    made.mkdir()
    (made / "index.html").write_text("<p>made")
    code, said, table = build(tmp_path, "enabled", nothing)
    assert (code, said) == (0, "") and '"index.html"' in table and "ops_asset_count = 1" in table
    (tmp_path / "dashboard" / "src" / "main.tsx").write_text("// another")
    assert build(tmp_path, "enabled", nothing)[0] == 1
