"""The check of an entry in the reader's browser: what holds, and which step says so when something does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.ledger.models import Entry
from governance.ledger.notes import Signer
from tests.web import stories
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong_with

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ALTER = {
    "leaf": "document.querySelector('#entry-body').firstChild.data += ' '",
    "path": "document.querySelector('[data-verify]').dataset.index = '1'",
    "signature": "{ const t = document.querySelector('#verify-proof').content.firstChild;"
    " t.data = t.data.replace(/(— \\S+ .{20})(.)/, (_, a, b) => a + (b === 'A' ? 'B' : 'A')); }",
}


@pytest.fixture
def address(ada: Person, analyst: Entitlement, seal: Callable[[], int]) -> str:
    for _ in range(9):
        stories.give(ada, analyst)
    seal()
    return f"/ledger/{Entry.objects.filter(event='grant.started').earliest('index').index}/"


def check(page: Page, key: str) -> None:
    page.fill("#verify-key", key)
    page.click("#verify-go")
    expect(page.locator("#verify-verdict")).not_to_be_empty()


def states(page: Page) -> list[str | None]:
    return [one.get_attribute("data-state") for one in page.locator("#verify-steps li").all()]


def test_an_entry_is_verified_with_the_readers_own_key(
    address: str, audrey: Person, signer: Signer, reader: Open
) -> None:
    sitting = reader(audrey)
    page = sitting.open(address)

    check(page, signer.verifier_key)

    expect(page.locator("#verify-verdict")).to_contain_text("All three hold")
    assert states(page) == ["good", "good", "good"]
    assert sitting.complaints == []


def test_every_entry_of_a_ledger_of_odd_size_is_verified(
    address: str, audrey: Person, signer: Signer, reader: Open
) -> None:
    page = reader(audrey).open(address)
    last = Entry.objects.latest("index").index

    for index in {0, 1, last // 2, last - 1, last}:
        page.goto(f"/ledger/{index}/")
        check(page, signer.verifier_key)

        assert states(page) == ["good", "good", "good"], index


@pytest.mark.parametrize("step", ALTER)
def test_the_step_that_fails_is_named(step: str, address: str, audrey: Person, signer: Signer, reader: Open) -> None:
    page = reader(audrey).open(address)
    page.evaluate(f"() => {{ {ALTER[step]} }}")

    check(page, signer.verifier_key)

    failed = list(ALTER).index(step)
    assert states(page) == ["good"] * failed + ["bad"] + ["waiting"] * (2 - failed)
    expect(page.locator("#verify-verdict")).to_contain_text("This does not hold")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Signer.generate("example.com/ledger").verifier_key, "No line of this head is signed by your key"),
        (Signer.generate("example.com/other").verifier_key, "your key is of example.com/other"),
        ("example.com/ledger+00000000+AQ==", "Ed25519 keys only"),
        ("a key", "not a public key of a ledger"),
    ],
    ids=["another key", "another log", "too short", "no key"],
)
def test_a_key_that_did_not_sign_is_refused(key: str, said: str, address: str, audrey: Person, reader: Open) -> None:
    page = reader(audrey).open(address)

    check(page, key)

    assert states(page) == ["good", "good", "bad"]
    expect(page.locator("[data-step-of=signature]")).to_contain_text(said)


def test_the_key_is_remembered_only_when_asked(address: str, audrey: Person, signer: Signer, reader: Open) -> None:
    page = reader(audrey).open(address)
    check(page, signer.verifier_key)
    page.reload()
    expect(page.locator("#verify-key")).to_have_value("")

    page.check("#verify-keep")
    check(page, signer.verifier_key)
    page.reload()

    expect(page.locator("#verify-key")).to_have_value(signer.verifier_key)


def test_without_script_the_page_says_what_to_do_instead(address: str, audrey: Person, reader: Open) -> None:
    page = reader(audrey, java_script_enabled=False).open(address)

    expect(page.get_by_role("link", name="download the proof file")).to_be_visible()
    expect(page.locator("#verify-go")).to_be_hidden()


def test_the_page_of_an_entry_is_accessible_and_narrow(
    address: str, audrey: Person, signer: Signer, reader: Open
) -> None:
    sitting = reader(audrey)
    page = sitting.open(address)
    check(page, signer.verifier_key)

    assert what_is_wrong_with(page) + sitting.complaints == []
