"""Fixtures of the page tests: signed-in clients, and a real browser for what only a browser shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from governance.core.clock import now
from governance.identity.models import Person

PASSWORD = "correct horse battery staple"

SignedIn = Callable[[Person], Client]


@pytest.fixture
def signed_in(db: None) -> SignedIn:
    """Return a client whose requests are this person's."""

    def sign_in(person: Person) -> Client:
        client = Client()
        client.force_login(person)
        session = client.session
        session["confirmed_at"] = now().timestamp()
        session.save()
        return client

    return sign_in


@pytest.fixture(autouse=True)
def _forget_limits(db: None) -> None:
    """Begin each test without sign-ins that were counted before."""
    cache.clear()


class Reader:
    """A person at a browser. Collects what the browser complains about."""

    def __init__(self, browser: Browser, address: str, person: Person | None, **options: Any) -> None:
        self.address = address
        self.complaints: list[str] = []
        settings = {"viewport": {"width": 1440, "height": 900}, "timezone_id": "Europe/Berlin"} | options
        self.context: BrowserContext = browser.new_context(base_url=address, **settings)
        if person is not None:
            self._sign_in(person)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))

    def _sign_in(self, person: Person) -> None:
        client = Client()
        client.force_login(person)
        session = client.session
        session["confirmed_at"] = now().timestamp()
        session.save()
        cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": self.address}
        self.context.add_cookies([cookie])

    def _listen(self, message: Any) -> None:
        is_expected_answer = "Failed to load resource" in message.text and (
            "422" in message.text or "409" in message.text
        )
        if message.type in ("error", "warning") and not is_expected_answer:
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, path: str) -> Page:
        """Open a page and wait until it has settled."""
        self.page.goto(path)
        self.page.wait_for_load_state("load")
        return self.page


Open = Callable[..., Reader]


@pytest.fixture
def reader(chromium: Browser, live_server: Any) -> Iterator[Open]:
    """Return a way to sit a person down at a browser."""
    readers: list[Reader] = []

    def sit_down(person: Person | None, **options: Any) -> Reader:
        readers.append(Reader(chromium, live_server.url, person, **options))
        return readers[-1]

    yield sit_down
    for one in readers:
        one.context.close()
