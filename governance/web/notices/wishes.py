"""What somebody wants to be told by mail, and when."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from governance.core.errors import Invalid
from governance.notices import preferences
from governance.notices.kinds import KINDS, PACE_WORDS, TOPICS
from governance.notices.preferences import Wishes
from governance.web.actor import actor_of, person_of
from governance.web.govern.pages import add_errors
from governance.web.roles import signed_in_page, standing_of

PACES = [(pace.value, words) for pace, words in PACE_WORDS.items()]
#: What guests are told about.
GUESTS = ("audits",)
HOURS = [(str(hour), f"{hour:02d}:00") for hour in range(24)]


class WishesForm(forms.Form):
    """A pace for each group of notices, and the hour of the daily mail."""

    def __init__(self, known: Wishes, topics: Collection[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for slug in topics:
            topic = TOPICS[slug]
            self.fields[slug] = forms.ChoiceField(
                label=topic.name, help_text=topic.sentence, choices=PACES, initial=known.paces[slug].value
            )
        self.fields["daily_hour"] = forms.ChoiceField(
            label="The daily mail comes at", choices=HOURS, initial=str(known.daily_hour)
        )
        zones = [("", "As the directory says"), *((zone, zone) for zone in sorted(preferences.zones()))]
        self.fields["time_zone"] = forms.ChoiceField(
            label="Time zone", choices=zones, required=False, initial=known.chosen_zone
        )


@signed_in_page
@require_http_methods(["GET", "HEAD", "POST"])
def wishes(request: HttpRequest) -> HttpResponse:
    """Show what somebody wants to be told by mail, and keep what they choose."""
    person = person_of(request)
    known = preferences.of(person)
    topics = GUESTS if standing_of(request).is_guest else tuple(TOPICS)
    form = WishesForm(known, topics, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            preferences.change(
                person,
                paces={slug: said[slug] for slug in topics},
                daily_hour=int(said["daily_hour"]),
                time_zone=said["time_zone"],
                actor=actor_of(request),
            )
        except Invalid as refusal:
            add_errors(form, refusal)
        else:
            messages.success(request, "Kept.")
            return redirect("notice_settings")
    mandatory = [kind.name for kind in KINDS.values() if kind.is_mandatory]
    context = {"page": "settings", "form": form, "mandatory": mandatory, "address": person.email}
    return render(request, "notices/wishes.html", context, status=422 if form.errors else 200)
