"""verify.html: opened from a disk in a browser, it says of a bundle what verify.py says."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from governance.evidence.packing import pack
from governance.evidence.verifier import checking
from governance.evidence.verifier.container import CannotLook, DoesNotHold, open_bundle
from governance.evidence.verifier.source import VERIFY_PAGE
from governance.ledger.notes import Signer
from tests.evidence.issued import Issued

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("browser")]
OTHER = Signer.generate("example.com/ledger").verifier_key
R03 = "reports/R03_access_changes.csv"


@pytest.fixture
def page(chromium: Browser) -> Page:
    """The page as an auditor opens it, who is offline; anything it would ask of the network fails the test."""
    context = chromium.new_context(offline=True)
    opened = context.new_page()
    opened.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    opened.goto(VERIFY_PAGE.as_uri())
    return opened


def verdict(page: Page, bundle: Path, key: str) -> str:
    page.locator("#bundle").set_input_files(bundle)
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Check").click()
    said = page.locator(".verdict")
    expect(said).not_to_have_text("Checking …")
    return said.inner_text()


def plain(text: str) -> str:
    """Return the text as a page shows it: spaces that follow each other are one."""
    return " ".join(text.split())


def by_script(bundle: Path, key: str) -> str:
    """Return how verify.py begins: its verdict, and the record that does not hold."""
    try:
        checking.verify(open_bundle(bundle), key, None)
    except DoesNotHold as error:
        return f"DOES NOT HOLD  {error.record}:"
    except CannotLook:
        return "COULD NOT LOOK"
    return "HOLDS"


def test_a_bundle_as_issued_holds_with_the_pinned_key(page: Page, issued: Issued, tmp_path: Path) -> None:
    bundle = issued.save(tmp_path / "b.zip")

    for key in (issued.key, issued.fingerprint):
        assert verdict(page, bundle, key).startswith("HOLDS")
        assert "Checked with the key you gave." in page.locator("#result").inner_text()
    assert verdict(page, bundle, "").startswith("HOLDS")
    assert issued.fingerprint in page.locator("#result").inner_text()
    assert "NOT PINNED" in page.locator("#result").inner_text()


def test_it_is_in_every_bundle(issued: Issued) -> None:
    with zipfile.ZipFile(io.BytesIO(issued.packed)) as packed:
        assert packed.read("verify/verify.html") == VERIFY_PAGE.read_bytes()


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def _swap_rows(content: bytes) -> bytes:
    head, first, second, *rest = content.splitlines(keepends=True)
    return b"".join([head, second, first, *rest])


ATTACKS: dict[str, Callable[[Path], None]] = {
    "a cell": _edit(R03, lambda content: content.replace(b"Ada", b"Eve", 1)),
    "a row less": _edit(R03, lambda content: b"".join(content.splitlines(keepends=True)[:-1])),
    "a row more": _edit(R03, lambda content: content + content.splitlines(keepends=True)[-1]),
    "rows in another order": _edit(R03, _swap_rows),
    "an entry": _edit("ledger/entries.ndjson", lambda content: content.replace(b"grant", b"grunt", 1)),
    "a proof": _edit("ledger/proofs/manifest.tlog-proof", lambda content: content.replace(b"index ", b"index 1", 1)),
    "a signature": _edit("ledger/checkpoint", lambda content: content[:-9] + b"AAAA" + content[-5:]),
    "the pinned head": _edit("ledger/pinned_checkpoint", lambda content: content.replace(b"=\n\n", b"E=\n\n", 1)),
    "a leaf": _edit("ledger/leaves.bin", lambda content: b"\x00" + content[1:]),
    "the manifest": _edit("manifest.json", lambda content: content.replace(b"UTC", b"CET", 1) + b" "),
    "the sums": _edit("SHA256SUMS", lambda content: content[1:]),
    "a file more": lambda folder: (folder / "reports" / "R99.csv").write_text("row_no\n") and None,
    "a file less": lambda folder: (folder / "README.txt").unlink(),
    "a workbook": _edit("reports/R03_access_changes.xlsx", lambda content: content[:-1] + b"\x01"),
    "keys that are none": lambda folder: (folder / "ledger" / "keys.json").write_text(
        json.dumps({"rotations": [{"body": "{}", "proof": ""}]}, separators=(",", ":"))
    ) and None,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_is_named_as_verify_py_names_it(
    page: Page, issued: Issued, tmp_path: Path, attack: str
) -> None:
    folder = issued.unpack(tmp_path / "bundle")
    ATTACKS[attack](folder)
    pack(folder, tmp_path / "b.zip")

    expected = by_script(tmp_path / "b.zip", issued.key)

    assert expected.startswith("DOES NOT HOLD"), attack
    assert verdict(page, tmp_path / "b.zip", issued.key).startswith(plain(expected))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content + b"more",
        lambda content: content.replace(b"README.txt", b"/EADME.txt"),
        lambda content: content[:10] + b"\x01" + content[11:],
        lambda content: b"not a zip",
    ],
    ids=["cut", "longer", "an absolute path", "a header", "no zip"],
)
def test_a_container_that_is_not_as_it_was_packed_is_refused(
    page: Page, issued: Issued, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "b.zip").write_bytes(change(issued.packed))

    expected = by_script(tmp_path / "b.zip", issued.key)

    assert not expected.startswith("HOLDS")
    assert verdict(page, tmp_path / "b.zip", issued.key).startswith(expected.split("  ")[0])


def test_a_foreign_key_is_refused(page: Page, issued: Issued, tmp_path: Path) -> None:
    bundle = issued.save(tmp_path / "b.zip")

    assert "not signed by the key you pinned" in verdict(page, bundle, OTHER)
    assert "not the one you pinned" in verdict(page, bundle, "ab" * 32)
    assert verdict(page, bundle, "nonsense").startswith("COULD NOT LOOK")
