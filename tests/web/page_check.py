"""What is wrong with a page as a browser shows it: for axe, in both themes, on a desk, a phone and a narrow screen."""

from __future__ import annotations

from collections.abc import Iterable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

from tests.web.conftest import Reader

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
#: The narrowest that WCAG 2.2 asks for (1.4.10): nothing may scroll sideways.
NARROW: ViewportSize = {"width": 320, "height": 700}

_EVERY_RULE = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
#: Another theme changes colours and nothing else.
_RULES_OF_COLOUR = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
_TOO_WIDE = """[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 120)).slice(0, 3)"""
_WIDTHS = "[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]"


def findings(page: Page, rules: dict[str, object] | None = None) -> list[str]:
    """Return what axe finds on the page as it stands, one line for each."""
    options = {"runOnly": rules or _EVERY_RULE, "resultTypes": ["violations"]}
    response = Axe().run(page, options=options).response
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in response["violations"]]


def what_is_wrong(one: Reader, paths: Iterable[str], *, expected: tuple[str, ...] = ()) -> list[str]:
    """Open each page once, look at it in every size and theme, and return what is wrong, one line for each.

    What the browser complains about is wrong as well, unless it has one of the `expected` words in it.
    """
    wrong: list[str] = []
    for path in paths:
        one.page.set_viewport_size(WIDE)
        wrong += [f"{path}{line}" for line in what_is_wrong_with(one.open(path))]
    return wrong + [said for said in one.complaints if not any(word in said for word in expected)]


def what_is_wrong_with(page: Page) -> list[str]:
    """Look at the page that is open in every size and theme, and return what is wrong, one line for each."""
    wrong: list[str] = []
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    for theme, rules in (("light", _EVERY_RULE), ("dark", _RULES_OF_COLOUR)):
        page.emulate_media(color_scheme=theme)
        for size in (WIDE, PHONE):
            page.set_viewport_size(size)
            wrong += [f" ({theme}, {size['width']}): {line}" for line in findings(page, rules)]
    page.set_viewport_size(NARROW)
    if max(page.evaluate(_WIDTHS)) > NARROW["width"]:
        wrong.append(f" scrolls sideways at {NARROW['width']}: {page.evaluate(_TOO_WIDE)}")
    return wrong
