"""Mail as an administrator sees it: how the server does, what failed and why, and what was said."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.core.errors import Conflict
from governance.identity.models import RoleName
from governance.notices import mailing, outgoing
from governance.notices.letters import letter
from governance.notices.models import Mail, Notice
from governance.web.actor import actor_of
from governance.web.answers import is_htmx, page
from governance.web.govern.pages import sliced
from governance.web.roles import needs

SHOWN = {"failed": "Failed", "waiting": "Waiting", "sent": "Sent"}


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def mails(request: HttpRequest) -> HttpResponse:
    """List mails, the latest first."""
    return page(request, "notices/mail_list.html", "list", _context(request))


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def one_mail(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show what a mail says."""
    mail = outgoing.mail(ref)
    notices = list(Notice.objects.filter(mail=mail).order_by("id"))
    written = letter(mail.person, notices, str(mail.ref)).message if notices else None
    text = written.body if written else ""
    subject = mail.subject or (written.subject if written else "")
    return render(request, "notices/mail_one.html", {"page": "mail", "mail": mail, "subject": subject, "text": text})


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def retry(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Send a mail again that failed."""
    mail = outgoing.mail(ref)
    if not mailing.try_again(mail, actor=actor_of(request)):
        raise Conflict("This mail did not fail, or is being sent again already.")
    said = f"The mail to {mail.person.display_name} is sent again."
    if not is_htmx(request):
        messages.success(request, said)
        return redirect("mail")
    return render(request, "notices/mail_list.html#list", _context(request) | {"said": said})


def _context(request: HttpRequest) -> dict[str, Any]:
    state = request.GET.get("show", "")
    found = Mail.objects.select_related("person")
    if state in SHOWN:
        found = found.filter(state=state)
    return {
        "page": "mail",
        "standing": outgoing.standing(),
        "slice": sliced(found, "created_at", request.GET, descending=True),
        "states": SHOWN,
        "show": state if state in SHOWN else "",
    }
