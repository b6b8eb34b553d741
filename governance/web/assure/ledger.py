"""The audit log: what happened, by whom, to whom; each entry with the proof that it is in the signed ledger."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from governance.catalog.models import Application
from governance.core.clock import now
from governance.identity.models import Person, RoleName
from governance.ledger import queries
from governance.ledger.recording import Subject
from governance.web.assure.keys import signing_key
from governance.web.govern.lines import SENTENCES, line_of, lines_of, names_for
from governance.web.govern.pages import end_of_day, show, start_of_day, whole_number
from governance.web.roles import needs

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
NOUNS = sorted({event.partition(".")[0] for event in SENTENCES})


class LedgerForm(forms.Form):
    """The filters of the log."""

    about = forms.CharField(required=False, max_length=200)
    by = forms.CharField(required=False, max_length=200)
    event = forms.RegexField(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$", required=False, max_length=80)
    since = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    until = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})
    chain = forms.RegexField(r"^[0-9a-f]{32}$", required=False)

    def clean_about(self) -> Subject | None:
        """Turn what was typed into a subject: R-2041, a name, an address, or kind:reference."""
        text = self.cleaned_data["about"].strip()
        found = _subject(text) if text else None
        if text and found is None:
            raise forms.ValidationError("Nothing by that name. Try R-2041, an address, a full name, or an application.")
        return found

    def clean_by(self) -> str:
        """Turn what was typed into the reference of who acted."""
        text = self.cleaned_data["by"].strip()
        person = _person(text) if text else None
        return str(person.ref) if person else text

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
            since=start_of_day(since) if since else None,
            until=end_of_day(until) if until else None,
            before=before if before >= 0 else None,
        )
    )
    context = {
        "page": "ledger",
        "form": form,
        "lines": lines_of(page.entries),
        "next": page.before,
        "nouns": NOUNS,
        "today": timezone.localdate(now()),
        "is_narrowed": any(request.GET.get(name) for name in form.fields),
        "lag_seconds": queries.sealing_lag_seconds(),
        **_signed(queries.latest_checkpoint()),
    }
    return show(request, "assure/ledger.html", "list", context)


@needs(*READERS)
@require_GET
def entry(request: HttpRequest, index: int) -> HttpResponse:
    """Show one entry with its body, what it commits to, and its proof."""
    found = queries.entry(index)
    said = found.entry
    names = names_for([said])
    context = {
        "page": "ledger",
        "proven": found,
        "entry": said,
        "line": line_of(said, names),
        "subjects": [(one, names.of(one.kind, one.ref)) for one in said.subjects],
        "private": queries.disclosed([index])[index] if said.private else {},
        "data": json.dumps(said.data, ensure_ascii=False, indent=2, sort_keys=True),
        "leaf_hash": base64.b64encode(said.leaf_hash).decode(),
        "path": [base64.b64encode(one).decode() for one in found.path],
        **_signed(found.head),
    }
    return render(request, "assure/entry.html", context)


@needs(*READERS)
@require_GET
def proof(request: HttpRequest, index: int) -> HttpResponse:
    """Answer with the proof of one entry as a file that verifies offline."""
    found = queries.entry(index)
    response = HttpResponse(found.proof_file, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="entry-{index}.tlog-proof"'
    return response


def _signed(head: queries.Head | None) -> dict[str, Any]:
    root = base64.b64encode(head.root).decode() if head else ""
    return {"head": head, "root": root, **signing_key()}


def _subject(text: str) -> Subject | None:
    if number := re.fullmatch(r"[Rr]-(\d{1,12})", text):
        return Subject("request", number[1])
    if named := re.fullmatch(r"([a-z][a-z_]{0,39}):(\S{1,200})", text):
        return Subject(named[1], named[2])
    if person := _person(text):
        return Subject("person", str(person.ref))
    application = Application.objects.filter(name__iexact=text).first() or Application.objects.filter(slug=text).first()
    return Subject("application", str(application.pk)) if application else None


def _person(text: str) -> Person | None:
    lowered = text.lower()
    found = Person.objects.filter(user_name_key=lowered).first() or Person.objects.filter(email__iexact=text).first()
    if found is not None:
        return found
    named = list(Person.objects.filter(display_name__iexact=text)[:2])
    return named[0] if len(named) == 1 else None
