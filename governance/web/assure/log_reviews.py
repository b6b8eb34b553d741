"""Reviews of the log: what there was to look at, who looked, what they found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity.models import RoleName
from governance.log_reviews import actions, queries
from governance.log_reviews.models import LONGEST_DAYS, SHORTEST_DAYS
from governance.web.actor import actor_of
from governance.web.govern.pages import add_errors
from governance.web.roles import needs, standing_of

READERS = (RoleName.SECURITY_ADMIN, RoleName.AUDITOR)


class CadenceForm(forms.Form):
    """How often."""

    days = forms.IntegerField(
        min_value=SHORTEST_DAYS,
        max_value=LONGEST_DAYS,
        label="Days between two reviews",
        error_messages={"invalid": "Give a whole number.", "required": "Say how many days."},
    )


class SignForm(forms.Form):
    """What was found, and what is done about it."""

    findings = forms.CharField(
        max_length=4000,
        label="What you found",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Or that you found nothing.",
        error_messages={"required": "Say what you found, or that you found nothing."},
    )
    follow_up = forms.CharField(
        max_length=4000,
        required=False,
        label="What is done about it",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


@needs(*READERS)
def log_reviews(request: HttpRequest) -> HttpResponse:
    """Show the reviews, and keep another number of days between them."""
    form = CadenceForm(request.POST or None, initial={"days": actions.days_between()})
    if request.method == "POST":
        days = form.cleaned_data["days"] if form.is_valid() else actions.days_between()
        try:
            if form.is_valid() or not standing_of(request).is_security_admin:
                actions.set_cadence(days, actor=actor_of(request))
                messages.success(request, "Kept, from the next review on.")
                return redirect("log_reviews")
        except Invalid as error:
            add_errors(form, error)
    context: dict[str, Any] = {
        "page": "log_reviews",
        "reviews": queries.reviews(),
        "form": form,
        "days": actions.days_between(),
        "may_change": standing_of(request).is_security_admin,
        "now": now(),
    }
    return render(request, "assure/log_reviews.html", context, status=422 if form.errors else 200)


@needs(*READERS)
def log_review(request: HttpRequest, review_id: int) -> HttpResponse:
    """Show what there is to look at in one stretch, and sign it."""
    review, form = queries.review(review_id), SignForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.sign(review, **form.cleaned_data, actor=actor_of(request))
        except Invalid as error:
            add_errors(form, error)
        else:
            messages.success(request, "Signed.")
            return redirect("log_review", review_id)
    counts = review.counts if review.signed_at else queries.counts_of(review)
    first = timezone.localtime(review.starts_at).date()
    last = timezone.localtime(review.ends_at - timedelta(microseconds=1)).date()
    context = {
        "page": "log_reviews",
        "review": review,
        "form": form,
        "lines": [(said, event, counts.get(event, 0)) for event, said in queries.WORTH_LOOKING.items()],
        "since": first.isoformat(),
        "until": last.isoformat(),
        "now": now(),
    }
    return render(request, "assure/log_review.html", context, status=422 if form.errors else 200)
