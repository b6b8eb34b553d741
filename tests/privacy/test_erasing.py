"""Erasure: after it no copy of the name is anywhere, and every old proof still verifies. Holds keep, two release."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Q

from governance.access import deciding, requests
from governance.access.recomputing import recomputed
from governance.catalog.models import Application, Entitlement
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.evidence import actions as evidence
from governance.evidence import building
from governance.evidence.models import BundleState, EvidenceBundle
from governance.identity.models import Person
from governance.ledger.models import Pending, SubjectKey
from governance.ledger.notes import Signer
from governance.ledger.queries import disclosed, entries
from governance.ledger.recording import Subject
from governance.ledger.sequencer import seal_pending
from governance.ledger.verification import Request, verify
from governance.lifecycle import actions as lifecycle
from governance.notices import reading
from governance.privacy import erasing, legal_holds, retaining
from governance.privacy.models import Erasure, ErasureState
from governance.provisioning.models import Account, Operation, OperationState
from tests import cast
from tests.cast import TESTING, acting
from tests.evidence.issued import APRIL, MARCH

NAME, ADDRESS = "Zenobia Quartermain", "zenobia.quartermain@halden.example"
WORDS = ("zenobia", "quartermain")
REASON = "My daughter is ill and Zenobia Quartermain needs to work from home."


@pytest.fixture
def signer() -> Signer:
    return Signer.generate("gatehouse.example.com/ledger")


@pytest.fixture
def zenobia(db: None, signer: Signer, request: pytest.FixtureRequest) -> Person:
    """She joined, asked, was approved, was talked about, and left in March; all of it is sealed. Ask for her first."""
    with time_machine.travel(MARCH, tick=False) as clock:
        request.getfixturevalue("sam")
        linus, analyst = request.getfixturevalue("linus"), request.getfixturevalue("analyst")
        known = {"given_name": "Zenobia", "family_name": "Quartermain", "employee_number": "QM-004711"}
        person = cast.hire(NAME, user_name=ADDRESS, email=ADDRESS, external_id="idp-quartermain", **known)
        clock.shift(timedelta(hours=1))
        asked = requests.submit(person, analyst, cast.ask(reason=REASON), actor=acting(person))
        reader = cast.add_role(analyst.application, "Reader", stages=("security",))
        requests.submit(linus, reader, cast.ask(reason=f"As {NAME} has it."), actor=acting(linus))
        deciding.approve(asked, approver=linus, actor=acting(linus), reason=f"{NAME} may.")
        seal(signer)
        reading.read_on()
        clock.shift(timedelta(hours=1))
        with transaction.atomic():
            lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=TESTING, unlist=True)
        at = now()
        Operation.objects.update(state=OperationState.VERIFIED, delivered_at=at, verified_at=at)
        Account.objects.create(
            application=analyst.application, person=person, target_id=ADDRESS, user_name=ADDRESS, display_name=NAME,
            email=ADDRESS, first_seen_at=at, confirmed_at=at, gone_at=at, is_active=False,
        )  # fmt: skip
        seal(signer)
        reading.read_on()
        seal(signer)
    person.refresh_from_db()
    return person


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, settings: object) -> None:
    settings.BUNDLE_DIR = tmp_path / "bundles"  # type: ignore[attr-defined]
    settings.MAIL_DIR = tmp_path / "mail"  # type: ignore[attr-defined]


def seal(signer: Signer) -> None:
    while seal_pending(signer=signer):
        pass


def bundle(signer: Signer, sam: Person) -> EvidenceBundle:
    made = evidence.request_bundle("soc2", first="2026-03-01", last="2026-03-31", actor=acting(sam))
    for _ in range(10):
        seal(signer)
        building.advance(made.pk)
        made.refresh_from_db()
        if made.state == "ready":
            return made
    raise AssertionError(made.last_error)


def places_with(words: tuple[str, ...]) -> list[str]:
    """Return every column of every table that has one of the words in it, however it is stored."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, udt_name FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        for table, column, kind in cursor.fetchall():
            text = f"encode({column}, 'escape')" if kind == "bytea" else f'"{column}"::text'
            cursor.execute(f'SELECT count(*) FROM "{table}" WHERE {text} ~* %s', ["|".join(words)])
            if cursor.fetchone()[0]:
                found.append(f"{table}.{column}")
    return found


def files_with(words: tuple[str, ...], folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(word in path.read_bytes().decode("latin1").lower() for word in words)]


@pytest.mark.django_db(transaction=True)
def test_afterwards_no_copy_is_anywhere_and_every_proof_still_verifies(
    zenobia: Person, sam: Person, signer: Signer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with time_machine.travel(APRIL, tick=False):
        old = bundle(signer, sam)
        kept = tmp_path / "auditor" / "bundle.zip"
        kept.parent.mkdir()
        kept.write_bytes((Path(settings.BUNDLE_DIR) / old.file_name).read_bytes())
        mail = Path(settings.MAIL_DIR) / "one.eml"
        mail.parent.mkdir()
        mail.write_text(f"Subject: {NAME} asks for Analyst")
        before = places_with(WORDS)
        assert "identity_person.display_name" in before
        assert "ledger_disclosure.value" in before
        assert files_with(WORDS, Path(settings.BUNDLE_DIR))
        index = entries(about=Subject("person", str(zenobia.ref)), event="person.joined").entries[0].index

        erasure = erasing.ask(zenobia, "She asked for it, and nothing has to be kept.", actor=acting(sam))

        assert erasure.state == ErasureState.ERASED
        seal(signer)
        again = bundle(signer, sam)
        assert places_with(WORDS) == []
        assert files_with(WORDS, Path(settings.BUNDLE_DIR)) == []
        assert not mail.exists()
        assert not any(word in caplog.text.lower() for word in WORDS)
        assert b"Erased person" in (Path(settings.BUNDLE_DIR) / again.file_name).read_bytes()

    verify(Request())
    assert all(one.found.is_equal for one in recomputed())
    assert all(value is None for value in disclosed([index])[index].values())
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(kept), str(tmp_path / "out")], check=True)
    program = tmp_path / "out" / "verify" / "verify.py"
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(kept), "--key", signer.verifier_key],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.django_db(transaction=True)
def test_bundles_are_read_before_the_transaction_and_what_came_since_inside(
    zenobia: Person, sam: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(settings.BUNDLE_DIR)
    folder.mkdir()

    def ready(number: int, text: str) -> EvidenceBundle:
        (folder / f"{number}.zip").write_text(text)
        return EvidenceBundle.objects.create(
            framework="soc2", first_day="2026-03-01", last_day="2026-03-31", zone="UTC", known_at=now(), made_at=now(),
            leaver_sla_hours=24, freshness_hours=24, correlation_id="x",
            made_by_ref="x", state=BundleState.READY, file_name=f"{number}.zip", sha256=f"{number:064}",
            ledger_size=1, size=1, ready_at=now(), manifest_sha256="x",
        )  # fmt: skip

    read: list[tuple[str, bool]] = []
    honest, seen = erasing._names, [ready(1, f"She is {NAME}."), ready(2, "Nobody.")]

    def reading(path: Path, words: tuple[str, ...]) -> bool:
        read.append((path.name, connection.in_atomic_block))
        if path.name == "2.zip" and len(seen) == 2:
            seen.append(ready(3, f"Built meanwhile, of {NAME}."))
        return honest(path, words)

    monkeypatch.setattr(erasing, "_names", reading)

    erasing.ask(zenobia, "She asked for it.", actor=acting(sam))

    assert read == [("1.zip", False), ("2.zip", False), ("3.zip", True)]
    assert [EvidenceBundle.objects.get(pk=one.pk).state for one in seen] == ["failed", "ready", "failed"]


def test_the_secret_of_what_was_captured_is_gone(zenobia: Person, sam: Person) -> None:
    assert SubjectKey.objects.filter(subject_ref=str(zenobia.ref)).exists()

    erasing.ask(zenobia, "She asked for it.", actor=acting(sam))

    assert not SubjectKey.objects.filter(subject_ref=str(zenobia.ref)).exists()


def test_that_it_was_done_is_recorded_without_a_name(zenobia: Person, sam: Person) -> None:
    erasing.ask(zenobia, "She asked for it.", actor=acting(sam))

    (body,) = Pending.objects.filter(body__event="subject.erased").values_list("body", flat=True)
    assert body["subjects"] == [{"kind": "person", "ref": str(zenobia.ref)}]
    assert not any(word in json.dumps(body).lower() for word in WORDS)


def test_what_the_law_keeps_goes_on_its_day_and_not_before(zenobia: Person, sam: Person, signer: Signer) -> None:
    erasure = erasing.ask(zenobia, "She asked for it.", duty="HIPAA, 45 CFR 164.316(b)(2)(i)", actor=acting(sam))
    assert zenobia.left_at is not None
    assert (erasure.state, erasure.due_at) == (ErasureState.RESTRICTED, zenobia.left_at.replace(year=2033))
    seal(signer)

    assert erasing.erase_due(actor=TESTING) == 0
    with time_machine.travel(erasure.due_at, tick=False):
        assert erasing.erase_due(actor=TESTING) == 1

    zenobia.refresh_from_db()
    assert zenobia.display_name == "Erased person"


@pytest.mark.parametrize(
    ("hinder", "said"),
    [
        (lambda one: Person.objects.filter(pk=one.pk).update(status="active", left_at=None), "has not left"),
        (lambda one: Person.objects.filter(pk=one.pk).update(is_listed=True), "directory still lists them"),
        (lambda one: Account.objects.filter(person=one).update(gone_at=None), "still show an account"),
        (lambda one: Operation.objects.filter(person=one).update(state="ordered"), "on their way"),
    ],
)
def test_what_would_bring_it_back_is_in_the_way(
    hinder: Callable[[Person], object], said: str, zenobia: Person, sam: Person, signer: Signer
) -> None:
    hinder(zenobia)
    seal(signer)

    with pytest.raises(Conflict, match=said):
        erasing.ask(zenobia, "She asked for it.", actor=acting(sam))


def test_a_legal_hold_keeps_it_until_two_people_release_it(zenobia: Person, sam: Person, signer: Signer) -> None:
    hold = legal_holds.place("Case 12", "The court asked for it.", people=[zenobia], actor=acting(sam))
    other = cast.make_security_admin(cast.hire("Olga Other"))
    seal(signer)
    with pytest.raises(Conflict, match="legal hold “Case 12”"):
        erasing.ask(zenobia, "She asked for it.", actor=acting(sam))

    with pytest.raises(Conflict, match="Propose its release first"):
        legal_holds.release(hold, actor=acting(other))
    legal_holds.propose_release(hold, "The case is over.", actor=acting(sam))
    with pytest.raises(Conflict, match="You proposed it"):
        legal_holds.release(hold, actor=acting(sam))
    legal_holds.release(hold, actor=acting(other))
    seal(signer)

    assert erasing.ask(zenobia, "She asked for it.", actor=acting(sam)).state == ErasureState.ERASED


@pytest.mark.parametrize("about", ["application", "everything"])
def test_holds_on_an_application_or_on_everything_keep_whoever_had_it(
    about: str, zenobia: Person, sam: Person, analyst: Entitlement, mallory: Person
) -> None:
    applications = Application.objects.filter(pk=analyst.application_id) if about == "application" else []
    legal_holds.place("Case 12", "The court asked for it.", applications=list(applications), actor=acting(sam))

    assert len(legal_holds.holds_on(zenobia)) == 1
    assert len(legal_holds.holds_on(mallory)) == (0 if about == "application" else 1)


def test_years_within_bounds_are_kept_as_versions(db: None, sam: Person) -> None:
    assert retaining.years_kept() == 7
    retaining.set_retention(10, "Our contract with the hospital.", actor=acting(sam))
    assert retaining.years_kept() == 10

    with pytest.raises(Invalid) as refused:
        retaining.set_retention(5, " ", actor=acting(sam))
    assert set(refused.value.fields) == {"years", "why"}


def test_fewer_years_are_confirmed_by_a_second_person(db: None, sam: Person) -> None:
    other = cast.make_security_admin(cast.hire("Olga Other"))
    assert retaining.set_retention(6, "We keep too much.", actor=acting(sam)) is None
    proposed = retaining.proposal()
    assert proposed is not None
    assert retaining.years_kept() == 7
    with pytest.raises(Conflict, match="proposed already"):
        retaining.set_retention(6, "Again.", actor=acting(other))
    with pytest.raises(Conflict, match="You proposed it"):
        retaining.confirm_shorter(proposed.pk, actor=acting(sam))

    retaining.confirm_shorter(proposed.pk, actor=acting(other))

    assert retaining.years_kept() == 6
    said = Pending.objects.get(body__event="retention.changed").body["data"]
    assert said == {"years": 6, "years_before": 7, "proposed_by": str(sam.ref)}
    with pytest.raises(Conflict, match="decided in the meantime"):
        retaining.decline_shorter(proposed.pk, actor=acting(other))


def test_fewer_years_are_declined(db: None, sam: Person, audrey: Person) -> None:
    retaining.set_retention(6, "We keep too much.", actor=acting(sam))
    proposed = retaining.proposal()
    assert proposed is not None
    for refused in (retaining.confirm_shorter, retaining.decline_shorter):
        with pytest.raises(NotAllowed):
            refused(proposed.pk, actor=acting(audrey))

    retaining.decline_shorter(proposed.pk, actor=acting(sam))

    assert (retaining.years_kept(), retaining.proposal()) == (7, None)


def test_only_security_administrators_decide(zenobia: Person, audrey: Person, linus: Person) -> None:
    for person in (audrey, linus):
        with pytest.raises(NotAllowed):
            erasing.ask(zenobia, "x", actor=acting(person))
        with pytest.raises(NotAllowed):
            legal_holds.place("x", "x", actor=acting(person))
        with pytest.raises(NotAllowed):
            retaining.set_retention(8, "x", actor=acting(person))


def test_nobody_else_can_begin_an_erasure_of_revisions(zenobia: Person) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, relowner::regrole::text FROM pg_class WHERE relname = 'identity_person'")
        assert len(set(cursor.fetchone())) == 1, (
            "Tests run as the owner; the rights of the roles are tests/ledger/test_rights.py"
        )
        cursor.execute("SAVEPOINT tried")
        with pytest.raises(Exception, match="insert-only"):
            cursor.execute("UPDATE identity_personrevision SET display_name = 'x'")
        cursor.execute("ROLLBACK TO SAVEPOINT tried")


def test_the_command_says_what_it_did(zenobia: Person, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("erase_person", ADDRESS, "--ground", "She asked for it.")

    assert "Backups keep it" in capsys.readouterr().out
    assert Erasure.objects.filter(~Q(places={}), state=ErasureState.ERASED).exists()


def test_a_leap_day_becomes_the_first_of_march() -> None:
    assert erasing.years_later(datetime(2028, 2, 29), 7) == datetime(2035, 3, 1)  # noqa: DTZ001
