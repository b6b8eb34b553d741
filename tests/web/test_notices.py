"""The pages of what people are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.notices import preferences
from governance.notices.kinds import TOPICS
from governance.notices.models import Mail, Notice, PostOffice, Webhook, WebhookMessage
from tests.notices.conftest import HOSTILE, NOON
from tests.web.conftest import SignedIn

HTMX = {"HX-Request": "true"}


def note(person: Person, number: int = 1, *, kind: str = "approval.wanted") -> Notice:
    facts = {"number": number, "person": f"Ada {HOSTILE}", "role": "Analyst", "application": "Snowflake"}
    return Notice.objects.create(
        person=person, kind=kind, cause=f"tests:{number}", facts=facts, at=NOON, created_at=NOON
    )


def test_what_somebody_was_told_stands_on_their_page_alone(ada: Person, linus: Person, signed_in: SignedIn) -> None:
    note(linus, 2041)

    mine, theirs = (signed_in(who).get("/notices/").content.decode() for who in (linus, ada))

    assert 'href="/approvals/?item=R-2041"' in mine
    assert "<img" not in mine
    assert "&lt;img" in mine
    assert "Nobody has told you anything yet" in theirs


def test_the_number_beside_the_bell_is_what_was_not_read(linus: Person, signed_in: SignedIn) -> None:
    first, second = note(linus, 1), note(linus, 2)
    client = signed_in(linus)

    client.post(f"/notices/{first.pk}/read/")

    page = client.get("/notices/?show=unread")
    assert page.context["unread"] == 1
    assert [line.notice.pk for line in page.context["lines"]] == [second.pk]


def test_reading_somebody_elses_notice_is_refused(ada: Person, linus: Person, signed_in: SignedIn) -> None:
    theirs = note(linus)

    assert signed_in(ada).post(f"/notices/{theirs.pk}/read/").status_code == 404

    theirs.refresh_from_db()
    assert theirs.read_at is None


def test_all_read_spares_what_came_after_the_page_was_shown(linus: Person, signed_in: SignedIn) -> None:
    seen, later = note(linus, 1), note(linus, 2)

    answer = signed_in(linus).post("/notices/read/", {"up_to": seen.pk}, headers=HTMX)

    assert answer.status_code == 200
    assert "1 marked as read. 1 not read." in answer.content.decode()
    later.refresh_from_db()
    assert later.read_at is None


def test_looking_reads_nothing(linus: Person, signed_in: SignedIn) -> None:
    one = note(linus)

    signed_in(linus).get("/notices/")

    one.refresh_from_db()
    assert one.read_at is None


def test_notices_are_paged_by_key(linus: Person, signed_in: SignedIn) -> None:
    for number in range(32):
        note(linus, number)
    client = signed_in(linus)

    first = client.get("/notices/")
    second = client.get(f"/notices/?before={first.context['next']}")

    assert len(first.context["lines"]) == 30
    assert [line.notice.facts["number"] for line in second.context["lines"]] == [1, 0]


def test_the_page_costs_few_statements(
    linus: Person, analyst: Entitlement, signed_in: SignedIn, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(20):
        note(linus, number)
    client = signed_in(linus)
    cache.clear()

    with django_assert_max_num_queries(12):
        client.get("/notices/")


@pytest.mark.parametrize("before", ["x", "-1", "9" * 30])
def test_a_wrong_place_shows_the_beginning(before: str, linus: Person, signed_in: SignedIn) -> None:
    note(linus)

    assert signed_in(linus).get(f"/notices/?before={before}").status_code == 200


def test_wishes_are_kept_and_shown_again(ada: Person, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    said = dict.fromkeys(TOPICS, "daily") | {"daily_hour": "17", "time_zone": "Europe/Berlin"}

    answer = client.post("/settings/notices/", said)

    assert answer.status_code == 302
    wishes = preferences.of(ada)
    assert (set(wishes.paces.values()), wishes.daily_hour, wishes.chosen_zone) == ({"daily"}, 17, "Europe/Berlin")
    assert client.get("/settings/notices/").context["form"]["asked"].initial == "daily"


def test_a_wish_that_cannot_be_kept_comes_back_with_its_reason(ada: Person, signed_in: SignedIn) -> None:
    answer = signed_in(ada).post("/settings/notices/", {"asked": "weekly"})

    assert answer.status_code == 422
    assert "asked" in answer.context["form"].errors
    assert preferences.of(ada).paces["asked"] == "at_once"


def _failed(person: Person) -> Mail:
    one = note(person)
    mail = Mail.objects.create(
        person=person, state="failed", created_at=NOON, next_attempt_at=NOON, settled_at=now(), last_error="550 no"
    )
    Notice.objects.filter(pk=one.pk).update(mail=mail)
    return mail


def test_a_failed_mail_shows_its_cause_and_is_sent_again(
    ada: Person, sam: Person, signed_in: SignedIn, django_assert_max_num_queries: Callable[..., object]
) -> None:
    mail = _failed(ada)
    client = signed_in(sam)
    with django_assert_max_num_queries(12):
        page = client.get("/mail/").content.decode()
    assert "550 no" in page

    answer = client.post(f"/mail/{mail.ref}/retry/", headers=HTMX)

    assert answer.status_code == 200
    mail.refresh_from_db()
    assert mail.state == "waiting"
    assert client.post(f"/mail/{mail.ref}/retry/").status_code == 409


def test_a_mail_is_shown_as_it_was_written_and_harmless(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    mail = _failed(ada)

    page = signed_in(sam).get(f"/mail/{mail.ref}/").content.decode()

    assert "asks for Analyst" in page
    assert "<img" not in page


def test_a_mail_whose_notices_are_gone_can_still_be_looked_at(ada: Person, sam: Person, signed_in: SignedIn) -> None:
    mail = _failed(ada)
    Notice.objects.all().delete()

    assert "Its words are gone" in signed_in(sam).get(f"/mail/{mail.ref}/").content.decode()


def test_a_server_in_trouble_is_said_in_one_line(sam: Person, signed_in: SignedIn) -> None:
    PostOffice.objects.update_or_create(
        pk=1, defaults={"trouble_since": NOON, "retry_at": NOON, "last_error": "The mail server answered 535 no"}
    )

    page = signed_in(sam).get("/mail/").content.decode()

    assert "The mail server answered 535 no. Mails wait and are not lost." in page


def _hook(client: Client) -> Webhook:
    answer = client.post("/new-webhook/", {"name": "Chat", "url": "https://chat.example/x", "kinds": ["request.ready"]})
    assert "whsec_" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    return Webhook.objects.get()


def test_a_webhook_shows_its_secret_once(sam: Person, signed_in: SignedIn) -> None:
    client = signed_in(sam)
    hook = _hook(client)

    shown = client.get(f"/webhooks/{hook.pk}/").content.decode() + client.get("/webhooks/").content.decode()

    assert "whsec_" not in shown
    assert "Chat" in shown
    assert "whsec_" in client.post(f"/webhooks/{hook.pk}/renew/").content.decode()

    assert "Two secrets sign until" in client.get(f"/webhooks/{hook.pk}/").content.decode()
    client.post(f"/webhooks/{hook.pk}/end-former/")
    assert "Two secrets sign until" not in client.get(f"/webhooks/{hook.pk}/").content.decode()


def test_a_webhook_with_a_wrong_address_comes_back_with_the_reason(sam: Person, signed_in: SignedIn) -> None:
    answer = signed_in(sam).post("/new-webhook/", {"name": "Chat", "url": "http://169.254.169.254/"})

    assert answer.status_code == 422
    assert answer.context["form"].errors["url"]
    assert not Webhook.objects.exists()


def test_a_webhook_is_tested_changed_and_ended(
    sam: Person, signed_in: SignedIn, django_assert_max_num_queries: Callable[..., object]
) -> None:
    client = signed_in(sam)
    hook = _hook(client)
    client.post(f"/webhooks/{hook.pk}/test/")
    WebhookMessage.objects.update(state="failed", settled_at=now(), last_error="It answered 500.", status=500)
    with django_assert_max_num_queries(12):
        page = client.get(f"/webhooks/{hook.pk}/").content.decode()
    assert "It answered 500." in page
    message = WebhookMessage.objects.get()

    client.post(f"/webhooks/{hook.pk}/messages/{message.pk}/retry/")
    client.post(f"/webhooks/{hook.pk}/", {"name": "Desk", "url": "https://desk.example/", "is_paused": "on"})
    message.refresh_from_db()
    hook.refresh_from_db()
    assert (message.state, hook.name, hook.kinds, hook.paused_at is None) == ("waiting", "Desk", [], False)

    client.post(f"/webhooks/{hook.pk}/end/")

    assert client.get(f"/webhooks/{hook.pk}/").status_code == 404
    message.refresh_from_db()
    assert message.state == "dropped"
