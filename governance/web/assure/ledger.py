"""The audit log: what happened, by whom, to whom; each entry with the proof that it is in the signed ledger."""

from __future__ import annotations

import base64
import re
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from governance.core.clock import now
from governance.identity.models import RoleName
from governance.ledger import queries
from governance.ledger.reading_log import note_search
from governance.ledger.recording import Subject
from governance.web.actor import actor_of
from governance.web.assure.keys import signing_key
from governance.web.assure.naming import person_named, subject_named, suggestions
from governance.web.govern.lines import SENTENCES, lines_of
from governance.web.govern.pages import end_of_day, show, start_of_day, whole_number
from governance.web.roles import needs

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
_REFERENCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: References as the ledger has them. Whatever else somebody types after a kind may be a name.
_KEY = re.compile(r"[0-9]{1,18}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOUNS = sorted({event.partition(".")[0] for event in SENTENCES})


class LedgerForm(forms.Form):
    """The filters of the log."""

    about = forms.CharField(required=False, max_length=200)
    by = forms.CharField(required=False, max_length=200)
    event = forms.RegexField(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$", required=False, max_length=80)
    since = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    until = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    chain = forms.RegexField(r"^[0-9a-f]{32}$", required=False)
    transaction = forms.RegexField(
        r"^[1-9][0-9]{0,18}$", required=False, error_messages={"invalid": "A transaction is a number, like 48211."}
    )

    def clean_about(self) -> Subject | None:
        """Turn what was typed into a subject: R-2041, a name, an address, or kind:reference."""
        text = self.cleaned_data["about"].strip()
        found = subject_named(text) if text else None
        if text and found is None:
            raise forms.ValidationError("Nothing by that name. Try R-2041, an address, a full name, or an application.")
        return found

    def clean_by(self) -> str:
        """Turn what was typed into the reference of who acted."""
        text = self.cleaned_data["by"].strip()
        person = person_named(text) if text else None
        return str(person.ref) if person else text

    def asked(self) -> dict[str, str]:
        """Return what is asked for as the ledger may keep it: references in place of what was typed."""
        about, by = self.read("about"), self.read("by")
        given = {name: str(self.read(name) or "") for name in ("event", "since", "until", "chain", "transaction")}
        given["about"] = f"{about.kind}:{about.ref if _KEY.fullmatch(about.ref) else 'other words'}" if about else ""
        given["by"] = (by if _REFERENCE.fullmatch(by) else "other words") if by else ""
        return {name: text for name, text in given.items() if text}

    def read(self, name: str) -> Any:
        """Return a field that was read, or nothing."""
        return getattr(self, "cleaned_data", {}).get(name)


@needs(*READERS)
@require_GET
def ledger(request: HttpRequest) -> HttpResponse:
    """List sealed entries, newest first."""
    form = LedgerForm(request.GET)
    form.full_clean()
    before = whole_number(request.GET.get("before"), -1)
    since, until = form.read("since"), form.read("until")
    page = (
        queries.Page((), None)
        if form.errors
        else queries.entries(
            about=form.read("about"),
            actor_ref=form.read("by") or "",
            event=form.read("event") or "",
            correlation_id=form.read("chain") or "",
            transaction=form.read("transaction") or "",
            since=start_of_day(since) if since else None,
            until=end_of_day(until) if until else None,
            before=before if before >= 0 else None,
        )
    )
    if not form.errors and before < 0:
        note_search(form.asked(), actor=actor_of(request))
    halted, breaks = queries.trouble()
    context = {
        "page": "ledger",
        "form": form,
        "lines": lines_of(page.entries),
        "next": page.before,
        "nouns": NOUNS,
        "today": timezone.localdate(now()),
        "is_narrowed": any(request.GET.get(name) for name in form.fields),
        "lag_seconds": queries.sealing_lag_seconds(),
        "halted": halted,
        "breaks": breaks,
        **_signed(queries.latest_checkpoint()),
    }
    return show(request, "assure/ledger.html", "list", context)


@needs(*READERS)
@require_GET
def known(request: HttpRequest) -> HttpResponse:
    """Offer the people and applications whose names begin like what is being typed."""
    typed = (request.GET.get("about") or request.GET.get("by") or "").strip()[:200]
    return render(request, "assure/parts/known.html", {"known": suggestions(typed) if len(typed) > 1 else []})


def _signed(head: queries.Head | None) -> dict[str, Any]:
    root = base64.b64encode(head.root).decode() if head else ""
    return {"head": head, "root": root, **signing_key(head)}
