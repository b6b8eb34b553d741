"""The writers of erasure: somebody's data goes from every table, file and key, and every proof stays as it was.

The database does it in one function (migration 0002), because rows that refuse to be changed have to be. What names the
person elsewhere, in words of others, is replaced there too. Afterwards it is looked for everywhere, and what was found
is said; nothing is called erased that was not looked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from governance.core.actor import Actor
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.evidence.models import BundleState, EvidenceBundle
from governance.identity.models import AsideName, Person, Status
from governance.ledger.recording import Subject, record
from governance.privacy import events
from governance.privacy.legal_holds import LONGEST, holds_on
from governance.privacy.models import Erasure, ErasureState
from governance.privacy.restricting import restore, what_would_bring_it_back, withhold
from governance.privacy.retaining import years_kept
from governance.privacy.rights import check_may_decide

_CHUNK = 1 << 20
WITHDRAWN = "Withdrawn: it named somebody whose data was erased. Build it again."


@dataclass(frozen=True, slots=True)
class Looked:
    """Which bundles name somebody, as read before the transaction: by number and digest of the file."""

    words: tuple[str, ...]
    named: Mapping[tuple[int, str], bool]

    def names(self, bundle: EvidenceBundle, words: Sequence[str]) -> bool:
        """Tell whether the file has one of the words. Only what came since, or other words, is read now."""
        known = self.named.get((bundle.pk, bundle.sha256)) if self.words == tuple(words) else None
        return _names(_file_of(bundle), words) if known is None else known


def ask(person: Person, ground: str, *, duty: str = "", actor: Actor) -> Erasure:
    """Have somebody's data go: at once, or, where `duty` says what it must be kept for, when the years are over.

    Raises Invalid naming `ground` or `duty`, Conflict when something is in the way, and NotAllowed.
    """
    check_may_decide(actor)
    problems = {}
    if not ground.strip() or len(ground) > LONGEST:
        problems["ground"] = f"Say on what ground in 1 to {LONGEST} characters."
    if len(duty) > LONGEST:
        problems["duty"] = f"At most {LONGEST} characters."
    if problems:
        raise Invalid(problems)
    looked = Looked((), {}) if duty.strip() else _look_through_bundles(person)
    with transaction.atomic():
        return _ask(person, ground.strip(), duty.strip(), looked, actor=actor)


def _ask(person: Person, ground: str, duty: str, looked: Looked, *, actor: Actor) -> Erasure:
    # One at a time for each person.
    person = Person.objects.select_for_update().get(pk=person.pk)
    if person.status != Status.LEFT or person.left_at is None:
        raise Conflict(f"{person.display_name} has not left. First everything they have ends, then their data can go.")
    if Erasure.objects.filter(person=person, state=ErasureState.RESTRICTED).exists():
        raise Conflict("This waits already. Cancel it first to decide otherwise.")
    at = now()
    erasure = Erasure(
        person=person,
        state=ErasureState.RESTRICTED,
        ground=ground,
        duty=duty,
        due_at=years_later(person.left_at, years_kept()) if duty else at,
        asked_by_ref=actor.ref,
        asked_at=at,
    )
    if erasure.due_at <= at:
        _erase(erasure, at, looked, actor=actor)
    else:
        erasure.save()
        withhold(erasure, actor=actor)
        data = {"due_at": erasure.due_at.isoformat(), "years": years_kept()}
        record(events.SUBJECT_RESTRICTED, actor=actor, subjects=[_subject(person)], data=data)
    return erasure


@transaction.atomic
def cancel(erasure: Erasure, *, actor: Actor) -> None:
    """Have somebody's data stay after all. Raises Conflict when it is gone or was cancelled, and NotAllowed."""
    check_may_decide(actor)
    waiting = Erasure.objects.filter(pk=erasure.pk, state=ErasureState.RESTRICTED)
    if not waiting.update(state=ErasureState.CANCELLED, settled_at=now()):
        raise Conflict("It no longer waits.")
    restore(erasure.person, actor=actor)
    record(events.SUBJECT_ERASURE_CANCELLED, actor=actor, subjects=[_subject(erasure.person)])


def erase_due(*, actor: Actor) -> int:
    """Erase what is due, each for itself; return how many. What is hindered is tried again, and says by what."""
    done = 0
    due = Erasure.objects.filter(state=ErasureState.RESTRICTED, due_at__lte=now()).select_related("person")
    for pk, person in [(one.pk, one.person) for one in due]:
        looked = _look_through_bundles(person)
        try:
            with transaction.atomic():
                erasure = Erasure.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
                if erasure is None or erasure.state != ErasureState.RESTRICTED:
                    continue
                _erase(erasure, now(), looked, actor=actor)
                done += 1
        except Conflict as error:
            Erasure.objects.filter(pk=pk).update(hindered_by=str(error)[:500])
    return done


def hindrances(person: Person) -> list[str]:
    """Return why this person's data cannot go now, in sentences."""
    found = [f"The legal hold “{one.name}” keeps it." for one in holds_on(person)]
    found += what_would_bring_it_back(person)
    if _waits_to_be_sealed(person):
        found.append("What was just recorded about them is not sealed yet. Try again in some seconds.")
    return found


def years_later(at: datetime, years: int) -> datetime:
    """Return the same day so many years later; the 29th of February becomes the first of March."""
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)


def remove_withdrawn_files() -> int:
    """Delete the files of bundles that were withdrawn, should any be left; return how many."""
    removed = 0
    for bundle in EvidenceBundle.objects.filter(state=BundleState.FAILED, last_error=WITHDRAWN).exclude(file_name=""):
        path = Path(settings.BUNDLE_DIR) / bundle.file_name
        if path.exists():
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _erase(erasure: Erasure, at: datetime, looked: Looked, *, actor: Actor) -> None:
    person = erasure.person
    in_the_way = hindrances(person)
    if in_the_way:
        raise Conflict(" ".join(in_the_way))
    words = words_of(person)
    AsideName.objects.filter(person=person).delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_erase(%s, %s::text[])", [person.pk, words])
        (said,) = cursor.fetchone()
    places = json.loads(said) if isinstance(said, str) else said
    bundles = _withdraw_bundles(words, looked, actor=actor)
    erasure.state, erasure.settled_at, erasure.places, erasure.hindered_by = ErasureState.ERASED, at, places, ""
    erasure.save()
    data = {"places": sum(places.values()), "bundles_withdrawn": bundles, "ground": "kept with the erasure"}
    record(events.SUBJECT_ERASED, actor=actor, subjects=[_subject(person)], data=data)
    transaction.on_commit(lambda: _remove_files(words))


def words_of(person: Person) -> list[str]:
    """Return what names this person wherever it stands, the longest first: names, addresses, ids of the directory."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gatehouse_words(%s)", [person.pk])
        (words,) = cursor.fetchone()
    return list(words)


def _look_through_bundles(person: Person) -> Looked:
    """Read the bundles for what names the person: gigabytes, maybe, so not while tables are locked.

    Nothing is read of somebody who cannot be erased now.
    """
    if hindrances(person):
        return Looked((), {})
    words = words_of(person)
    return Looked(tuple(words), {(one.pk, one.sha256): _names(_file_of(one), words) for one in _ready_bundles()})


def _ready_bundles() -> QuerySet[EvidenceBundle]:
    return EvidenceBundle.objects.filter(state=BundleState.READY).exclude(file_name="")


def _file_of(bundle: EvidenceBundle) -> Path:
    return Path(settings.BUNDLE_DIR) / bundle.file_name


def _withdraw_bundles(words: Sequence[str], looked: Looked, *, actor: Actor) -> int:
    """Take back the bundles whose files name the person; return how many. Their manifests stay in the ledger."""
    withdrawn = 0
    for bundle in _ready_bundles():
        if not looked.names(bundle, words):
            continue
        found = EvidenceBundle.objects.filter(pk=bundle.pk, state=BundleState.READY)
        found.update(state=BundleState.FAILED, last_error=WITHDRAWN)
        record(events.BUNDLE_WITHDRAWN, actor=actor, subjects=[Subject("bundle", str(bundle.ref))])
        withdrawn += 1
    return withdrawn


def _remove_files(words: Sequence[str]) -> None:
    remove_withdrawn_files()
    for path in Path(settings.MAIL_DIR).glob("*.eml"):
        if _names(path, words):
            path.unlink(missing_ok=True)


def _names(path: Path, words: Sequence[str]) -> bool:
    """Tell whether a file holds one of the words, in any letter case. Bundles are stored uncompressed."""
    wanted = [word.casefold().encode() for word in words]
    longest = max((len(word) for word in wanted), default=0)
    try:
        with path.open("rb") as file:
            before = b""
            while chunk := file.read(_CHUNK):
                text = (before + chunk).decode("utf-8", "ignore").casefold().encode()
                if any(word in text for word in wanted):
                    return True
                before = chunk[-4 * longest :]
    except FileNotFoundError:
        return False
    return False


def _waits_to_be_sealed(person: Person) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM ledger_pending WHERE body::text LIKE %s)"
            " OR EXISTS (SELECT FROM ledger_captured WHERE rows::text LIKE %s)",
            [f"%{person.ref}%"] * 2,
        )
        (waits,) = cursor.fetchone()
    return bool(waits)


def _subject(person: Person) -> Subject:
    return Subject("person", str(person.ref))
