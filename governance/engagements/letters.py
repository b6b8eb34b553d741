"""The mail with the link that an auditor from outside follows. Both doors send it, outside of any transaction."""

from __future__ import annotations

from django.conf import settings
from django.core.mail import EmailMessage

from governance.engagements.models import Guest
from governance.notices.posts import Sent, post

_TEXT = """\
Hello {name},

you are invited to look into the evidence of “{audit}”. Follow this link and choose a password:

{link}

It works once, until {day}.
"""


def send_link(guest: Guest, link: str) -> str:
    """Mail the link of an invitation; return what became of the mail, in a sentence. The mail server is waited for."""
    way = post()
    if way is None:
        return "There is no mail server here, so nothing was mailed. Give them this link yourself."
    message = EmailMessage(
        subject=f"You are invited to the audit “{guest.engagement.name}”",
        body=_TEXT.format(name=guest.name, audit=guest.engagement.name, link=link, day=f"{guest.expires_at:%Y-%m-%d}"),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[guest.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    with way:
        outcome = way.deliver(message, f"invitation-{guest.pk}")
    if isinstance(outcome, Sent):
        return f"The mail server took the mail to {guest.email}. Should it not arrive, this is the link."
    return f"The mail was not sent: {outcome.cause} Give them this link yourself."
