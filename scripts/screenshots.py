"""Takes the pictures of the pages for people that the documentation shows, from simulated tenants.

`make screenshots` needs Debian's chromium. The same seed gives the same tenants and jobs; time is moved by hand.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from spexporter.simulator import default_plans, result_of
from tests.support.browser import chromium, opened
from tests.support.world import World, world

IMAGES = Path(__file__).parent.parent / "docs" / "images"
LARGEST_BYTES = 150_000
SEED = 7
DESK, PHONE = {"width": 1280, "height": 720}, {"width": 360, "height": 740}
FAILED: dict[str, object] = {
    "operation": "import",
    "job_id": "ef38f943-47e9-4562-b5bb-8424a56397d8",
    "name": "nightly promotion",
    "duration_s": 95.0,
    "final_state": "FAILED",
    "result": result_of({"SOURCE": {"errors": 3, "warnings": 1, "objects": 4}, "ROLE": {"warnings": 2, "objects": 9}}),
}
MANY = 10_000


async def main() -> None:
    """Take all pictures anew."""
    async with chromium() as browser:
        await _of_a_day(browser)
        await _of_many_jobs(browser)
    for picture in sorted(IMAGES.glob("page-*.png")):
        size = picture.stat().st_size
        if size > LARGEST_BYTES:
            raise SystemExit(f"{picture} has {size} bytes, more than {LARGEST_BYTES}")
        print(f"{picture.name}: {size} bytes")  # noqa: T201 (this is a script)


async def _of_a_day(browser: Browser) -> None:
    """A few tenants with jobs that come and go; one gets another secret after a while."""
    plans = [replace(plan, jobs_at_start=6, token_lifetime_s=60) for plan in default_plans(3, SEED)]
    async with world(plans, plant=[{**FAILED, "tenant": plans[0].name}], seed=SEED) as running:
        for _ in range(6):
            await running.hand_over()
            await running.advance(60)
        await _take(browser, running, "page-overview")
        await _take(browser, running, "page-dark", color_scheme="dark")
        await _take(browser, running, "page-phone", viewport=PHONE)
        path = f"/jobs/{plans[0].name}/import/{FAILED['job_id']}"
        await _take(browser, running, "page-failed-import", path, viewport={"width": 1000, "height": 1130})
        running.simulator.rotate_secret(plans[1].name, "another-planted-secret")
        await running.advance(900)
        await _take(browser, running, "page-bad-credentials", f"/tenants/{plans[1].name}")


async def _of_many_jobs(browser: Browser) -> None:
    plan = replace(default_plans(1, SEED)[0], jobs_at_start=0, starts_per_minute=0.0)
    job = {"tenant": plan.name, "operation": "export"}
    plant = [{**job, "job_id": f"export-{number:05}", "duration_s": 20.0 + number} for number in range(MANY)]
    async with world([plan], plant=plant, seed=SEED) as running:
        await running.hand_over()
        await running.advance(60)
        await _take(browser, running, "page-10000-jobs", "/?sort=-seen")


async def _take(browser: Browser, running: World, name: str, path: str = "/", **options: Any) -> None:  # noqa: ANN401 (Playwright's own)
    async with opened(browser, running.url + path, **{"viewport": DESK, **options}) as page:
        await page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
