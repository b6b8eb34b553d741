"""Who may sign a review of the log is told when it is due and when it is late, once each, until somebody signs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from governance.identity.models import Person
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.log_reviews import actions, reminding
from governance.log_reviews.models import LogReview
from governance.notices.letters import letter
from governance.notices.models import Notice
from governance.notices.reading import read_on
from tests.cast import TESTING, acting
from tests.evidence.issued import MARCH

WEEK = timedelta(days=7)


@pytest.fixture
def clock(db: None, sam: Person, audrey: Person) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(MARCH, tick=False) as traveller:
        actions.open_due(actor=TESTING)
        yield traveller


def told(person: Person) -> list[str]:
    found = Notice.objects.filter(person=person, kind__startswith="log_review.").order_by("id")
    return [f"{one.kind}{'' if one.settled_at is None else ' over'}" for one in found]


def test_it_is_said_when_it_is_due_and_when_it_is_late_and_is_over_when_signed(
    clock: time_machine.Traveller, sam: Person, audrey: Person, ada: Person
) -> None:
    assert reminding.remind() == 0
    clock.shift(WEEK)
    assert (reminding.remind(), reminding.remind()) == (2, 0)
    clock.shift(actions.GRACE)
    assert (reminding.remind(), reminding.remind()) == (2, 0)
    assert told(sam) == told(audrey) == ["log_review.due", "log_review.overdue"]
    assert told(ada) == []

    actions.sign(LogReview.objects.get(), "Nothing.", actor=acting(audrey))
    seal_everything(signer=Signer.generate("example.com/ledger"))
    read_on()

    assert told(sam) == ["log_review.due over", "log_review.overdue over"]
    assert reminding.remind() == 0


def test_what_has_been_late_for_long_is_no_news(clock: time_machine.Traveller, sam: Person) -> None:
    clock.shift(WEEK * 8)
    actions.open_due(actor=TESTING)

    assert reminding.remind() > 0

    spans = {one.facts["until"] for one in Notice.objects.filter(kind="log_review.overdue")}
    assert len(spans) == 1
    assert told(sam) == ["log_review.overdue", "log_review.due"]


def test_the_mail_says_which_stretch_and_until_when(clock: time_machine.Traveller, sam: Person) -> None:
    clock.shift(WEEK)
    reminding.remind()
    note, review = Notice.objects.filter(person=sam).get(), LogReview.objects.get()

    body = letter(sam, [note], "one").message.body

    assert "A stretch of the log is to be looked through" in body
    assert f"The review is due on {review.due_at:%a} {review.due_at.day} {review.due_at:%b %Y}" in body
    assert f"/ledger/reviews/{review.pk}/" in body
