"""The live page in a real browser, over the real API: what it draws, what a click explains, at every size."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from tests.unit.admin.browser import Tab, chromium
from tests.unit.admin.meshes import PageNode

from nodemesh.admin import page
from nodemesh.admin.http import serve

#: Texts under 11 pixels as they are seen, the picture's scale counted.
SMALL = """
[...document.querySelectorAll("body *")]
  .filter((it) => it.tagName !== "title" && [...it.childNodes].some((part) => part.nodeType === 3 && part.data.trim()))
  .map((it) => [it.textContent, it.ownerSVGElement ? it.getScreenCTM().a : 1, getComputedStyle(it).fontSize])
  .map(([said, scale, size]) => [said, scale * parseFloat(size)])
  .filter(([, size]) => size < 11)
"""

#: Boxes that stand beside the picture's window.
OUTSIDE = """
(() => { const window = document.querySelector(".canvas").getBoundingClientRect();
  return [...document.querySelectorAll(".node .shape")].map((it) => it.getBoundingClientRect())
    .filter((box) => box.left < window.left || box.right > window.right)
    .map((box) => [box.left, box.top]) })()
"""

DRAWN = "document.querySelectorAll('.edge .line').length > 0"
LISTED = "document.querySelectorAll('.edges li').length > 0"


@contextlib.asynccontextmanager
async def served(node: PageNode) -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    runner = await serve(node, listener)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    await runner.cleanup()


def drive(tmp_path, services, scenario) -> None:
    async def whole() -> None:
        async with served(PageNode(services)) as url, chromium(tmp_path / "browser") as tab:
            await scenario(tab, url)
            assert not tab.errors

    asyncio.run(asyncio.wait_for(whole(), 120))


async def text(tab: Tab, selector: str) -> str:
    return str(await tab.until(f"document.querySelector({selector!r})?.textContent"))


def test_a_small_mesh_shows_shares_failures_and_the_reason(tmp_path):
    async def scenario(tab: Tab, url: str) -> None:
        await tab.show(url, 1280)
        await tab.until(DRAWN)
        assert await tab.until("document.querySelectorAll('.node').length == 5")
        assert await tab.run(OUTSIDE) == [], "five services fit without a gesture"
        reviews = await text(tab, '[data-node="service/bookinfo/reviews"]')
        assert "v1" in reviews and "v3" in reviews and "2/2 ready" in reviews
        lines = await tab.run("[...document.querySelectorAll('.edge')].map((it) => it.getAttribute('class'))")
        assert sum("bad" in line for line in lines) == 2  # the line and its label
        chain = "service/bookinfo/reviews>service/bookinfo/ratings>http"
        assert await tab.run(f"Boolean(document.querySelector('[data-edge=\"{chain}\"]'))")
        await tab.click(".list .edges li button")
        panel = await text(tab, ".panel")
        assert "bookinfo/reviews → bookinfo/ratings" in panel and "503" in panel and "FI" in panel
        await tab.click(".panel .explain")
        explained = await text(tab, ".explanation")
        assert "fault" in explained and "mesh.yaml:" in explained and "nodemesh explain GET" in explained
        assert await tab.run(SMALL) == []
        await tab.click('nav [data-tab="routes"]')
        await tab.until("document.querySelector('.page')?.textContent.includes('bookinfo/reviews spec.http[0]')")
        assert "reviews v1 90 %, reviews v3 10 %" in await text(tab, ".page")
        assert not await tab.run("Boolean(document.querySelector('.choices'))"), "what chooses of the graph alone"

    drive(tmp_path, 5, scenario)


def test_of_two_hundred_services_the_one_that_fails_is_two_clicks_away(tmp_path):
    async def scenario(tab: Tab, url: str) -> None:
        await tab.show(url, 1280)
        await tab.until(DRAWN)
        assert await tab.run("document.querySelectorAll('.node').length") <= 60
        assert await tab.run("Boolean(document.querySelector('[data-node=\"service/team-9/store-117\"]'))")
        assert await tab.run(SMALL) == []
        await tab.click(".list .edges li button")
        await tab.click(".panel .explain")
        assert "store-117" in await text(tab, ".panel h2")
        await tab.until("document.querySelector('.explanation')")
        await tab.click('[data-node="namespace/team-3"]')
        await tab.until("document.querySelector('[data-node=\"service/team-3/store-123\"]')")

    drive(tmp_path, 200, scenario)


@pytest.mark.parametrize("dark", [False, True])
def test_a_telephone_shows_the_worst_edges_first_and_nothing_beside_the_screen(tmp_path, dark):
    async def scenario(tab: Tab, url: str) -> None:
        await tab.show(url, 400, dark=dark)
        await tab.until(LISTED)
        assert "bookinfo/ratings" in await text(tab, ".edges li")
        assert await tab.run("document.documentElement.scrollWidth") == 400
        assert await tab.run(SMALL) == []
        lightness = await tab.run("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])")
        assert lightness < 60 if dark else lightness > 200
        await tab.click(".list .edges li button")
        assert await tab.until("document.querySelector('.panel').getBoundingClientRect().width") == 400
        await tab.click(".panel .close")
        await tab.click('nav [data-tab="graph"]')
        await tab.until(DRAWN)
        assert await tab.run(SMALL) == []

    drive(tmp_path, 50, scenario)


def test_an_empty_picture_says_why(tmp_path):
    async def scenario(tab: Tab, url: str) -> None:
        await tab.show(url, 1280)
        said = await text(tab, ".empty")
        assert "No traffic was seen" in said and "eBPF is off" in said

    async def whole() -> None:
        node = PageNode(5)
        node.calls = []
        node.history = type(node.history)()
        async with served(node) as url, chromium(tmp_path / "browser") as tab:
            await scenario(tab, url)

    asyncio.run(asyncio.wait_for(whole(), 120))


def test_the_page_comes_from_the_agent_alone():
    found = page.asset("index.html")
    assert found is not None and b"http" not in found.plain
    assert page.asset("app.js") is not None and page.asset("../http.py") is None
    assert "default-src 'self'" in page.POLICY
