"""From the invitation to a bundle that holds, in a real browser, and nothing else of Gatehouse on the way."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, expect

from governance.core.clock import now
from governance.engagements import asking, inviting, opening, sampling
from governance.engagements.models import Engagement
from governance.evidence import building
from governance.identity.models import Person
from governance.ledger.models import Entry, Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests import cast
from tests.cast import acting
from tests.evidence.issued import tell_the_story
from tests.web.conftest import Open
from tests.web.page_check import what_is_wrong

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: What an auditor may need from the link to the file.
MOST_CLICKS = 10
WORDS = "a few words in a row"


@pytest.fixture
def signer() -> Signer:
    return Signer.generate("gatehouse.example.com/ledger")


@pytest.fixture
def audit(sam: Person, signer: Signer) -> Engagement:
    """An audit of the spring, over a story that is sealed."""
    tell_the_story()
    seal_everything(signer=signer)
    return opening.open_engagement(
        "SOC 2, spring 2026", "soc2", first="2026-03-01", last="2026-05-31", zone="UTC",
        ends_on=now().date() + timedelta(days=30), actor=acting(sam),
    )  # fmt: skip


@pytest.fixture
def working(signer: Signer) -> Iterator[None]:
    """Seal and build, as the sequencer and a worker do, while the test goes on."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.2):
            seal_everything(signer=signer)
            building.advance_due()
        connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(30)


@pytest.mark.timeout(180)
def test_from_the_invitation_to_a_bundle_that_holds_in_ten_clicks(
    audit: Engagement, sam: Person, signer: Signer, working: None, chromium: Browser, reader: Open,
    live_server: Any, tmp_path: Path,
) -> None:  # fmt: skip
    host = reader(sam).open(f"/engagements/{audit.ref}/")
    host.get_by_label("Name", exact=True).fill("Hannah Vogt")
    host.get_by_label("E-mail").fill("hannah@audit.example")
    host.get_by_role("button", name="Invite").click()
    link = host.locator("#invitation-link").inner_text()

    clicks = 1
    page = chromium.new_context(accept_downloads=True, timezone_id="Europe/Berlin").new_page()
    page.goto(link)
    page.get_by_label("Password", exact=True).fill(WORDS)
    page.get_by_label("Password again").fill(WORDS)
    page.get_by_role("button", name="Begin").click()
    clicks += 1
    expect(page.get_by_role("heading", level=1)).to_have_text("SOC 2, spring 2026")
    expect(page.get_by_text("Read only until")).to_be_visible()
    page.get_by_role("button", name="Build the bundle").click()
    clicks += 1
    expect(page.get_by_text("The bundle is ready", exact=True).first).to_be_visible(timeout=90_000)
    with page.expect_download() as download:
        page.locator("#bundle").get_by_role("button", name="Download").click()
    clicks += 1
    file = tmp_path / "bundle.zip"
    download.value.save_as(file)
    with zipfile.ZipFile(file) as packed:
        packed.extract("verify/verify.py", tmp_path)

    verdict = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "verify/verify.py"), str(file), "--key", signer.verifier_key],
        capture_output=True, text=True, cwd=tmp_path, env={}, check=False,
    )  # fmt: skip
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert clicks <= MOST_CLICKS
    recorded = set(Entry.objects.values_list("event", flat=True))
    assert {"guest.invited", "invitation.accepted", "login.succeeded", "evidence.requested"} <= recorded


@pytest.mark.timeout(180)
def test_the_auditor_counts_samples_and_sees_what_stands_behind_a_row(
    audit: Engagement, sam: Person, reader: Open
) -> None:
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    one = reader(guest)
    page = one.open(f"/engagements/{audit.ref}/")

    page.get_by_role("link", name=re.compile("^5. Everybody who left")).click()
    page.get_by_role("button", name="Count the population").click()
    expect(page.get_by_role("heading", name="1 row, 1 to look at")).to_be_visible()
    page.get_by_label("Seed").fill("2026-7")
    page.get_by_role("spinbutton", name="Rows").fill("1")
    page.get_by_role("button", name="Take a sample").click()
    page.get_by_role("link", name=re.compile("what stands behind it")).click()
    expect(page.get_by_text("Mallory Grey left; everything they had ends")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile("^Proof of entry")).first.click()

    assert "c2sp.org/tlog-proof" in Path(download.value.path()).read_text()
    assert one.complaints == []


@pytest.mark.timeout(240)
def test_the_pages_are_accessible_quiet_and_narrow(audit: Engagement, sam: Person, reader: Open) -> None:
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    asked = audit.requests.get(report="R03")
    population = sampling.take_population(asked, actor=acting(sam))
    asking.answer(asked, "Here it is. " * 40, population=population, actor=acting(sam))
    sample = sampling.take_sample(population, "a seed of the auditor that is rather long", 2, actor=acting(guest))
    opening.build_bundle(audit, actor=acting(sam))
    _, token = inviting.invite(audit, "hannah@audit.example", "Hannah Vogt", actor=acting(sam))
    row = sampling.rows_of(sample).rows[0]["row_no"]
    here = f"/engagements/{audit.ref}/"
    request = f"{here}requests/{asked.number}/"
    seen = ["/engagements/", here, request, f"{request}samples/{sample.pk}/", f"{request}samples/{sample.pk}/{row}/"]

    wrong = what_is_wrong(reader(guest), [*seen, "/settings/"])
    wrong += what_is_wrong(reader(sam), [here, request, "/engagements/new/"])
    wrong += what_is_wrong(reader(None), [f"/invitations/{token}/"])

    assert wrong == []


def test_a_guest_opens_nothing_but_their_audits(audit: Engagement, sam: Person) -> None:
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    other = opening.open_engagement(
        "Another", "soc2", first="2026-03-01", last="2026-03-31", zone="UTC",
        ends_on=now().date() + timedelta(days=30), actor=acting(sam),
    )  # fmt: skip
    client = Client()
    client.force_login(guest)

    assert client.get("/").headers["Location"] == "/engagements/"
    assert client.get(f"/engagements/{audit.ref}/").status_code == 200
    for path in ("/access/", "/people/", "/evidence/", "/ledger/", "/matrix/", f"/engagements/{other.ref}/"):
        assert client.get(path).status_code == 403, path
    before = Pending.objects.filter(body__event="engagement.refused").count()
    for path in ("requests/new/", "build/", "requests/1/population/"):
        assert client.post(f"/engagements/{other.ref}/{path}", {"wording": "All."}).status_code == 403
    assert Pending.objects.filter(body__event="engagement.refused").count() == before + 3
    opening.close(audit, actor=acting(sam))
    answer = client.get(f"/engagements/{audit.ref}/")
    assert (answer.status_code, "has ended" in answer.content.decode()) == (403, True)


def test_a_guest_signs_in_and_out_like_anybody(audit: Engagement, sam: Person, signer: Signer, reader: Open) -> None:
    _, token = inviting.invite(audit, "hannah@audit.example", "Hannah Vogt", actor=acting(sam))
    inviting.accept(token, password=WORDS, actor=cast.TESTING)
    one = reader(None)
    page = one.open("/")

    page.get_by_label("E-mail").fill("Hannah@audit.example")
    page.get_by_label("Password").fill(WORDS)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Audits")
    expect(page.get_by_role("link", name="Request access")).to_have_count(0)
    page.goto("/settings/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert one.complaints == []
