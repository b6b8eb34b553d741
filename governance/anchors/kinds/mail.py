"""The head by e-mail: costs nothing, and lies in mailboxes that whoever owns the database does not own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.forms import ValidationError

from governance.anchors.kinds.base import Field, Kept, NotKept, Place
from governance.notices.posts import Sent, post

FIELDS = (Field("to", "Recipients", "One address on each line, best outside of your company.", is_long=True),)
EVERY_SECONDS = 86_400
MOST = 20


def problems(said: Mapping[str, str], secret: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings: the field and the reason."""
    addresses = _addresses(said)
    if not 0 < len(addresses) <= MOST:
        yield "to", f"Give one to {MOST} addresses, each on a line."
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            yield "to", f"{address[:80]} is not an e-mail address."


def keep(place: Place) -> Kept:
    """Mail the head. Raises NotKept."""
    way = post()
    if way is None:
        raise NotKept("There is no mail server: set SMTP_URL.")
    digest = hashlib.sha256(place.head.note.encode()).hexdigest()
    message_id = f"<ledger-{place.head.size}-{digest[:16]}@{place.origin.split('/')[0]}>"
    message = EmailMessage(
        subject=f"Ledger {place.origin}: signed head of {place.head.size} entries",
        body=_TEXT.format(origin=place.origin, size=place.head.size, root=place.head.root.hex(), note=place.head.note),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=_addresses(place.settings),
        headers={"Message-ID": message_id, "Auto-Submitted": "auto-generated"},
    )
    message.attach(f"checkpoint-{place.head.size}.txt", place.head.note, "text/plain")
    with way:
        outcome = way.deliver(message, f"ledger-{place.head.size}-{digest[:16]}")
    if not isinstance(outcome, Sent):
        raise NotKept(outcome.cause)
    return Kept({"message_id": message_id, "recipients": str(len(message.to))})


def _addresses(said: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in said.get("to", "").splitlines() if line.strip()))


_TEXT = """\
This is a signed head of the ledger {origin}. Keep this mail.

It covers {size} entries. Root: {root}

Whoever rewrites the past of this ledger, or cuts its end off, can no longer show a history that leads to this head.
To compare: save the attachment, and ask for

    python manage.py verify_ledger --checkpoint FILE --key KEY

{note}"""
