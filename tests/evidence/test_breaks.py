"""Bundles of a log that was broken off and goes on under another key: they say so, and verify.py and the page agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import override_settings
from playwright.sync_api import Browser, expect

from governance.evidence import building
from governance.evidence.models import BundleState
from governance.evidence.verifier.source import verifier_page
from governance.ledger import recovering
from governance.ledger.key_ring import KeyRing
from governance.ledger.notes import Signer
from governance.ledger.recovering import Cause
from tests.evidence import issued as story
from tests.evidence.issued import Issued, Verify, bent, unpacked
from tests.ledger.plugin_flush import empty

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("browser")]
WHY = "The disk of the database failed; the newest backup was of the night."
BREAKS = "ledger/breaks.ndjson"


@dataclass(frozen=True)
class Bundles:
    """One that was under way when the log was broken off, and one from after it."""

    across: Path
    after: Path
    former: str
    key: str


@pytest.fixture(scope="module")
def bundles(
    django_db_setup: None, django_db_blocker: Any, signer: Signer, tmp_path_factory: pytest.TempPathFactory
) -> Bundles:
    """Built once from committed rows; the database is empty again afterwards."""
    new = Signer.generate(f"{signer.name}/2")
    with django_db_blocker.unblock(), override_settings(BUNDLE_DIR=tmp_path_factory.mktemp("bundles")):
        story.tell_the_story()
        story.seal(signer)
        with time_machine.travel(story.APRIL, tick=False):
            across = story.ask_for("hipaa")
            story.seal(signer)
            building.advance(across.pk)
            across.refresh_from_db()
            assert across.state == BundleState.PROVING
            recovering.reopen(Cause.RESTORED, WHY, ring=KeyRing((new,)))
            across = story.build(across, new)
            after = story.build(story.ask_for("iso27001"), new)
        files = [story.file_of(one) for one in (across, after)]
        empty()
    return Bundles(*files, signer.verifier_key, new.verifier_key)


def test_the_former_key_can_be_believed_up_to_a_size_only(issued: Issued, check: Verify, tmp_path: Path) -> None:
    bundle = issued.save(tmp_path / "b.zip")

    assert BREAKS not in issued.files()
    assert check(bundle, issued.key, "--up-to", "100000")[0] == 0
    code, said = check(bundle, issued.key, "--up-to", "20")
    assert (code, "this key is believed up to 20 only" in said) == (1, True)


@pytest.mark.parametrize("which", ["across", "after"])
def test_a_bundle_says_that_the_log_was_broken_off_and_why(bundles: Bundles, check: Verify, which: str) -> None:
    code, said = check(getattr(bundles, which), bundles.key)

    assert code == 0, said
    assert "was broken off at" in said
    assert WHY in said
    assert check(getattr(bundles, which), bundles.former)[0] == 1


def test_the_break_cannot_be_kept_from_who_reads_the_bundle(bundles: Bundles, check: Verify, tmp_path: Path) -> None:
    said = unpacked(bundles.after.read_bytes())[BREAKS]
    without = bent(bundles.after, tmp_path / "a", BREAKS, None)
    other = bent(bundles.after, tmp_path / "b", BREAKS, said.replace(b"disk", b"dusk"))
    unexplained = bent(bundles.across, tmp_path / "c", BREAKS, None)

    assert "not as many breaks as the manifest says" in check(without, bundles.key)[1]
    assert f"{BREAKS}, line 1" in check(other, bundles.key)[1]
    assert "ledger/pinned_checkpoint" in check(unexplained, bundles.key)[1]


def test_the_page_says_the_same(bundles: Bundles, chromium: Browser, tmp_path: Path) -> None:
    page = chromium.new_context(offline=True).new_page()
    (tmp_path / "verify.html").write_text(verifier_page())
    page.goto((tmp_path / "verify.html").as_uri())
    cases = {
        bundles.across: (bundles.key, "HOLDS"),
        bundles.after: (bundles.key, "HOLDS"),
        bent(bundles.after, tmp_path / "a", BREAKS, None): (bundles.key, "DOES NOT HOLD"),
        bent(bundles.across, tmp_path / "b", BREAKS, None): (bundles.key, "DOES NOT HOLD"),
    }
    for bundle, (key, verdict) in cases.items():
        page.locator("#bundle").set_input_files(bundle)
        page.locator("#key").fill(key)
        page.get_by_role("button", name="Check").click()
        expect(page.locator(".verdict")).not_to_have_text("Checking …")
        assert page.locator(".verdict").inner_text().startswith(verdict), bundle.name
        if bundle == bundles.after:
            assert WHY in page.locator("#result").inner_text()
