"""Evidence: the preview, asking for a bundle, its card, the download."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from pytest_django import DjangoAssertNumQueries

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.evidence.models import BundleState, EvidenceBundle
from governance.identity.models import Person
from governance.ledger.models import Checkpoint, Pending
from governance.web.assure.evidence import last_quarter
from tests.web import stories
from tests.web.conftest import SignedIn

HTMX = {"HX-Request": "true"}


def asked(**change: str) -> dict[str, str]:
    """Return a period that is over."""
    end = (now() - timedelta(days=1)).date()
    period = {"framework": "soc2", "from": str(end - timedelta(days=30)), "to": str(end), "zone": "Europe/Berlin"}
    return period | change


@pytest.fixture
def bundle(audrey: Person, signed_in: SignedIn) -> EvidenceBundle:
    """A bundle that Audrey asked for."""
    signed_in(audrey).post("/evidence/build/", asked())
    return EvidenceBundle.objects.get()


@pytest.fixture
def ready(bundle: EvidenceBundle, settings: Any, tmp_path: Path) -> EvidenceBundle:
    """The bundle once it is built."""
    settings.BUNDLE_DIR = tmp_path
    content = ContentFile(b"a zip").read()
    (tmp_path / "bundle.zip").write_bytes(content)
    EvidenceBundle.objects.filter(pk=bundle.pk).update(
        state=BundleState.READY,
        file_name="bundle.zip",
        sha256="ab" * 32,
        size=len(content),
        ready_at=now(),
        ledger_size=7,
    )
    bundle.refresh_from_db()
    return bundle


def test_without_a_period_the_last_quarter_is_offered(audrey: Person, signed_in: SignedIn) -> None:
    page = signed_in(audrey).get("/evidence/").content.decode()

    assert "No period chosen" in page
    first, last = last_quarter(now().date())
    assert f"from={first}" in page
    assert f"to={last}" in page


@pytest.mark.parametrize(
    ("today", "quarter"),
    [("2026-11-25", ("2026-07-01", "2026-09-30")), ("2026-01-01", ("2025-10-01", "2025-12-31"))],
)
def test_the_last_quarter_is_the_whole_one_before_this(today: str, quarter: tuple[str, str]) -> None:
    year, month, day = map(int, today.split("-"))

    assert tuple(map(str, last_quarter(type(now().date())(year, month, day)))) == quarter


def test_the_preview_counts_before_anything_is_built(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Callable[[], int], signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.give(ada, analyst)
    seal()
    client = signed_in(audrey)

    with django_assert_max_num_queries(12):
        page = client.get("/evidence/", asked(to=str(now().date()), zone="UTC")).content.decode()

    assert "CC6.1" in page
    assert "Access changes</a>: 1 row" in page
    assert "The period is not over." in page
    assert not EvidenceBundle.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from": "2026-02-30"}, "Write the day as"),
        ({"from": "2999-01-01", "to": "2999-02-01"}, "future"),
        ({"to": "2001-01-01"}, "lies before"),
        ({"zone": "Mars/Olympus"}, "is not a time zone"),
        ({"framework": "iso9000"}, "Select a valid choice"),
    ],
    ids=["no such day", "in the future", "reversed", "unknown zone", "unknown framework"],
)
def test_a_wrong_period_is_refused_at_its_field(
    change: dict[str, str], said: str, audrey: Person, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)

    for answer in (client.get("/evidence/", asked(**change)), client.post("/evidence/build/", asked(**change))):
        assert answer.status_code == 422
        assert said in answer.content.decode()
    assert not EvidenceBundle.objects.exists()


def test_asking_answers_with_a_card_that_asks_again_by_itself(audrey: Person, signed_in: SignedIn) -> None:
    page = signed_in(audrey).post("/evidence/build/", asked(), headers=HTMX).content.decode()

    made = EvidenceBundle.objects.get()
    assert f'hx-get="/evidence/{made.ref}/"' in page
    assert 'hx-trigger="every 1s"' in page
    assert "<progress" in page


def test_asking_works_without_script(audrey: Person, signed_in: SignedIn) -> None:
    answer = signed_in(audrey).post("/evidence/build/", asked())

    assert (answer.status_code, answer.url) == (302, f"/evidence/{EvidenceBundle.objects.get().ref}/")


def test_the_card_of_a_ready_bundle_stops_asking(audrey: Person, ready: EvidenceBundle, signed_in: SignedIn) -> None:
    page = signed_in(audrey).get(f"/evidence/{ready.ref}/", headers=HTMX).content.decode()

    assert "hx-trigger" not in page
    assert "ab" * 32 in page
    assert "The bundle is ready" in page


def test_a_bundle_is_downloaded_and_that_is_recorded(
    audrey: Person, ready: EvidenceBundle, signed_in: SignedIn
) -> None:
    client = signed_in(audrey)
    assert client.get(f"/evidence/{ready.ref}/download/").status_code == 405

    answer: Any = client.post(f"/evidence/{ready.ref}/download/")

    assert b"".join(answer.streaming_content) == b"a zip"
    assert ready.suggested_name in answer["Content-Disposition"]
    assert Pending.objects.filter(body__event="evidence.downloaded", body__actor__ref=str(audrey.ref)).count() == 1


def test_a_bundle_that_is_not_ready_is_not_handed_out(
    audrey: Person, bundle: EvidenceBundle, signed_in: SignedIn
) -> None:
    answer = signed_in(audrey).post(f"/evidence/{bundle.ref}/download/")

    assert answer.status_code == 409
    assert "not ready yet" in answer.content.decode()


def test_a_failed_bundle_says_why_and_is_tried_again(
    audrey: Person, bundle: EvidenceBundle, signed_in: SignedIn
) -> None:
    EvidenceBundle.objects.update(state=BundleState.FAILED, last_error="The disk is full.")
    client = signed_in(audrey)
    assert "The disk is full." in client.get(f"/evidence/{bundle.ref}/").content.decode()

    client.post(f"/evidence/{bundle.ref}/retry/", headers=HTMX)

    bundle.refresh_from_db()
    assert bundle.state == BundleState.QUEUED


@pytest.mark.parametrize("who", ["ada", "linus"])
def test_evidence_is_for_auditors_and_administrators(
    who: str, request: pytest.FixtureRequest, analyst: Entitlement, ready: EvidenceBundle, signed_in: SignedIn
) -> None:
    client = signed_in(request.getfixturevalue(who))

    assert client.get("/evidence/").status_code == 403
    assert client.get(f"/evidence/{ready.ref}/").status_code == 403
    for what in ("build", f"{ready.ref}/download", f"{ready.ref}/retry", f"{ready.ref}/late-facts"):
        assert client.post(f"/evidence/{what}/", asked()).status_code == 403


def test_the_same_is_asked_again_with_what_became_known_since(
    audrey: Person, ready: EvidenceBundle, signed_in: SignedIn
) -> None:
    head = Checkpoint.objects.create(size=7, root=b"r" * 32, note="log\n7\n", at=now())
    client = signed_in(audrey)
    assert "what became known since" in client.get(f"/evidence/{ready.ref}/").content.decode()

    answer = client.post(f"/evidence/{ready.ref}/late-facts/")

    later = EvidenceBundle.objects.exclude(pk=ready.pk).get()
    assert answer.url == f"/evidence/{later.ref}/"
    assert (later.since_known_at, later.since_ledger_size) == (ready.known_at, head.size)
    assert (later.first_day, later.last_day, later.zone) == (ready.first_day, ready.last_day, ready.zone)


def test_what_became_known_is_shown_report_by_report(
    audrey: Person, ready: EvidenceBundle, signed_in: SignedIn, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    counted = {"id": "R05", "title": "Leavers", "came": 2, "went": 0, "changed": 1}
    quiet = {"id": "R06", "title": "Movers", "came": 0, "went": 0, "changed": 0}
    EvidenceBundle.objects.filter(pk=ready.pk).update(
        since_known_at=now(), since_ledger_size=5, summary={"late_facts": {"reports": [counted, quiet]}}
    )
    client = signed_in(audrey)

    with django_assert_max_num_queries(12):
        page = client.get(f"/evidence/{ready.ref}/").content.decode()

    assert "R05 Leavers" in page
    assert "R06 Movers" not in page
    EvidenceBundle.objects.filter(pk=ready.pk).update(summary={"late_facts": {"reports": [quiet]}})
    assert "every report has the same rows" in client.get(f"/evidence/{ready.ref}/").content.decode()


def test_hostile_words_stay_text_among_evidence(audrey: Person, signed_in: SignedIn) -> None:
    page = signed_in(audrey).get("/evidence/", asked(zone=stories.HOSTILE)).content.decode()

    assert "<img" not in page


def test_a_report_is_looked_at_narrowed_and_sampled_before_anything_is_built(
    ada: Person, audrey: Person, analyst: Entitlement, seal: Callable[[], int], signed_in: SignedIn,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    stories.give(ada, analyst)
    seal()
    client = signed_in(audrey)
    period = asked(to=str(now().date()), zone="UTC")

    with django_assert_max_num_queries(12):
        page = client.get("/evidence/reports/r03/", period)
    assert page.status_code == 200
    assert "Ada Lovelace" in page.content.decode()
    assert "started" in page.content.decode()

    sampled = client.get("/evidence/reports/r03/", period | {"seed": "7", "n": "1"}).content.decode()
    assert "chosen by the seed “7”" in sampled
    nothing = client.get("/evidence/reports/r03/", period | {"application": "other"}).content.decode()
    assert "found no row" in nothing
    wrong = client.get("/evidence/reports/r03/", period | {"seed": "7", "n": "9999"})
    assert wrong.status_code == 422
    assert client.get("/evidence/reports/r99/").status_code == 404
    assert "Sample with the seed" in client.get("/evidence/reports/r05/").content.decode()
