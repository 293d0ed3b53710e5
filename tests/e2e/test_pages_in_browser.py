"""The pages for people in a real browser: updates, filters, keyboard, screen readers, hostile words."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.simulator import Fault, default_plans, result_of
from tests.support.browser import CHROMIUM, chromium, opened
from tests.support.world import World, world

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
OTHER = replace(default_plans(2)[1], name="globex", jobs_at_start=0, starts_per_minute=0.0)
CALM = "  poll: {fastest: 5s}"
UPDATED_WITHIN_MS = 3_000
HOSTILE = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>\"'"
JOBS: tuple[dict[str, object], ...] = (
    {"tenant": "acme", "operation": "export", "job_id": "e1", "name": "weekly copy", "duration_s": 20.0},
    {"tenant": "acme", "operation": "export", "job_id": "e2", "name": "release", "duration_s": 100.0},
    {
        "tenant": "acme",
        "operation": "import",
        "job_id": "i1",
        "name": "nightly promotion",
        "duration_s": 30.0,
        "final_state": "FAILED",
        "result": result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 2}, "RULE": {"objects": 5}}),
    },
    {"tenant": "globex", "operation": "import", "job_id": "i2", "name": "hotfix", "duration_s": math.inf},
)
PATHS = ("/", "/tenants/acme", "/tenants/globex", "/jobs/acme/import/i1", "/jobs/acme/export/e2", "/tenants/nobody")


@asynccontextmanager
async def shown(path: str = "/", *, script: bool = True) -> AsyncIterator[tuple[World, Page]]:
    """Open a page of an exporter that has watched for a minute."""
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running, chromium() as browser:
        await running.advance(60)
        async with opened(browser, running.url + path, java_script_enabled=script) as page:
            yield running, page


async def ids(page: Page) -> list[str]:
    """Return the ids of the jobs in the list, from top to bottom."""
    rows = await page.locator("#job-list tbody tr").all()
    return [(await row.get_attribute("id") or "").rpartition("/")[2] for row in rows]


async def test_a_change_of_state_shows_within_three_seconds() -> None:
    """Without a reload; the focus and the scroll stay."""
    async with shown() as (running, page):
        row = page.locator('[id="job-acme/export/e2"]')
        await expect(row).to_contain_text("IN_PROGRESS")
        await page.evaluate("window.notReloaded = true")
        link = page.locator('[id="link-acme/export/e2"]')
        await link.focus()
        await page.evaluate("scrollTo(0, 40)")
        await running.advance(60)
        await expect(row).to_contain_text("COMPLETE", timeout=UPDATED_WITHIN_MS)
        await expect(link).to_be_focused()
        assert await page.evaluate("window.notReloaded && scrollY") == 40


async def test_the_verdict_is_read_aloud_when_it_changes() -> None:
    """It is a live region whose words stay the same until something happens."""
    async with shown() as (running, page):
        verdict = page.locator("#verdict")
        await expect(verdict).to_have_role("status")
        await expect(verdict).to_have_text(
            "Every tenant answers. 1 job needs attention: nightly promotion of acme (FAILED)."
        )
        await running.cut_off()
        await running.advance(120)
        await expect(verdict).to_contain_text(
            "2 of 2 tenants (acme, globex) are in trouble.", timeout=UPDATED_WITHIN_MS
        )
        await expect(page).to_have_title("⚠ spexporter")


async def test_filters_and_sorting_change_the_address_which_can_be_shared() -> None:
    """Whoever opens the address sees the same; back leads to what was seen before."""
    async with shown() as (_, page):
        await page.get_by_label("Operation", exact=True).select_option("export")
        await expect(page.locator("#job-count")).to_have_text("1 to 2 of 2 jobs")
        await page.get_by_role("link", name="Duration").click()
        await expect(page.get_by_role("columnheader", name="Duration")).to_have_attribute("aria-sort", "descending")
        assert page.url.endswith("/?operation=export&sort=-duration")
        assert await ids(page) == ["e2", "e1"]
        async with opened(page.context.browser, page.url) as shared:  # type: ignore[arg-type]  # it has one
            assert await ids(shared) == ["e2", "e1"]
            await expect(shared.get_by_label("Operation", exact=True)).to_have_value("export")
            await expect(shared.get_by_label("Sort by")).to_have_value("-duration")
        await page.go_back()
        await expect(page.get_by_role("columnheader", name="Duration")).not_to_have_attribute("aria-sort", "descending")
        await expect(page.get_by_label("Sort by")).to_have_value("urgent")


async def test_jobs_can_be_found_by_keyboard_alone() -> None:
    """Skip link, then the form by Tab; what is typed filters at once and stays while the page updates."""
    async with shown() as (running, page):
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        text = page.get_by_label("Text", exact=True)
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await text.evaluate("it => it === document.activeElement"):
                break
        await page.keyboard.type("nightly")
        await expect(page.locator("#job-count")).to_have_text("1 to 1 of 1 jobs")
        await running.advance(10)
        await expect(page.locator("#asof")).to_contain_text("08:01:10", timeout=UPDATED_WITHIN_MS)
        await expect(text).to_be_focused()
        await page.keyboard.type(" promo")
        await expect(text).to_have_value("nightly promo")
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.locator('[id="link-acme/import/i1"]').evaluate("it => it === document.activeElement"):
                break
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("nightly promotion")
        await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


async def test_updates_can_be_paused() -> None:
    """Whoever reads does not want rows to move."""
    async with shown() as (running, page):
        await page.get_by_role("button", name="Pause updates").click()
        await running.advance(10)
        async with page.expect_response("**/*", timeout=10_000):
            await page.get_by_role("button", name="Resume updates").click()
        await expect(page.locator("#asof")).to_contain_text("08:01:10")


async def test_a_page_that_is_not_up_to_date_says_so() -> None:
    """It keeps what it showed, and goes on when the exporter is back."""
    async with shown() as (_, page):
        await page.route("**/*", lambda route: route.fulfill(status=503, body="gone"))
        note = page.locator("#update-note")
        await expect(note).to_have_text("Not up to date: the exporter answers 503.", timeout=UPDATED_WITHIN_MS)
        assert len(await ids(page)) == 4
        await page.unroute("**/*")
        await expect(note).to_have_text("", timeout=UPDATED_WITHIN_MS)


async def test_without_script_the_form_works() -> None:
    """Filters lead to a new page."""
    async with shown(script=False) as (_, page):
        await page.get_by_label("Text", exact=True).fill("hotfix")
        await page.get_by_role("button", name="Filter").click()
        assert await ids(page) == ["i2"]
        await page.get_by_role("link", name="Show all").click()
        assert len(await ids(page)) == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_no_violation(scheme: Literal["light", "dark"], width: int) -> None:
    """On every page, with troubles and without, in the light and in the dark, on a phone and on a desk."""
    viewport = {"width": width, "height": 800}
    async with world([PLAN, OTHER], plant=JOBS, defaults=CALM) as running, chromium() as browser:
        await running.advance(60)
        for troubled in (False, True):
            if troubled:
                running.simulator.afflict("globex", Fault("status", status=500))
                await running.advance(120)
            for path in PATHS:
                async with opened(browser, running.url + path, color_scheme=scheme, viewport=viewport) as page:
                    found = await Axe().run(page)
                    assert found.violations_count == 0, found.generate_report()


async def test_no_page_is_wider_than_its_window() -> None:
    """On phones, tablets, small desks and large ones, with troubles that have many words."""
    plans = [replace(plan, jobs_at_start=6) for plan in default_plans(3)]
    async with world(plans) as running, chromium() as browser:
        await running.hand_over()
        await running.advance(120)
        running.simulator.rotate_secret(plans[1].name, "another-planted-secret")
        running.simulator.afflict(plans[2].name, Fault("status", status=500))
        await running.advance(600)
        for path in ("/", f"/tenants/{plans[2].name}"):
            async with opened(browser, running.url + path) as page:
                for width in (320, 390, 768, 1024, 1025, 1100, 1249, 1280, 1920):
                    await page.set_viewport_size({"width": width, "height": 800})
                    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    assert await page.evaluate(overflow) <= 0, (path, width)


async def test_hostile_words_run_nowhere_and_are_read_as_they_are() -> None:
    """From job names, descriptions, messages, object types and ids: no dialog, no request, no broken policy."""
    job = {"tenant": "acme", "name": HOSTILE, "description": HOSTILE, "message": HOSTILE, "duration_s": 10.0}
    plant = [
        {**job, "operation": "export", "job_id": "e"},
        {**job, "operation": "import", "job_id": "i", "result": result_of({HOSTILE: {"errors": 1, "warnings": 1}})},
    ]
    odd = "a\"'><b>%2F&#x2e;"
    async with world([PLAN], plant=plant) as running, chromium() as browser:
        jobs = [
            WatchedJob(JobKey("acme", Operation.EXPORT, "e")),
            WatchedJob(JobKey("acme", Operation.IMPORT, "i"), name=HOSTILE),
            WatchedJob(JobKey("acme", Operation.EXPORT, odd), name=HOSTILE),
        ]
        await running.exporter.fleet.desk.watch(Source.CONFIG, "acme", jobs)
        await running.advance(60)
        for path in ("/", "/tenants/acme", "/jobs/acme/export/e", "/jobs/acme/import/i"):
            async with opened(browser, running.url + path) as page:
                await expect(page.get_by_text("alert(1)").first).to_be_visible()
                await asyncio.sleep(UPDATED_WITHIN_MS / 1000)  # the script has shown the page anew
                assert await page.locator("img, td script, main script, a[href^=javascript]").count() == 0
        async with opened(browser, f"{running.url}/?operation=export&state=NOT_FOUND") as page:
            await page.locator("#job-list").get_by_role("link", name=HOSTILE[:20]).click()
            await expect(page.get_by_text(odd, exact=False).first).to_be_visible()
