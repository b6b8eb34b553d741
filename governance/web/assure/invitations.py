"""The link that an auditor from outside follows: who invites them to what, and a password of their own."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from governance.core.actor import Actor, Door
from governance.core.errors import Invalid, NotFound
from governance.engagements import inviting
from governance.engagements.letters import send_link
from governance.engagements.models import Guest
from governance.evidence.controls import FRAMEWORKS
from governance.web.errors import answer, say
from governance.web.govern.pages import add_errors
from governance.web.roles import open_page

#: Wrong passwords for one link in so many seconds.
TRIES, TRIES_SECONDS = 10, 300


class AcceptForm(forms.Form):
    """A password: a new one, twice, or the one that a guest of before has here."""

    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        max_length=200,
        strip=False,
        help_text="12 characters or more. A few words in a row are easy to remember.",
        error_messages={"required": "Write a password."},
    )
    again = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        max_length=200,
        strip=False,
        label="Password again",
        error_messages={"required": "Write it again."},
    )

    def __init__(self, *args: Any, is_known: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_known:
            del self.fields["again"]
            self.fields["password"].help_text = "The one that you use here already."
            self.fields["password"].widget.attrs["autocomplete"] = "current-password"

    def clean(self) -> dict[str, Any]:
        """Check that both are the same."""
        said = super().clean() or {}
        if "again" in self.fields and said.get("password") and said.get("again") not in (None, said["password"]):
            self.add_error("again", "These are two different passwords.")
        return said


@open_page
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites whom to what, and let them in with a password."""
    try:
        guest = inviting.invitation(token)
        return _accept(request, guest, token)
    except NotFound as error:
        return answer(request, error)


def _accept(request: HttpRequest, guest: Guest, token: str) -> HttpResponse:
    is_known = not inviting.needs_new_password(guest)
    form = AcceptForm(request.POST or None, is_known=is_known)
    if request.method == "POST" and form.is_valid():
        if not _may_try(guest):
            return say(request, 429, ["Wait five minutes, then try again."])
        # Who somebody is says their link; until then nobody acts.
        actor = Actor.system("invitation", door=Door.WEB)
        try:
            person = inviting.accept(token, password=form.cleaned_data["password"], actor=actor)
        except Invalid as error:
            add_errors(form, error)
        else:
            get_adapter(request).login(request, person)
            return redirect("engagement", guest.engagement.ref)
    context = {
        "form": form,
        "guest": guest,
        "engagement": guest.engagement,
        "framework": FRAMEWORKS[guest.engagement.framework],
        "is_known": is_known,
    }
    return render(request, "assure/invitation.html", context, status=422 if form.errors else 200)


def _may_try(guest: Guest) -> bool:
    name = f"invitation:{guest.pk}"
    cache.add(name, 0, TRIES_SECONDS)
    return cache.incr(name) <= TRIES


def send(request: HttpRequest, guest: Guest, token: str) -> tuple[str, str]:
    """Mail the link; return it and, in a sentence, what became of the mail. Outside of any transaction."""
    link = request.build_absolute_uri(reverse("invitation", args=[token]))
    return link, send_link(guest, link)
