"""A backup that is older than a pruning or an erasure, brought up to date: what is gone is gone again, on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from governance.config.database_roles import make_roles_sql
from governance.core.clock import now
from governance.evidence.models import BundleState, EvidenceBundle
from governance.identity.models import Person, Status
from governance.ledger import disposals, going_again
from governance.ledger.models import Entry, Pending, SubjectKey
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.rights import OWNER, RUNTIME, SEQUENCER, grant_rights
from governance.ledger.sequencer import seal_everything
from governance.ledger.verification import Damaged, Request, verify
from governance.lifecycle import actions as lifecycle
from governance.privacy import erasing, taking_away_again, tasks
from governance.privacy.models import Erasure, ErasureState
from tests import cast
from tests.cast import TESTING, acting
from tests.ledger.test_recovering import ORIGIN, Site
from tests.ledger.test_rights import _run as run
from tests.ledger.test_rights import refused, signed_in
from tests.privacy.old_ledger import CLOCK, old_ledger, pruned
from tests.privacy.test_erasing import NAME, WORDS, places_with

pytestmark = pytest.mark.django_db
EVENT = "ledger.taken_away_again"


@dataclass
class Restored:
    """An installation whose backup was restored: what its copy of the ledger says happened since."""

    site: Site
    #: Whose data was erased since the backup was made.
    zenobia: Person
    #: The entries whose texts went since.
    doomed: set[int]
    bundle: EvidenceBundle
    #: What her rows were committed to with, as the backup has it.
    secret: bytes

    def replay(self) -> str:
        return self.site.run("ledger_recover", "replay", "--from", str(self.site.copy.folder))

    def seal(self) -> None:
        self.site.run("ledger_sequencer", "--once")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Site:
    update = {"ledger_key_file": tmp_path / "ledger.key", "ledger_head_file": None, "ledger_origin": ORIGIN}
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update=update))
    monkeypatch.setattr(settings, "BUNDLE_DIR", tmp_path / "bundles")
    monkeypatch.setattr(settings, "MAIL_DIR", tmp_path / "mail")
    (tmp_path / "bundles").mkdir()
    made = Site(tmp_path, CLOCK, capsys)
    made.key = made.run("ledger_key", "create")
    return made


@pytest.fixture
def restored(site: Site, sam: Person, request: pytest.FixtureRequest) -> Restored:
    """The backup has old texts, Zenobia at work, and a bundle that names her. Then she left, and all of it went.

    With the parameter `restricted` the backup knows already that she is to be erased one day.
    """
    old_ledger(Signer.parse(site.key_file.read_text()))
    zenobia = cast.hire(NAME, user_name="zenobia.quartermain@halden.example", employee_number="QM-004711")
    with transaction.atomic():
        private = {"reason": (str(zenobia.ref), f"{NAME} asked.")}
        record("thing.noted", actor=CLOCK, subjects=[Subject("person", str(zenobia.ref))], private=private)
    bundle = built(site, f"She is {NAME}.")
    is_restricted = getattr(request, "param", "") == "restricted"
    if is_restricted:
        leave(zenobia)
        site.run("ledger_sequencer", "--once")
        waiting = erasing.ask(zenobia, "She asked for it.", duty="The law.", actor=acting(sam))
    site.run("ledger_sequencer", "--once")
    site.run("ledger_mirror", str(site.copy.folder))
    before = set(Entry.objects.values_list("index", flat=True))

    backup = transaction.savepoint()
    if is_restricted:
        erasing.cancel(waiting, actor=acting(sam))
    else:
        leave(zenobia)
    site.run("ledger_sequencer", "--once")
    erasing.ask(Person.objects.get(pk=zenobia.pk), "She asked for it.", actor=acting(sam))
    assert pruned()
    site.run("ledger_sequencer", "--once")
    doomed = before - set(Entry.objects.values_list("index", flat=True))
    assert len(doomed) >= 15
    assert places_with(WORDS) == []
    site.run("ledger_mirror", str(site.copy.folder))
    transaction.savepoint_rollback(backup)

    zenobia.refresh_from_db()
    assert places_with(WORDS)
    secret = SubjectKey.objects.get(subject_ref=str(zenobia.ref)).secret
    return Restored(site, zenobia, doomed, bundle, bytes(secret))


def leave(person: Person) -> None:
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=TESTING, unlist=True)


def built(site: Site, text: str) -> EvidenceBundle:
    (site.folder / "bundles" / "1.zip").write_text(text)
    return EvidenceBundle.objects.create(
        framework="soc2", first_day="2026-03-01", last_day="2026-03-31", zone="UTC", known_at=now(), made_at=now(),
        leaver_sla_hours=24, freshness_hours=24, correlation_id="x", made_by_ref="x", state=BundleState.READY,
        file_name="1.zip", sha256="1" * 64, ledger_size=1, size=1, ready_at=now(), manifest_sha256="x",
    )  # fmt: skip


def texts_of(indexes: set[int]) -> int:
    return Entry.objects.filter(index__in=indexes).count()


def said() -> list[dict[str, object]]:
    """What was recorded of it, sealed or waiting."""
    sealed = [json.loads(body) for body in Entry.objects.filter(event=EVENT).values_list("body", flat=True)]
    return [*sealed, *Pending.objects.filter(body__event=EVENT).values_list("body", flat=True)]


def nothing_is_back(restored: Restored) -> None:
    assert texts_of(restored.doomed) == 0
    assert places_with(WORDS) == []
    assert not SubjectKey.objects.filter(secret=restored.secret).exists()
    assert list(Erasure.objects.filter(person=restored.zenobia).values_list("state", flat=True)) == [
        ErasureState.ERASED
    ]
    restored.bundle.refresh_from_db()
    assert (restored.bundle.state, restored.bundle.last_error) == (BundleState.FAILED, erasing.WITHDRAWN)


def test_state_says_beforehand_what_would_go_and_changes_nothing(restored: Restored) -> None:
    before = Entry.objects.count()

    told = restored.site.run("ledger_recover", "state", "--from", str(restored.site.copy.folder))

    assert f"{len(restored.doomed)} texts of entries, the names of 1 people, 1 bundles" in told
    assert (Entry.objects.count(), texts_of(restored.doomed)) == (before, len(restored.doomed))
    restored.zenobia.refresh_from_db()
    assert restored.zenobia.display_name == NAME


@pytest.mark.parametrize("restored", ["at work", "restricted"], indirect=True)
def test_a_replay_takes_away_what_the_log_says_is_gone_before_anybody_can_read_it(restored: Restored) -> None:
    told = restored.replay()

    assert f"taken away again: {len(restored.doomed)} texts of entries, the names of 1 people, 1 bundles" in told
    nothing_is_back(restored)
    restored.seal()
    (body,) = said()
    assert body["data"] == {"texts": len(restored.doomed), "people": 1, "bundles": 1}
    assert body["subjects"] == [
        {"kind": "retention", "ref": "ledger"}, {"kind": "person", "ref": str(restored.zenobia.ref)},
    ]  # fmt: skip
    assert verify(Request(is_strict=True)).size
    assert not going_again.what_came_back()


def test_it_is_done_by_whoever_recovers_the_ledger_with_no_more_rights_than_that(restored: Restored) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(make_roles_sql(can_sign_in=True))
    with signed_in(OWNER):
        grant_rights()

    with signed_in(SEQUENCER):
        restored.replay()
        assert "permission denied" in refused("SELECT display_name FROM identity_person")
        assert "permission denied" in refused(f"SELECT gatehouse_erase({restored.zenobia.pk}, ARRAY['x'])")

    nothing_is_back(restored)


def test_who_was_erased_and_is_at_work_in_the_backup_leaves_again(restored: Restored) -> None:
    restored.replay()
    assert Person.objects.get(pk=restored.zenobia.pk).status == Status.ACTIVE

    tasks.erase_due()

    found = Person.objects.get(pk=restored.zenobia.pk)
    assert (found.status, found.display_name, found.is_listed) == (Status.LEFT, "Erased person", False)
    assert places_with(WORDS) == []
    assert not (restored.site.folder / "bundles" / "1.zip").exists()
    assert taking_away_again.have_leave_again(actor=CLOCK) == 0


def replay_without_it(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bring it up to date as it was done before there was such a thing."""
    monkeypatch.setattr(going_again, "_removers", [])
    restored.replay()
    restored.seal()
    monkeypatch.undo()
    with pytest.raises(Damaged, match="was disposed of, as the log says, and its text is there"):
        verify(Request())


@pytest.mark.parametrize("work", [tasks.erase_due, tasks.prune_ledger], ids=["each hour", "each night"])
def test_the_clock_takes_it_away_as_well(
    restored: Restored, monkeypatch: pytest.MonkeyPatch, work: Callable[[], int]
) -> None:
    replay_without_it(restored, monkeypatch)
    assert going_again.what_came_back() == going_again.CameBack(len(restored.doomed), 1, 1)

    work()
    work()

    nothing_is_back(restored)
    assert len(said()) == 1
    seal_everything(signer=Signer.parse(restored.site.key_file.read_text()))
    assert len(disposals.statements()) == 1
    assert verify(Request(is_strict=True)).size


def test_nothing_is_disposed_of_a_second_time_whoever_asks(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second disposal of the same texts could never be verified."""
    replay_without_it(restored, monkeypatch)

    assert "taken away again first" in refused("SELECT gatehouse_prune(0, 1000000, '{}')")


def test_where_nothing_came_back_nothing_is_touched_and_nothing_said(site: Site, sam: Person) -> None:
    old_ledger(Signer.parse(site.key_file.read_text()))
    zenobia = cast.hire(NAME)
    leave(zenobia)
    bundle = built(site, f"She is {NAME}.")
    site.run("ledger_sequencer", "--once")
    erasing.ask(Person.objects.get(pk=zenobia.pk), "She asked for it.", actor=acting(sam))
    pruned()
    site.run("ledger_sequencer", "--once")
    # Built again since.
    EvidenceBundle.objects.filter(pk=bundle.pk).update(state=BundleState.READY, last_error="", ready_at=now())
    before = Entry.objects.count()

    with transaction.atomic():
        assert not taking_away_again.take_away_again(CLOCK)

    assert (said(), Entry.objects.count()) == ([], before)
    bundle.refresh_from_db()
    assert bundle.state == BundleState.READY
    assert Erasure.objects.count() == 1


def test_doors_may_ask_and_get_no_more_than_was_done(site: Site) -> None:
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(make_roles_sql(can_sign_in=True))
    with signed_in(OWNER):
        grant_rights()
    for role in (RUNTIME, SEQUENCER):
        with signed_in(role), connection.cursor() as cursor:
            cursor.execute("SELECT gatehouse_take_away_again()")
            assert cursor.fetchone() == (None,)
            assert not taking_away_again.what_came_back()
