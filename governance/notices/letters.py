"""What stands in a mail: text and simple HTML, the same words, links to the exact page, nothing that signs in."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from governance.identity.models import Person
from governance.notices import preferences
from governance.notices.kinds import KINDS
from governance.notices.models import Mail, Notice
from governance.notices.words import Said, one_line, said

#: Things said in one mail; the rest is on the page.
MOST_LINES = 30
PREFERENCES_PATH = "/settings/notices/"


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail that can be sent."""

    address: str
    message: EmailMultiAlternatives


def compose(mail: Mail) -> Letter | None:
    """Return a mail as things stand now; None when its person left, or all it says was read or is over."""
    person = mail.person
    open_ = Notice.objects.filter(mail=mail, read_at__isnull=True, settled_at__isnull=True, kind__in=KINDS)
    notices = list(open_.order_by("id")) if person.may_sign_in else []
    return letter(person, notices, str(mail.ref)) if notices else None


def letter(person: Person, notices: list[Notice], name: str) -> Letter:
    """Return the mail that tells a person these things; `name` is the mail's own, the same at each try."""
    zone = preferences.of(person).zone
    lines = [said(one, zone, leaves_the_house=True) for one in notices]
    known = {
        "name": one_line(person.given_name or person.display_name),
        "lines": lines[:MOST_LINES],
        "more": max(0, len(lines) - MOST_LINES),
        "base": settings.PUBLIC_URL,
        "preferences": f"{settings.PUBLIC_URL}{PREFERENCES_PATH}",
    }
    message = EmailMultiAlternatives(
        subject=_subject(lines),
        # Stripped, it is no longer marked as safe HTML, which it is not.
        body=render_to_string("notices/mail.txt", known).strip(),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[person.email],
        headers={
            "Message-ID": f"<{name}@{urlsplit(settings.PUBLIC_URL).hostname}>",
            "List-Unsubscribe": f"<{known['preferences']}>",
            # RFC 3834: no out-of-office answers to a machine.
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("notices/mail.html", known), "text/html")
    return Letter(person.email, message)


def _subject(lines: list[Said]) -> str:
    return lines[0].title if len(lines) == 1 else f"{lines[0].title}, and {len(lines) - 1} more"


def address_problem(address: str) -> str | None:
    """Return why nothing can be sent to an address, as far as it shows; whether it exists the server knows."""
    if not address:
        return "The directory gives no e-mail address."
    name, _, host = address.rpartition("@")
    is_one_word = not any(sign.isspace() or not sign.isprintable() for sign in address)
    return None if name and host and is_one_word else "What the directory gives is no e-mail address."
