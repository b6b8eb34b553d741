"""Where heads of the ledger are kept out of our reach: which places, how fresh, and what each gave in return."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.anchors import actions, queries
from governance.anchors.models import Anchor, AnchorKind
from governance.anchors.ways import WAYS
from governance.core.clock import now
from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import RoleName
from governance.ledger.queries import latest_checkpoint
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
_SHOWN = 50
_KIND_WORDS = {
    AnchorKind.MAIL: "Once a day to mailboxes outside of your company. Costs nothing.",
    AnchorKind.GIT: "Every ten minutes as a commit in a repository that somebody else keeps.",
    AnchorKind.OBJECT_LOCK: "Every hour as an object that nobody can delete before a date.",
    AnchorKind.TIMESTAMP: "Once a day with the time of an independent authority (RFC 3161).",
    AnchorKind.WITNESS: "Your auditor or customer looks at the log by a program of their own and signs what they saw.",
}


class AnchorForm(forms.Form):
    """An anchor of one kind. The action has the last word."""

    name = forms.CharField(max_length=80, help_text="What people here call it.")

    def __init__(self, kind: str, data: Any = None, *, anchor: Anchor | None = None) -> None:
        initial = {"name": anchor.name, **anchor.settings, "every": anchor.every_seconds // 60} if anchor else {}
        super().__init__(data, initial=initial)
        self.secret = next((one.name for one in WAYS[kind].fields if one.is_secret), "")
        for one in WAYS[kind].fields:
            widget: forms.Widget = forms.Textarea({"rows": 6}) if one.is_long else forms.TextInput()
            if one.is_secret:
                widget = forms.PasswordInput({"autocomplete": "off"})
            is_kept = one.is_secret and anchor is not None and bool(anchor.secret_encrypted)
            self.fields[one.name] = forms.CharField(
                label=one.label,
                help_text="Leave empty to keep the one that is there." if is_kept else one.hint,
                required=one.is_needed and not is_kept,
                max_length=20_000 if one.is_long else 500,
                widget=widget,
            )
        usual = WAYS[kind].every_seconds // 60
        self.fields["every"] = forms.IntegerField(
            label="Minutes between two heads",
            required=False,
            min_value=1,
            max_value=44_640,
            help_text=f"{usual} when empty. After three of them without a new head it shows as late.",
        )
        if anchor is not None:
            self.initial["is_paused"] = anchor.paused_at is not None
            self.fields["is_paused"] = forms.BooleanField(required=False, label="Pause: send nothing for now")

    def wanted(self) -> actions.Wanted:
        """Return what was asked for."""
        said = dict(self.cleaned_data)
        every, secret = said.pop("every"), said.pop(self.secret, "")
        return actions.Wanted(
            said.pop("name"),
            is_paused=said.pop("is_paused", False),
            secret=secret,
            every_seconds=every * 60 if every else None,
            settings={name: str(value) for name, value in said.items()},
        )

    def refuse(self, refusal: Invalid) -> None:
        """Show at the fields what the action says."""
        named = {("every" if name == "every_seconds" else name): lines for name, lines in refusal.fields.items()}
        add_errors(self, Invalid(named))


@needs(*READERS)
@require_GET
def anchors(request: HttpRequest) -> HttpResponse:
    """List the places that keep heads."""
    at = now()
    context = {
        "page": "ledger",
        "anchors": [(one, queries.is_late(one, at=at)) for one in queries.live()],
        "kinds": [(kind, AnchorKind(kind).label, words) for kind, words in _KIND_WORDS.items()],
        "head": latest_checkpoint(),
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "assure/anchors.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, kind: str) -> HttpResponse:
    """Add a place."""
    if kind not in WAYS:
        raise NotFound("There is no such kind of anchor.")
    form = AnchorForm(kind, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.add(kind, form.wanted(), actor=actor_of(request))
        except Invalid as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"{made.name} is added. Its first head is on its way.")
            return redirect("anchor", made.ref)
    label, words = AnchorKind(kind).label, _KIND_WORDS[AnchorKind(kind)]
    context = {"page": "ledger", "form": form, "kind": kind, "label": label, "words": words}
    return render(request, "assure/anchor_new.html", context, status=422 if form.errors else 200)


@needs(*READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show a place with what it gave, and keep what is changed."""
    if request.method == "POST" and not standing_of(request).is_security_admin:
        raise NotAllowed("Anchors are changed by security administrators.")
    anchor = queries.by_ref(ref)
    may_change = standing_of(request).is_security_admin and anchor.ended_at is None
    form = AnchorForm(anchor.kind, request.POST if request.method == "POST" else None, anchor=anchor)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change(anchor, form.wanted(), actor=actor_of(request))
        except Invalid as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, "Kept.")
            return redirect("anchor", ref)
    context = {
        "page": "ledger",
        "anchor": anchor,
        "form": form if may_change else None,
        "comes_by_itself": WAYS[anchor.kind].keep is None,
        "is_late": queries.is_late(anchor, at=now()),
        "receipts": queries.receipts(anchor)[:_SHOWN],
        "head": latest_checkpoint(),
    }
    return render(request, "assure/anchor.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def keep_now(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Have a place keep the newest head now."""
    actions.keep_now(queries.by_ref(ref), actor=actor_of(request))
    messages.success(request, "The newest head is on its way.")
    return redirect("anchor", ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def end(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Send nothing there any more."""
    anchor = queries.by_ref(ref)
    actions.end(anchor, actor=actor_of(request))
    messages.success(request, f"{anchor.name} gets no more heads. What it keeps stays there.")
    return redirect("anchors")
