"""Debian's Chromium, driven by Playwright, for tests of the pages for people and for their pictures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run the browser for as long as the block lasts; it asks nobody but who is asked for."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:  # noqa: ANN401 (Playwright's own options)
    """Open a page in a profile of its own; `options` are Playwright's own, such as `color_scheme`.

    In the end it has reported no error, broken no policy and asked no other host.
    """
    context = await browser.new_context(**options)
    wrong: list[str] = []
    try:
        page = await context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: wrong.append(said.text) if _is_wrong(said) else None)
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda asked: None if _is_ours(asked.url, url) else wrong.append(f"asked {asked.url}"))
        await page.goto(url)
        yield page
        assert not wrong
    finally:
        await context.close()


def _is_wrong(said: ConsoleMessage) -> bool:
    """Whether the browser complains of more than a status above 399, which a test may want."""
    return said.type in {"error", "warning"} and not said.text.startswith("Failed to load resource")


def _is_ours(asked: str, url: str) -> bool:
    return asked.startswith(("/".join(url.split("/")[:3]) + "/", "data:"))
