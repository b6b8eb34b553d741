"""Webhooks for administrators: what another system is told, what was sent, and what it answered.

A secret is in one answer to one POST and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.core.clock import now
from governance.core.errors import Invalid, NotFound
from governance.identity.models import RoleName
from governance.notices import webhooks
from governance.notices.kinds import KINDS, TOPICS
from governance.notices.models import LetterState, Webhook, WebhookMessage
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs

_KINDS = [
    (topic.name, [(slug, kind.name) for slug, kind in KINDS.items() if kind.topic == topic.slug])
    for topic in TOPICS.values()
]


class WebhookForm(forms.Form):
    """What a webhook is. The action has the last word."""

    name = forms.CharField(max_length=80, help_text="What people here call it, for instance Chat or Ticket desk.")
    url = forms.CharField(max_length=500, label="Address", help_text="Where messages are sent, starting with https://")
    kinds = forms.MultipleChoiceField(
        choices=_KINDS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="What it is told",
        help_text="Nothing ticked: everything, also what is added later.",
    )


class ChangeForm(WebhookForm):
    """What a webhook is, and whether it is told anything for now."""

    is_paused = forms.BooleanField(required=False, label="Pause: tell it nothing for now; what waits stays")


@needs(RoleName.SECURITY_ADMIN)
@require_GET
def hooks(request: HttpRequest) -> HttpResponse:
    """List the webhooks."""
    found = Webhook.objects.filter(ended_at__isnull=True).order_by("name")
    return render(request, "notices/webhooks.html", {"page": "mail", "hooks": found})


@needs(RoleName.SECURITY_ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Add a webhook, and show its secret once."""
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            hook, secret = webhooks.add(said["name"], said["url"], said["kinds"], actor=actor_of(request))
        except Invalid as refusal:
            add_errors(form, refusal)
        else:
            return _shown_once(request, hook, secret)
    context = {"page": "mail", "form": form}
    return render(request, "notices/webhook_new.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def one(request: HttpRequest, hook_id: int) -> HttpResponse:
    """Show a webhook with its last messages, and keep what is changed."""
    hook = _hook(hook_id)
    known = {"name": hook.name, "url": hook.url, "kinds": hook.kinds, "is_paused": hook.paused_at is not None}
    form = ChangeForm(request.POST if request.method == "POST" else None, initial=known)
    if request.method == "POST" and form.is_valid():
        try:
            webhooks.change(hook, **form.cleaned_data, actor=actor_of(request))
        except Invalid as refusal:
            add_errors(form, refusal)
        else:
            messages.success(request, "Kept.")
            return redirect("webhook", hook.pk)
    sent = WebhookMessage.objects.filter(webhook=hook).order_by("-id")[: webhooks.SHOWN]
    context = {"page": "mail", "hook": hook, "form": form, "sent": [(row, _name(row.kind)) for row in sent]}
    context["former_until"] = hook.former_until if hook.former_until and hook.former_until > now() else None
    return render(request, "notices/webhook.html", context, status=422 if form.errors else 200)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def test(request: HttpRequest, hook_id: int) -> HttpResponse:
    """Send a message that says it is a test."""
    return _act(request, hook_id, webhooks.send_test, "A test is on its way. Its answer shows below in a moment.")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def renew(request: HttpRequest, hook_id: int) -> HttpResponse:
    """Make a new secret, and show it once."""
    secret = webhooks.renew_secret(_hook(hook_id), actor=actor_of(request))
    return _shown_once(request, _hook(hook_id), secret)


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def end_former(request: HttpRequest, hook_id: int) -> HttpResponse:
    """Sign with the new secret only from now on."""
    return _act(request, hook_id, webhooks.end_former_secret, "Only the new secret signs from now on.")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def end(request: HttpRequest, hook_id: int) -> HttpResponse:
    """Tell a webhook nothing more."""
    hook = _hook(hook_id)
    webhooks.end(hook, actor=actor_of(request))
    messages.success(request, f"{hook.name} is told nothing more.")
    return redirect("webhooks")


@needs(RoleName.SECURITY_ADMIN)
@require_POST
def retry(request: HttpRequest, hook_id: int, message_id: int) -> HttpResponse:
    """Send a message again that failed for good."""
    hook = _hook(hook_id)
    message = WebhookMessage.objects.filter(webhook=hook, pk=message_id, state=LetterState.FAILED).first()
    if message is None:
        raise NotFound("There is no such message that failed.")
    webhooks.try_again(message, actor=actor_of(request))
    messages.success(request, "It is sent again.")
    return redirect("webhook", hook.pk)


def _act(request: HttpRequest, hook_id: int, action: Callable[..., Any], said: str) -> HttpResponse:
    hook = _hook(hook_id)
    action(hook, actor=actor_of(request))
    messages.success(request, said)
    return redirect("webhook", hook.pk)


def _shown_once(request: HttpRequest, hook: Webhook, secret: str) -> HttpResponse:
    """Return the page with the secret. It is the answer to the POST itself: there is no address to come back to."""
    return render(request, "notices/webhook_secret.html", {"page": "mail", "hook": hook, "secret": secret})


def _hook(hook_id: int) -> Webhook:
    found = Webhook.objects.filter(pk=hook_id, ended_at__isnull=True).first()
    if found is None:
        raise NotFound("There is no such webhook.")
    return found


def _name(kind: str) -> str:
    return KINDS[kind].name if kind in KINDS else "A test"
