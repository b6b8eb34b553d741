"""Audits by script: opened and answered by the company, read and judged by a guest, who reaches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.core.clock import now
from governance.engagements import opening
from governance.engagements.models import Engagement
from governance.evidence.models import BundleState, EvidenceBundle
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from tests import cast
from tests.api.conftest import As
from tests.cast import acting
from tests.evidence.issued import APRIL, tell_the_story

OPENED = {
    "name": "SOC 2 for March", "framework": "soc2", "first_day": "2026-03-01", "last_day": "2026-03-31",
    "ends_on": "2026-04-30",
}  # fmt: skip
LEAVERS = 5


@pytest.fixture
def signer() -> Signer:
    return Signer.generate("gatehouse.example.com/ledger")


@pytest.fixture
def audit(db: None, sam: Person, signer: Signer) -> Iterator[Engagement]:
    """An audit of March, opened in April, when what happened is sealed; and the test goes on then."""
    tell_the_story()
    with time_machine.travel(APRIL, tick=False):
        seal_everything(signer=signer)
        days = {"first": OPENED["first_day"], "last": OPENED["last_day"], "zone": "UTC"}
        ends_on = APRIL.date() + timedelta(days=20)
        yield opening.open_engagement("SOC 2", "soc2", **days, ends_on=ends_on, actor=acting(sam))


@pytest.fixture
def gil(audit: Engagement) -> Person:
    """The auditor from outside, who came."""
    guest = cast.be_guest("Gil Outside")
    cast.let_in(audit, guest)
    return guest


def events() -> list[str]:
    return [body["event"] for body in Pending.objects.order_by("id").values_list("body", flat=True)]


def test_the_company_opens_invites_extends_and_ends(audit: Engagement, sam: Person, audrey: Person, as_: As) -> None:
    script = as_(sam)

    made = script.post("engagements/", OPENED).json()
    here = f"engagements/{made['ref']}/"
    invited = script.post(f"{here}guests/", name="Hannah Vogt", email="hannah@audit.example")
    shown = as_(audrey).get(here).json()
    withdrawn = script.post(f"{here}guests/{invited.json()['guest']['id']}/withdraw/")
    extended = script.post(f"{here}extend/", ends_on="2026-05-31")
    closed = script.post(f"{here}close/")
    again = script.post(f"{here}close/")

    assert (made["requests"], made["requests_waiting"], made["zone"], made["applications"]) == (23, 23, "UTC", [])
    assert (made["ends_at"], made["has_ended"]) == ("2026-05-01T00:00:00Z", False)
    assert (invited.status_code, "/invitations/" in invited.json()["link"]) == (201, True)
    assert [one["email"] for one in shown["guests"]] == ["hannah@audit.example"]
    assert [one["name"] for one in as_(audrey).get(f"{here}guests/").json()["results"]] == ["Hannah Vogt"]
    assert withdrawn.json()["withdrawn_at"] is not None
    assert extended.json()["ends_at"] == "2026-06-01T00:00:00Z"
    assert (closed.json()["has_ended"], again.status_code) == (True, 409)
    assert [one for one in events() if one.startswith(("engagement.", "guest."))][1:] == [
        "engagement.opened", "guest.invited", "guest.withdrawn", "engagement.extended", "engagement.closed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"last_day": "2026-02-01"}, "last_day"),
        ({"first_day": "soon"}, "first_day"),
        ({"zone": "Mars/Base"}, "zone"),
        ({"framework": "gdpr"}, "framework"),
        ({"applications": ["nothing"]}, "applications"),
        ({"ends_on": "2026-04-01"}, "ends_on"),
        ({"ends_on": "9999-12-31"}, "ends_on"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_by_name(
    changes: dict[str, Any], field: str, audit: Engagement, sam: Person, as_: As
) -> None:
    answer = as_(sam).post("engagements/", {**OPENED, **changes})

    assert answer.status_code == 422, answer.content
    assert [one["field"].split(".")[0] for one in answer.json()["errors"]] == [field]


def test_a_guest_counts_samples_and_opens_what_stands_behind_a_row(
    audit: Engagement, gil: Person, signer: Signer, as_: As
) -> None:
    script, here = as_(gil), f"engagements/{audit.ref}/requests/{LEAVERS}/"

    taken = script.post(f"{here}populations/").json()
    sample = script.post(f"{here}populations/{taken['id']}/samples/", seed="2026-7", n=3).json()
    row_no = sample["rows"][0]["row_no"]
    behind = f"{here}samples/{sample['id']}/rows/{row_no}/"
    item = script.get(behind).json()
    proof = script.post(f"{behind}proofs/{item['entries'][0]['index']}/")
    foreign = script.post(f"{behind}proofs/0/")

    assert (taken["report"], taken["rows"], taken["exceptions"], len(taken["sha256"])) == ("R05", 1, 1, 64)
    assert script.get(f"{here}samples/{sample['id']}/").json()["rows"] == sample["rows"]
    assert script.get(f"{here}populations/").json()["results"][0]["samples"][0]["seed"] == "2026-7"
    assert item["entries"][0]["event"] == "person.joined"
    assert item["row"]["row_no"] == row_no
    assert proof.content.decode().startswith("c2sp.org/tlog-proof")
    assert foreign.status_code == 403
    assert events()[-5:] == [
        "population.taken", "sample.taken", "sample.item_read", "log.read", "engagement.refused",
    ]  # fmt: skip


def test_a_request_goes_back_and_forth(audit: Engagement, gil: Person, sam: Person, as_: As) -> None:
    host, guest, here = as_(sam), as_(gil), f"engagements/{audit.ref}/requests/"

    asked = guest.post(here, wording="Who is on call?", due_on="2026-04-20")
    thread = f"{here}{asked.json()['number']}/"
    early = guest.post(f"{thread}accept/")
    host.post(f"{thread}thread/", text="We look.")
    answered = host.post(f"{thread}answer/", text="Grace is.")
    flagged = guest.post(f"{thread}flag/", text="And at night?")
    waiting = host.get(here, state="flagged").json()["results"]
    host.post(f"{thread}answer/", text="Linus.")
    accepted = guest.post(f"{thread}accept/", text="Thank you.")

    assert (asked.status_code, asked.json()["number"], asked.json()["due_on"]) == (201, 24, "2026-04-20")
    assert (early.status_code, answered.json()["state"], flagged.json()["state"]) == (409, "answered", "flagged")
    assert [one["number"] for one in waiting] == [24]
    assert accepted.json()["state"] == "accepted"
    said = guest.get(f"{thread}thread/").json()["results"]
    assert [(one["kind"], one["by"]["display_name"]) for one in said] == [
        ("said", "Sam Okoro"), ("answered", "Sam Okoro"), ("flagged", "Gil Outside"),
        ("answered", "Sam Okoro"), ("accepted", "Gil Outside"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "body", "field"),
    [
        ("answer/", {}, "text"),
        ("answer/", {"population": 999999}, "population"),
        ("answer/", {"bundle": "3f8b6a4e-1111-4222-8333-444455556666"}, "bundle"),
        ("thread/", {"text": " "}, "text"),
        ("populations/", {"n": 1}, "n"),
    ],
)
def test_an_answer_names_what_is_wrong(
    address: str, body: dict[str, Any], field: str, audit: Engagement, sam: Person, as_: As
) -> None:
    answer = as_(sam).post(f"engagements/{audit.ref}/requests/{LEAVERS}/{address}", body)

    assert answer.status_code == 422, answer.content
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_population_answers_and_only_auditors_sample(audit: Engagement, sam: Person, gil: Person, as_: As) -> None:
    here = f"engagements/{audit.ref}/requests/{LEAVERS}/"
    taken = as_(sam).post(f"{here}populations/").json()
    samples = f"{here}populations/{taken['id']}/samples/"

    answered = as_(sam).post(f"{here}answer/", population=taken["id"])
    refused = as_(sam).post(samples, seed="7", n=1)
    wrong = as_(gil).post(samples, seed="", n=0)

    assert (answered.json()["state"], refused.status_code) == ("answered", 403)
    assert {one["field"] for one in wrong.json()["errors"]} == {"seed", "n"}
    assert as_(gil).get(f"{here}thread/").json()["results"][0]["population"] == taken["id"]


def test_a_guest_takes_the_bundle_of_their_audit(
    audit: Engagement, gil: Person, as_: As, settings: Any, tmp_path: Path
) -> None:
    settings.BUNDLE_DIR = tmp_path
    script, here = as_(gil), f"engagements/{audit.ref}/bundles/"
    made = script.post(here).json()
    early = script.post(f"{here}{made['ref']}/download/")
    (tmp_path / "made.zip").write_bytes(b"PK")
    EvidenceBundle.objects.update(
        state=BundleState.READY, file_name="made.zip", size=2, sha256="0" * 64, ready_at=now()
    )

    file = script.post(f"{here}{made['ref']}/download/")

    assert (early.status_code, script.get(f"{here}{made['ref']}/").json()["state"]) == (409, "ready")
    assert b"".join(file.streaming_content) == b"PK"
    assert [one["ref"] for one in script.get(here).json()["results"]] == [made["ref"]]
    assert script.post(f"{here}{made['ref']}/retry/").status_code == 409
    assert events()[-1] == "evidence.downloaded"


def test_a_guest_reaches_only_their_own_audit_in_time_and_each_refusal_is_recorded(
    audit: Engagement, gil: Person, sam: Person, as_: As
) -> None:
    script, host = as_(gil), as_(sam)
    other = host.post("engagements/", OPENED).json()["ref"]
    own = script.get(f"engagements/{audit.ref}/")

    calls = [script.get(f"engagements/{other}/"), script.get(f"engagements/{other}/requests/1/thread/")]
    calls += [script.post(f"engagements/{other}/{path}", body) for path, body in (
        ("requests/", {"wording": "All."}), ("bundles/", {}), ("requests/1/populations/", {}),
    )]  # fmt: skip

    assert (own.status_code, own.json()["guests"]) == (200, None)
    assert [one["ref"] for one in script.get("engagements/").json()["results"]] == [str(audit.ref)]
    assert {one.status_code for one in calls} == {403}
    assert events().count("engagement.refused") == len(calls)
    host.post(f"engagements/{audit.ref}/close/")
    assert "has ended" in script.get(f"engagements/{audit.ref}/").json()["detail"]


def test_a_list_costs_the_same_however_long_it_is(audit: Engagement, audrey: Person, sam: Person, as_: As) -> None:
    script, here = as_(audrey), f"engagements/{audit.ref}/requests/"
    paths = ["engagements/", here, f"{here}1/thread/", f"{here}1/populations/", f"engagements/{audit.ref}/guests/"]

    def cost() -> list[int]:
        counts = []
        for path in paths:
            with CaptureQueriesContext(
                connection,
            ) as seen:
                assert script.get(path).status_code == 200
            counts.append(len(seen))
        return counts

    host = as_(sam)
    script.get("me/")
    for number in range(2):
        if number:
            before = cost()
        host.post("engagements/", OPENED)
        host.post(f"engagements/{audit.ref}/guests/", name="Guest", email=f"guest{number}@audit.example")
        host.post(f"{here}1/thread/", text="Again.")
        host.post(f"{here}1/populations/")

    assert cost() == before


def test_a_token_is_made_for_a_guest_and_is_worth_nothing_after_the_audit(
    audit: Engagement, gil: Person, sam: Person, as_: As, capsys: Any
) -> None:
    call_command("api_token", "create", "job", "--for", gil.email, "--scope", "read")
    token = capsys.readouterr().out.strip().splitlines()[-1]
    script = type(as_(None))(token)

    assert script.get(f"engagements/{audit.ref}/").status_code == 200
    assert script.post(f"engagements/{audit.ref}/requests/", wording="All.").status_code == 403
    with time_machine.travel(audit.ends_at):
        assert now() >= audit.ends_at
        assert script.get(f"engagements/{audit.ref}/").status_code == 403
