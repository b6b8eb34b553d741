"""The pages of log reviews: signed with words, by keyboard or without script, accessible."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from governance.identity.models import Person
from governance.log_reviews import actions
from governance.log_reviews.models import LogReview
from tests.cast import TESTING, acting
from tests.web.conftest import Open, SignedIn
from tests.web.page_check import what_is_wrong


@pytest.fixture
def review(db: None) -> LogReview:
    """A stretch that is over since yesterday, and the one that runs."""
    actions.open_due(actor=TESTING)
    LogReview.objects.update(starts_at=LogReview.objects.get().starts_at - timedelta(days=8))
    one = LogReview.objects.get()
    LogReview.objects.update(ends_at=one.starts_at + timedelta(days=7), due_at=one.starts_at + timedelta(days=11))
    actions.open_due(actor=TESTING)
    return LogReview.objects.earliest("starts_at")


def test_how_often_is_for_administrators(sam: Person, audrey: Person, signed_in: SignedIn) -> None:
    assert signed_in(audrey).post("/ledger/reviews/", {"days": 1}).status_code == 403
    assert signed_in(sam).post("/ledger/reviews/", {"days": 0}).status_code == 422
    signed_in(sam).post("/ledger/reviews/", {"days": 1})
    assert actions.days_between() == 1


def test_signing_without_words_keeps_what_was_typed(review: LogReview, sam: Person, signed_in: SignedIn) -> None:
    answer = signed_in(sam).post(f"/ledger/reviews/{review.pk}/", {"findings": "", "follow_up": "Ask Ada."})

    assert (answer.status_code, "Ask Ada." in answer.content.decode()) == (422, True)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_a_stretch_is_signed_without_script_and_the_pages_are_sound(
    review: LogReview, sam: Person, audrey: Person, reader: Open
) -> None:
    wrong = what_is_wrong(reader(audrey), ["/ledger/reviews/", f"/ledger/reviews/{review.pk}/"])
    page = reader(audrey, java_script_enabled=False).open("/ledger/reviews/")
    page.locator("tbody tr").last.get_by_role("link").click()
    page.get_by_label("What you found").fill("Nothing.")
    page.get_by_role("button", name="Sign").click()

    expect(page.get_by_text("Signed by Audrey Stone")).to_be_visible()
    actions.set_cadence(7, actor=acting(sam))
    assert wrong + what_is_wrong(reader(sam), ["/ledger/reviews/", f"/ledger/reviews/{review.pk}/"]) == []
