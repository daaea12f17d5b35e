"""A browser that looks on: what a page does, and whether everybody can read it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

WEBGL = ["--enable-unsafe-swiftshader"]
PLAIN = ["--disable-gpu", "--disable-3d-apis"]
"""Without WebGL, which is slow where no graphics card is."""


@dataclass
class Seen:
    """What a page did that it should not have."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


class Browsers:
    """Opens pages in the browser of this machine; each set of flags starts it once."""

    def __init__(self, playwright: Playwright, program: str) -> None:
        self._playwright, self._program = playwright, program
        self._started: dict[str, Browser] = {}

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Browsers]:
        """Find the browser; skips the test where there is none."""
        found = next(filter(None, map(shutil.which, BROWSERS)), None)
        if found is None:
            pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
        with sync_playwright() as playwright:
            browsers = cls(playwright, found)
            yield browsers
            for browser in browsers._started.values():
                browser.close()

    def _browser(self, flags: list[str]) -> Browser:
        key = " ".join(flags)
        if key not in self._started:
            # As root a browser has no sandbox to hide in.
            root = ["--no-sandbox"] if os.geteuid() == 0 else []
            self._started[key] = self._playwright.chromium.launch(
                executable_path=self._program, args=[*flags, *root]
            )
        return self._started[key]

    @contextmanager
    def open(
        self,
        path: Path,
        flags: list[str] = PLAIN,
        script: str = "",
        drawn: bool = True,
        **context: Any,
    ) -> Iterator[tuple[Page, Seen]]:
        """Open a page from its file.

        Args:
            path: Path of the page.
            flags: Command line flags of the browser.
            script: Run before the page's own.
            drawn: Whether to wait until the charts are drawn, or cannot be.
            context: Options of the browser's context: viewport, color_scheme ...
        """
        seen = Seen()
        with self._browser(flags).new_context(**context) as made:
            page = made.new_page()
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.on("console", seen.listen)
            page.on("request", lambda one: seen.requests.append(one.url))
            if script:
                page.add_init_script(script)
            page.goto(path.as_uri())
            if drawn:
                until(page, "document.documentElement.dataset.charts")
            yield page, seen


def until(page: Page, condition: str) -> None:
    """Wait until something is true; Playwright's own way needs eval, which the page forbids."""
    for _ in range(2400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not in two minutes: {condition}")


def accessible(page: Page) -> list[str]:
    """What the basic rules of accessibility find wrong."""
    return page.evaluate(
        """() => {
            const all = (query) => [...document.querySelectorAll(query)];
            const wrong = [];
            const say = (rule, list) => list.forEach((one) => wrong.push(
                `${rule}: ${one.outerHTML.slice(0, 80)}`));
            const named = (one) => one.getAttribute('aria-label') || one.textContent.trim() ||
                one.labels?.length || (one.getAttribute('aria-labelledby') || '').split(' ').every(
                    (id) => id && document.getElementById(id)?.textContent.trim());
            say('no alt', all('img').filter((one) => !one.alt.trim()));
            const speaking = 'button, a, select, input, nav, [role=region], [role=img]';
            say('no name', all(speaking).filter((one) => !named(one)));
            say('unknown id', all('[aria-labelledby]').filter(
                (one) => !document.getElementById(one.getAttribute('aria-labelledby'))));
            say('no caption', all('main table').filter((one) => !one.caption?.textContent.trim()));
            say('no scope', all('main th').filter((one) => !one.scope));
            const ids = all('[id]').map((one) => one.id);
            ids.filter((id, place) => ids.indexOf(id) !== place).forEach(
                (id) => wrong.push(`twice: ${id}`));
            say('to nowhere', all('a[href^="#"]').filter(
                (one) => !document.getElementById(one.hash.slice(1))));
            if (all('h1').length !== 1) wrong.push(`${all('h1').length} h1`);
            if (!document.documentElement.lang) wrong.push('no language');
            for (const mark of ['main', 'nav', 'header', 'footer'])
                if (all(`body > ${mark}`).length !== 1) wrong.push(`landmark ${mark}`);
            let last = 0;
            for (const head of all('h1, h2, h3, h4')) {
                const level = Number(head.tagName[1]);
                if (level > last + 1) wrong.push(`heading skips: ${head.textContent}`);
                last = level;
            }
            const luminance = (colour) => {
                const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
                    const share = part / 255;
                    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ground = (one) => {
                for (; one; one = one.parentElement) {
                    const colour = getComputedStyle(one).backgroundColor;
                    if (!colour.endsWith(', 0)')) return colour;
                }
                return 'rgb(255, 255, 255)';
            };
            const pale = all('main *, header *, nav *, footer *').filter((one) => {
                const text = (node) => node.nodeType === 3 && node.data.trim();
                const own = [...one.childNodes].some(text);
                if (!own || one.closest('svg, .hidden, .plot, noscript, [hidden]')) return false;
                const [a, b] = [getComputedStyle(one).color, ground(one)].map(luminance);
                return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
            });
            say('contrast', pale);
            return wrong;
        }"""
    )
