"""Bundles of a log that went over to another key: whoever pinned the former follows, nobody else's key counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import override_settings
from playwright.sync_api import Browser, expect

from governance.evidence.questions import Pin
from governance.evidence.verifier.source import verifier_page
from governance.ledger import queries
from governance.ledger.key_ring import KeyRing
from governance.ledger.notes import Signer
from governance.ledger.standalone import parse_verifier_key
from tests.evidence import issued as story
from tests.evidence.issued import Verify, bent, unpacked
from tests.ledger.plugin_flush import empty

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("browser")]
ROTATIONS = "ledger/rotations.ndjson"
PINNED = "ledger/pinned_checkpoint"


@dataclass(frozen=True)
class Bundles:
    """One from before the key was changed, one from after the former was retired, and the first one asked again."""

    before: Path
    after: Path
    again: Path
    #: The key they began with, the one they went over to, and one of the same name that they never had.
    first: str
    second: str
    stranger: str
    #: A head that was kept from before.
    anchor: str


@pytest.fixture(scope="module")
def bundles(
    django_db_setup: None, django_db_blocker: Any, signer: Signer, tmp_path_factory: pytest.TempPathFactory
) -> Bundles:
    """Built once from committed rows; the database is empty again afterwards."""
    second, stranger = Signer.generate(signer.name), Signer.generate(signer.name)
    with django_db_blocker.unblock(), override_settings(BUNDLE_DIR=tmp_path_factory.mktemp("bundles")):
        story.tell_the_story()
        story.seal(signer)
        head = queries.latest_checkpoint()
        assert head is not None
        with time_machine.travel(story.APRIL, tick=False):
            before = story.build(story.ask_for("hipaa"), signer)
            story.later_facts()
            story.seal(KeyRing((signer, second)))
            story.later_facts()
            story.seal(second)
            after = story.build(story.ask_for("hipaa"), second)
            pin = Pin(before.known_at, before.question().ledger_size)
            again = story.build(story.ask_for("hipaa", pin=pin), second)
        files = [story.file_of(one) for one in (before, after, again)]
        empty()
    keys = (signer.verifier_key, second.verifier_key, stranger.verifier_key)
    return Bundles(*files, *keys, head.note)


def fingerprint(key: str) -> str:
    return parse_verifier_key(key).fingerprint


def test_a_bundle_from_before_knows_of_no_other_key(bundles: Bundles, check: Verify) -> None:
    assert ROTATIONS not in unpacked(bundles.before.read_bytes())
    assert check(bundles.before, bundles.first)[0] == 0
    assert check(bundles.before, bundles.second)[0] == 1


@pytest.mark.parametrize("which", ["after", "again"])
def test_whoever_pinned_the_former_key_follows_to_the_new_one(bundles: Bundles, check: Verify, which: str) -> None:
    bundle = getattr(bundles, which)

    for key in (bundles.first, bundles.second, fingerprint(bundles.first), fingerprint(bundles.second)):
        code, said = check(bundle, key)
        assert code == 0, said
        assert f"from {fingerprint(bundles.first)}, to {fingerprint(bundles.second)}" in said
    assert check(bundle, bundles.stranger)[0] == 1
    assert check(bundle, fingerprint(bundles.stranger))[0] == 1


def test_without_the_change_the_former_key_signs_nothing(bundles: Bundles, check: Verify, tmp_path: Path) -> None:
    after = bent(bundles.after, tmp_path / "a", ROTATIONS, None)
    again = bent(bundles.again, tmp_path / "b", ROTATIONS, None)

    assert "not signed by the key you pinned" in check(after, bundles.first)[1]
    assert check(after, bundles.second)[0] == 0
    code, said = check(again, bundles.second)
    assert (code, PINNED in said) == (1, True)


def test_a_head_that_was_kept_from_before_is_the_beginning(bundles: Bundles, check: Verify, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(bundles.anchor)

    for key in (bundles.first, bundles.second):
        code, said = check(bundles.after, key, "--checkpoint", str(tmp_path / "kept"))
        assert (code, "is the beginning of this log" in said) == (0, True), said


def _rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def rewrite(content: bytes) -> bytes:
        said = json.loads(content)
        change(said)
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"

    return rewrite


def _of_a_stranger(said: dict[str, Any]) -> None:
    body = json.loads(said["body"])
    body["data"]["verifier_key"] = Signer.generate(body["data"]["previous"].partition("+")[0]).verifier_key
    said["body"] = json.dumps(body, sort_keys=True, separators=(",", ":"))


FORGERIES: dict[str, Callable[[bytes], bytes]] = {
    "another key in the entry": _rewritten(_of_a_stranger),
    "another number": _rewritten(lambda said: said.update(index=said["index"] + 1)),
    "a path that is cut": _rewritten(lambda said: said["path"].pop()),
    "a proof of another head": _rewritten(lambda said: said.update(proof=said["proof"].replace("\n\n", "\n\nx", 1))),
    "an extra line in the proof": _rewritten(
        lambda said: said.update(proof=said["proof"].replace("\n", "\nextra eA==\n", 1))
    ),
    "no proof": _rewritten(lambda said: said.pop("proof")),
    "twice": lambda content: content * 2,
    "nothing": lambda content: b"",
    "no end of line": lambda content: content[:-1],
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_change_that_is_not_the_logs_own_is_refused(
    bundles: Bundles, check: Verify, tmp_path: Path, name: str
) -> None:
    content = unpacked(bundles.after.read_bytes())[ROTATIONS]
    forged = bent(bundles.after, tmp_path / "a", ROTATIONS, FORGERIES[name](content))

    for key in (bundles.first, bundles.second):
        code, said = check(forged, key)
        assert (code, ROTATIONS in said) == (1, True), said


def test_the_page_says_the_same(bundles: Bundles, chromium: Browser, tmp_path: Path) -> None:
    page = chromium.new_context(offline=True).new_page()
    (tmp_path / "verify.html").write_text(verifier_page())
    page.goto((tmp_path / "verify.html").as_uri())
    content = unpacked(bundles.after.read_bytes())[ROTATIONS]
    cases = [(one, key, "HOLDS") for one in (bundles.after, bundles.again) for key in (bundles.first, bundles.second)]
    cases += [(bundles.after, fingerprint(bundles.first), "HOLDS"), (bundles.before, bundles.second, "DOES NOT HOLD")]
    cases += [(bundles.after, bundles.stranger, "DOES NOT HOLD")]
    for number, forge in enumerate(FORGERIES.values()):
        forged = bent(bundles.after, tmp_path / str(number), ROTATIONS, forge(content))
        cases.append((forged, bundles.first, f"DOES NOT HOLD  {ROTATIONS}"))

    for bundle, key, verdict in cases:
        page.locator("#bundle").set_input_files(bundle)
        page.locator("#key").fill(key)
        page.get_by_role("button", name="Check").click()
        expect(page.locator(".verdict")).not_to_have_text("Checking …")
        said = page.locator(".verdict").inner_text().replace("\u00a0", " ")
        assert " ".join(said.split()).startswith(" ".join(verdict.split())), (bundle.name, said)
