"""Systems that get the ledger as it happens (SIEM): which there are, how far each is, and what it wants."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.core.errors import Invalid, NotAllowed, NotFound
from governance.identity.models import RoleName
from governance.streams import actions, queries
from governance.streams.models import Destination, DestinationKind, Shape
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
_KIND_WORDS = {
    DestinationKind.WEBHOOK: "Batches of entries as signed POSTs, for collectors that take HTTP.",
    DestinationKind.SYSLOG: "One message for each entry over TLS (RFC 5424 and 5425), for everything else.",
}
_ADDRESS_HELP = {
    DestinationKind.WEBHOOK: "Where batches are sent, starting with https://",
    DestinationKind.SYSLOG: "Host and port, for instance siem.example.com:6514",
}
_PEM = forms.Textarea({"rows": 5, "spellcheck": "false", "autocomplete": "off"})


class StreamForm(forms.Form):
    """A destination of one kind. The action has the last word."""

    name = forms.CharField(max_length=80, help_text="What people here call it.")
    address = forms.CharField(max_length=500)
    shape = forms.ChoiceField(
        choices=Shape.choices,
        label="What it gets",
        help_text="OCSF events are what most SIEMs read. Entries as they were hashed can be proven at the other end.",
    )
    with_names = forms.BooleanField(required=False, label="Send names of people, roles and applications along")
    with_rows = forms.BooleanField(required=False, label="Send the rows that changed in the database as well")

    def __init__(self, kind: str, data: Any = None, *, stream: Destination | None = None) -> None:
        initial = {name: getattr(stream, name) for name in _KEPT} if stream else {"shape": Shape.OCSF}
        super().__init__(data, initial=initial)
        self.fields["address"].help_text = _ADDRESS_HELP[DestinationKind(kind)]
        if kind == DestinationKind.SYSLOG:
            self._add_certificates(has_key=bool(stream and stream.secret_encrypted))
        if stream is None:
            self.fields["from_the_start"] = forms.BooleanField(
                required=False, label="Begin with the first entry of the ledger, not with the next one"
            )
        else:
            self.initial["is_paused"] = stream.paused_at is not None
            self.fields["is_paused"] = forms.BooleanField(
                required=False, label="Pause: send nothing for now; it goes on where it was"
            )

    def _add_certificates(self, *, has_key: bool) -> None:
        """Ask for what TLS needs, in PEM."""
        said = {
            "authorities": ("Authorities", "Certificates that the server's must come from. Empty: the usual ones."),
            "client_certificate": ("Our certificate", "Only if the server asks for one."),
            "client_key": ("Its key", "Leave empty to keep the one that is there." if has_key else "Kept encrypted."),
        }
        for name, (label, words) in said.items():
            self.fields[name] = forms.CharField(
                label=label, help_text=words, required=False, max_length=20_000, widget=_PEM
            )

    def wanted(self) -> actions.Wanted:
        """Return what was asked for."""
        return actions.Wanted(**{name: said for name, said in self.cleaned_data.items() if name != "from_the_start"})


_KEPT = ("name", "address", "shape", "with_names", "with_rows", "authorities", "client_certificate")


@needs(*READERS)
@require_GET
def streams(request: HttpRequest) -> HttpResponse:
    """List the destinations and how far each is."""
    context = {
        "page": "ledger",
        "standings": queries.standings(),
        "kinds": [(kind, DestinationKind(kind).label, words) for kind, words in _KIND_WORDS.items()],
        "may_change": standing_of(request).is_security_admin,
    }
    return render(request, "assure/streams.html", context)


@needs(RoleName.SECURITY_ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, kind: str) -> HttpResponse:
    """Add a destination; a webhook's secret is in the answer to the POST and nowhere else."""
    if kind not in DestinationKind.values:
        raise NotFound("There is no such kind of stream.")
    form = StreamForm(kind, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            from_the_start = form.cleaned_data["from_the_start"]
            made, secret = actions.add(kind, form.wanted(), from_the_start=from_the_start, actor=actor_of(request))
        except Invalid as refusal:
            add_errors(form, refusal)
        else:
            if secret:
                return _shown_once(request, made, secret)
            messages.success(request, f"{made.name} is added. Send a test to see that it arrives.")
            return redirect("stream", made.ref)
    words = _KIND_WORDS[DestinationKind(kind)]
    context = {"page": "ledger", "form": form, "kind": kind, "label": DestinationKind(kind).label, "words": words}
    return render(request, "assure/stream_new.html", context, status=422 if form.errors else 200)


@needs(*READERS)
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Show a destination and how far it is, and keep what is changed."""
    may_change = standing_of(request).is_security_admin
    if request.method == "POST" and not may_change:
        raise NotAllowed("Streams are changed by security administrators.")
    stream = queries.by_ref(ref)
    form = StreamForm(stream.kind, request.POST if request.method == "POST" else None, stream=stream)
    if request.method == "POST" and form.is_valid():
        try:
            actions.change(stream, form.wanted(), actor=actor_of(request))
        except Invalid as refusal:
            add_errors(form, refusal)
        else:
            messages.success(request, "Kept.")
            return redirect("stream", ref)
    (standing,) = queries.standings(queries.live().filter(pk=stream.pk))
    context = {
        "page": "ledger",
        "stream": stream,
        "standing": standing,
        "form": form if may_change else None,
        "is_webhook": stream.kind == DestinationKind.WEBHOOK,
    }
    return render(request, "assure/stream.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def test(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Have a test sent."""
    actions.ask_for_test(queries.by_ref(ref), actor=actor_of(request))
    messages.success(request, "A test is on its way. What came of it shows below in a moment.")
    return redirect("stream", ref)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def renew(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Make a new secret, and show it once."""
    stream = queries.by_ref(ref)
    return _shown_once(request, stream, actions.renew_secret(stream, actor=actor_of(request)))


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def end(request: HttpRequest, ref: UUID) -> HttpResponse:
    """Send nothing there any more."""
    stream = queries.by_ref(ref)
    actions.end(stream, actor=actor_of(request))
    messages.success(request, f"{stream.name} gets nothing more.")
    return redirect("streams")


def _shown_once(request: HttpRequest, stream: Destination, secret: str) -> HttpResponse:
    """Return the page with the secret. It is the answer to the POST itself: there is no address to come back to."""
    return render(request, "assure/stream_secret.html", {"page": "ledger", "stream": stream, "secret": secret})
