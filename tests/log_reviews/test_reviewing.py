"""Reviews of the log: opened for each stretch without a gap, signed once by whoever may, late when they are late."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_everything
from governance.log_reviews import actions, queries
from governance.log_reviews.models import LogReview
from tests import cast
from tests.cast import TESTING, acting
from tests.evidence.issued import MARCH

WEEK = timedelta(days=7)


@pytest.fixture
def clock(db: None, sam: Person) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(MARCH, tick=False) as traveller:
        yield traveller


def open_due() -> int:
    return actions.open_due(actor=TESTING)


def test_stretches_follow_each_other_without_a_gap_however_long_nobody_looked(clock: time_machine.Traveller) -> None:
    assert open_due() == 1
    assert open_due() == 0
    clock.shift(WEEK * 5 + timedelta(days=1))

    assert open_due() == 5

    found = list(LogReview.objects.order_by("starts_at"))
    assert found[0].starts_at == MARCH
    assert all(one.ends_at == other.starts_at for one, other in itertools.pairwise(found))
    assert all(one.ends_at - one.starts_at == WEEK for one in found)


def test_another_cadence_holds_from_the_next_stretch_on(clock: time_machine.Traveller, sam: Person) -> None:
    open_due()
    actions.set_cadence(1, actor=acting(sam))
    clock.shift(WEEK)
    open_due()

    assert LogReview.objects.latest("starts_at").ends_at == MARCH + WEEK + timedelta(days=1)
    for days in (0, 93):
        with pytest.raises(Invalid):
            actions.set_cadence(days, actor=acting(sam))


def test_what_there_was_to_look_at_is_counted_and_signed_once(clock: time_machine.Traveller, sam: Person) -> None:
    open_due()
    (review,) = LogReview.objects.all()
    with pytest.raises(Conflict, match="not over"):
        actions.sign(review, "Nothing.", actor=acting(sam))
    clock.shift(timedelta(days=1))
    for _ in range(2):
        record("login.failed", actor=TESTING, subjects=[Subject("login", "x")])
    seal_everything(signer=Signer.generate("example.com/ledger"))
    clock.shift(WEEK)

    actions.sign(review, "Somebody forgot their password.", "", actor=acting(sam))

    assert review.counts["login.failed"] == 2
    (body,) = Pending.objects.filter(body__event="log_review.signed").values_list("body", flat=True)
    assert (body["data"]["is_late"], "forgot" in str(body["data"])) == (False, False)
    with pytest.raises(Conflict, match="signed it already"):
        actions.sign(review, "Again.", actor=acting(sam))


def test_a_signature_after_the_grace_is_late(clock: time_machine.Traveller, sam: Person) -> None:
    open_due()
    (review,) = LogReview.objects.all()
    clock.shift(WEEK + actions.GRACE + timedelta(seconds=1))
    assert list(queries.waiting()) == [review]

    actions.sign(review, "Nothing.", actor=acting(sam))

    (body,) = Pending.objects.filter(body__event="log_review.signed").values_list("body", flat=True)
    assert body["data"]["is_late"] is True
    assert not queries.waiting().exists()


def test_only_administrators_and_auditors_sign_and_only_with_words(
    clock: time_machine.Traveller, audrey: Person, mallory: Person
) -> None:
    open_due()
    (review,) = LogReview.objects.all()
    clock.shift(WEEK)
    for person in (mallory, cast.be_guest("Gil Outside")):
        with pytest.raises(NotAllowed):
            actions.sign(review, "Nothing.", actor=acting(person))
        with pytest.raises(NotAllowed):
            actions.set_cadence(3, actor=acting(person))
    with pytest.raises(Invalid) as refused:
        actions.sign(review, " ", actor=acting(audrey))
    assert set(refused.value.fields) == {"findings"}

    actions.sign(review, "Nothing.", actor=acting(audrey))
