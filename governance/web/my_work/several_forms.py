"""The form that asks for several roles at once, for oneself or somebody else, now or later."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms

from governance.policy.facts import Ask
from governance.web.my_work.asking import span_of
from governance.web.my_work.forms import Refusable, _choose
from governance.web.my_work.several import Several

_WHEN = {"invalid": "Write a day and a time."}


class SeveralForm(Refusable):
    """How long, from when, what for and why, for all the roles together."""

    length = forms.ChoiceField(
        error_messages={"required": "Choose how long.", "invalid_choice": "Choose one of these lengths."}
    )
    starts_at = forms.DateTimeField(
        label="Begins",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Your time. Empty: as soon as it is approved. Whether you may have it is looked at again then.",
        error_messages=_WHEN,
    )
    ends_at = forms.DateTimeField(
        label="Ends",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="Your time. Empty: after the length chosen above.",
        error_messages=_WHEN,
    )
    purpose = forms.ChoiceField(
        error_messages={
            "required": "Choose what this access is for.",
            "invalid_choice": "Choose one of these purposes.",
        }
    )
    reason = forms.CharField(
        label="What will you do with it?",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "One sentence that lets the approvers decide at once"}),
        error_messages={"required": "Write one sentence, so that the approvers can decide at once."},
    )
    ticket = forms.CharField(required=False)

    def __init__(self, page: Several, at: datetime, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at = at
        _choose(self, "length", [(one.seconds, one.words) for one in page.terms.lengths])
        _choose(self, "purpose", [("", "Choose a purpose"), *((one, one) for one in page.terms.purposes)])
        if not page.terms.purposes:
            del self.fields["purpose"]
        if page.is_for_other:
            self.fields["reason"].label = f"What will {page.person.given_name or page.person.display_name} do with it?"
        self.fields["ticket"].required = page.terms.needs_ticket
        self.fields["ticket"].error_messages["required"] = "One of these roles needs a ticket number."

    def clean(self) -> dict[str, Any]:
        """Refuse an end before the start."""
        said = super().clean() or {}
        begins = said.get("starts_at") or self._at
        if said.get("ends_at") and said["ends_at"] <= begins:
            self.add_error("ends_at", "The end must be later than the start.")
        return said

    @property
    def ask(self) -> Ask:
        """Return what is asked for."""
        said = self.cleaned_data
        return Ask(self._span, said.get("purpose", ""), said["reason"], said["ticket"], said["starts_at"])

    @property
    def _span(self) -> timedelta | None:
        said = self.cleaned_data
        if said["ends_at"]:
            span: timedelta = said["ends_at"] - (said["starts_at"] or self._at)
            return span
        return span_of(said["length"])
