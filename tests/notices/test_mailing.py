"""Mail over a real connection to a real peer: who gets what, when, and what happens when something breaks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.mail import EmailMessage
from django.db import connections, transaction
from django.test import Client

from governance.access import deciding
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from governance.notices import forgetting, inbox, mailing, preferences
from governance.notices.models import LetterState, Mail, Notice, PostOffice
from governance.notices.posts import FolderPost, Sent, SmtpPost
from tests import cast
from tests.cast import TESTING, acting
from tests.notices.conftest import HOSTILE, HOUR, NOON
from tests.notices.smtp_peer import MailServer, mail_server
from tests.notices.test_reading import Tell, submit

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def server(settings: object) -> Iterator[MailServer]:
    """A mail server that Gatehouse is set up to use."""
    with mail_server() as peer:
        settings.MAIL_WAY, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp", "127.0.0.1", peer.port  # type: ignore[attr-defined]
        settings.EMAIL_TIMEOUT = 2  # type: ignore[attr-defined]
        yield peer


def note(person: Person, number: int = 1, *, kind: str = "approval.wanted", due_in: timedelta | None = None) -> Notice:
    facts = {"number": number, "person": "Ada Lovelace", "role": "Analyst", "application": "Snowflake"}
    return Notice.objects.create(
        person=person,
        kind=kind,
        cause=f"tests:{number}",
        facts=facts,
        at=now(),
        created_at=now(),
        mail_due_at=now() + (due_in or timedelta(0)),
    )


def states() -> list[str]:
    return list(Mail.objects.order_by("id").values_list("state", flat=True))


@pytest.mark.django_db
def test_the_approver_gets_a_mail_that_leads_to_the_very_item(
    server: MailServer, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    tell()
    Notice.objects.all().delete()
    request = submit(ada, analyst)
    tell()

    assert mailing.send_due() == 1

    assert server.addresses == ["linus@halden.example"]
    message = server.message()
    assert message["Subject"] == "Ada Lovelace asks for Analyst in Snowflake"
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert f"/approvals/?item=R-{request.number}" in text
    assert message["List-Unsubscribe"].endswith("/settings/notices/>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert states() == ["sent"]


@pytest.mark.django_db
def test_the_link_in_a_mail_asks_to_sign_in_and_comes_back_to_the_page() -> None:
    answer = Client().get("/approvals/?item=R-2041")

    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=%2Fapprovals%2F%3Fitem%3DR-2041"


@pytest.mark.django_db
def test_a_mail_says_names_and_no_reasons_and_no_key_that_signs_in(
    server: MailServer, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    deciding.deny(submit(ada, analyst), approver=linus, reason="A secret reason.", actor=acting(linus))
    tell()

    mailing.send_due()

    raw = b"".join(body for _, body in server.arrived)
    assert b"A secret reason" not in raw
    assert b"token" not in raw.lower()
    assert "ada@halden.example" in server.addresses


@pytest.mark.django_db
def test_a_hostile_name_neither_adds_a_header_nor_markup(server: MailServer, linus: Person) -> None:
    one = note(linus)
    one.facts["person"] = HOSTILE
    one.save()

    mailing.send_due()

    message = server.message()
    assert message["Bcc"] is None
    assert server.addresses == ["linus@halden.example"]
    assert "<img" not in message.get_body(("html",)).get_content()  # type: ignore[union-attr]


@pytest.mark.django_db
def test_what_is_due_together_comes_in_one_mail(server: MailServer, ada: Person, linus: Person) -> None:
    note(linus, 1)
    note(linus, 2)
    note(ada, 3)

    assert mailing.send_due() == 2

    assert sorted(server.addresses) == ["ada@halden.example", "linus@halden.example"]
    subjects = {address: server.message(at)["Subject"] for at, address in enumerate(server.addresses)}
    assert subjects["linus@halden.example"].endswith(", and 1 more")


@pytest.mark.django_db
def test_what_was_read_or_is_over_goes_by_no_mail(server: MailServer, linus: Person) -> None:
    note(linus, 1)
    second, third = note(linus, 2), note(linus, 3)
    inbox.mark_read(linus, second.pk)
    Notice.objects.filter(pk=third.pk).update(settled_at=now())

    mailing.send_due()

    assert "2 more" not in server.message()["Subject"]
    assert Notice.objects.filter(mail__isnull=False).count() == 1


@pytest.mark.django_db
def test_what_is_over_between_making_and_sending_is_dropped(server: MailServer, linus: Person) -> None:
    note(linus)
    mailing.address_due()
    Notice.objects.update(settled_at=now())

    mailing.send_due()

    assert server.arrived == []
    assert states() == ["dropped"]


@pytest.mark.django_db
def test_a_person_who_left_gets_nothing_team_187(server: MailServer, linus: Person) -> None:
    note(linus)
    mailing.address_due()
    with transaction.atomic():
        lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)

    mailing.send_due()

    assert server.arrived == []
    assert Mail.objects.get().last_error == "They have left."


@pytest.mark.django_db
def test_a_bad_address_fails_with_its_cause_and_holds_up_nobody(server: MailServer, ada: Person, linus: Person) -> None:
    server.refuses_address["ada@halden.example"] = "550 no such user"
    note(ada, 1)
    note(linus, 2)

    mailing.send_due()

    failed = Mail.objects.get(state=LetterState.FAILED)
    assert failed.person == ada
    assert failed.last_error == "The mail server refused the address: 550 no such user"
    assert server.addresses == ["linus@halden.example"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["", "no address", "ada@halden.example\nBcc: x@y.example", "ädå@"])
def test_an_address_that_is_none_fails_and_says_so(address: str, server: MailServer, ada: Person) -> None:
    Person.objects.filter(pk=ada.pk).update(email=address)
    note(ada)

    mailing.send_due()

    assert server.arrived == []
    assert states() == ["failed"]
    assert Mail.objects.get().last_error


@pytest.mark.django_db
def test_an_address_put_off_is_tried_again_and_given_up_after_three_days(
    server: MailServer, noon: time_machine.Traveller, ada: Person
) -> None:
    server.refuses_address["ada@halden.example"] = "451 come back later"
    note(ada)
    mailing.send_due()
    assert states() == ["waiting"]
    assert mailing.send_due() == 0
    noon.shift(2 * HOUR)
    server.refuses_address.clear()

    mailing.send_due()

    assert states() == ["sent"]
    server.refuses_address["ada@halden.example"] = "451 come back later"
    note(ada, 2)
    mailing.send_due()
    noon.shift(timedelta(days=4))
    mailing.send_due()
    assert states() == ["sent", "failed"]


@pytest.mark.django_db
def test_a_dead_mail_server_delays_and_loses_nothing(
    server: MailServer, settings: object, noon: time_machine.Traveller, ada: Person, linus: Person
) -> None:
    note(ada, 1)
    note(linus, 2)
    settings.EMAIL_PORT = 1  # type: ignore[attr-defined]  # nobody listens there
    assert mailing.send_due() == 0
    office = PostOffice.objects.get()
    assert office.trouble_since == NOON
    assert "could not be reached" in office.last_error
    assert mailing.claim() == []
    settings.EMAIL_PORT = server.port  # type: ignore[attr-defined]
    noon.shift(timedelta(days=9))

    assert mailing.send_due() == 2

    assert len(server.arrived) == 2
    office.refresh_from_db()
    assert office.trouble_since is None


@pytest.mark.django_db
def test_a_refused_sender_is_trouble_of_the_server_and_fails_no_mail(server: MailServer, ada: Person) -> None:
    server.answers["MAIL"] = "553 not from you"
    note(ada)

    mailing.send_due()

    assert states() == ["waiting"]
    assert "553" in PostOffice.objects.get().last_error


@pytest.mark.django_db
def test_a_worker_killed_between_reading_and_sending_loses_nothing(
    server: MailServer, noon: time_machine.Traveller, ada: Person
) -> None:
    note(ada)
    mailing.address_due()
    assert len(mailing.claim()) == 1
    assert mailing.send_due() == 0
    noon.shift(timedelta(minutes=6))

    assert mailing.send_due() == 1

    assert len(server.arrived) == 1


@pytest.mark.django_db
def test_a_mail_that_may_have_arrived_is_sent_again_under_the_same_message_id(
    server: MailServer, noon: time_machine.Traveller, ada: Person
) -> None:
    note(ada)
    server.hangs_up_after_data = True
    mailing.send_due()
    server.hangs_up_after_data = False
    noon.shift(timedelta(minutes=6))

    mailing.send_due()

    assert len(server.arrived) == 2
    assert server.message(0)["Message-ID"] == server.message(1)["Message-ID"]


@pytest.mark.django_db
def test_a_worker_that_lost_its_claim_settles_nothing(
    server: MailServer, noon: time_machine.Traveller, ada: Person
) -> None:
    note(ada)
    mailing.address_due()
    (slow,) = mailing.claim()
    noon.shift(timedelta(minutes=6))
    (other,) = mailing.claim()

    mailing._settle(slow, LetterState.FAILED, cause="It was slow.")

    assert states() == ["waiting"]
    mailing._settle(other, LetterState.SENT)
    assert states() == ["sent"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_each_mail_once(server: MailServer, sam: Person) -> None:
    people = [cast.hire(f"Person{number} Test") for number in range(12)]
    for number, person in enumerate(people):
        note(person, number)
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        try:
            mailing.send_due()
        finally:
            connections.close_all()

    workers = [threading.Thread(target=run) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert sorted(server.addresses) == sorted(person.email for person in people)


@pytest.mark.django_db
def test_nothing_is_sent_inside_a_transaction(
    server: MailServer, ada: Person, monkeypatch: pytest.MonkeyPatch, django_db_blocker: object
) -> None:
    note(ada)
    depth: list[int] = []
    real = SmtpPost.deliver

    def deliver(self: SmtpPost, message: EmailMessage, name: str) -> object:
        depth.append(len(transaction.get_connection().savepoint_ids))
        return real(self, message, name)

    monkeypatch.setattr(SmtpPost, "deliver", deliver)
    outside = len(transaction.get_connection().savepoint_ids)

    mailing.send_due()

    assert depth == [outside]


@pytest.mark.django_db
def test_without_a_server_a_trial_writes_mails_into_a_folder(settings: object, tmp_path: Path, linus: Person) -> None:
    settings.MAIL_WAY, settings.MAIL_DIR = "folder", tmp_path / "mail"  # type: ignore[attr-defined]
    note(linus)

    mailing.send_due()

    (written,) = (tmp_path / "mail").iterdir()
    assert b"Subject: Ada Lovelace asks for Analyst in Snowflake" in written.read_bytes()


def test_the_folder_keeps_the_latest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.notices.posts.KEPT_IN_FOLDER", 3)
    with FolderPost(tmp_path) as folder:
        for number in range(5):
            assert folder.deliver(EmailMessage("s", "b", to=["a@halden.example"]), str(number)) == Sent()

    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.django_db
def test_production_without_a_server_makes_no_mails(
    settings: object, tell: Tell, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    settings.MAIL_WAY = "none"  # type: ignore[attr-defined]
    submit(ada, analyst)

    tell()

    assert Notice.objects.exists()
    assert not Notice.objects.filter(mail_due_at__isnull=False).exists()


@pytest.mark.django_db
def test_a_digest_comes_at_the_chosen_hour_of_the_person(
    tell: Tell, noon: time_machine.Traveller, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    preferences.change(linus, paces={"asked": "daily"}, daily_hour=9, time_zone="Europe/Berlin", actor=acting(linus))
    submit(ada, analyst)

    tell()

    due = Notice.objects.get(person=linus, kind="approval.wanted").mail_due_at
    assert due is not None
    assert due.astimezone(BERLIN) == datetime(2026, 3, 4, 9, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("pace", "minutes"), [("at_once", 0), ("hourly", 40), ("daily", 20 * 60 - 20), ("never", None)]
)
@pytest.mark.django_db
def test_each_pace_has_its_time(pace: str, minutes: int | None, linus: Person) -> None:
    at = NOON + timedelta(minutes=20)
    wishes = preferences.change(linus, paces={"asked": pace}, daily_hour=8, actor=acting(linus))

    due = preferences.due_at("approval.wanted", wishes, at)

    assert due == (None if minutes is None else at + timedelta(minutes=minutes))


@pytest.mark.parametrize("hour", range(24))
def test_the_daily_hour_comes_once_a_day_also_when_clocks_change(hour: int) -> None:
    at, days = datetime(2026, 3, 28, 0, 30, tzinfo=BERLIN), set()
    for _ in range(4):
        at = preferences.next_daily(at, hour, BERLIN)
        days.add(at.astimezone(BERLIN).date())

    assert len(days) == 4


@pytest.mark.django_db
def test_break_glass_cannot_be_silenced_or_delayed(sam: Person) -> None:
    wishes = preferences.change(sam, paces={"security": "never"}, daily_hour=8, actor=acting(sam))

    assert preferences.due_at("break_glass.used", wishes, NOON) == NOON
    assert preferences.due_at("duties.withheld", wishes, NOON) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"paces": {"asked": "weekly"}}, "asked"),
        ({"paces": {"gossip": "daily"}}, "gossip"),
        ({"daily_hour": 24}, "daily_hour"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ],
    ids=["pace", "topic", "hour", "zone"],
)
def test_wishes_that_cannot_be_kept_are_refused_by_name(wrong: dict[str, object], field: str, ada: Person) -> None:
    with pytest.raises(Invalid) as refused:
        preferences.change(ada, **{"paces": {}, "daily_hour": 8, "actor": acting(ada)} | wrong)  # type: ignore[arg-type]

    assert list(refused.value.fields) == [field]


@pytest.mark.django_db
def test_old_letters_go_and_young_ones_stay(noon: time_machine.Traveller, ada: Person) -> None:
    note(ada, 1)
    mailing.address_due()
    Mail.objects.update(state=LetterState.SENT, settled_at=now())
    noon.shift(timedelta(days=31))
    note(ada, 2)

    assert forgetting.forget_old() == 1

    assert Notice.objects.count() == 2
    noon.shift(timedelta(days=170))
    assert forgetting.forget_old() == 1


@pytest.mark.django_db
def test_a_failed_mail_can_be_sent_again(server: MailServer, ada: Person, sam: Person) -> None:
    server.refuses_address["ada@halden.example"] = "550 no such user"
    note(ada)
    mailing.send_due()
    server.refuses_address.clear()

    assert [mailing.try_again(Mail.objects.get(), actor=acting(sam)) for _ in range(2)] == [True, False]
    mailing.send_due()

    assert states() == ["sent"]
