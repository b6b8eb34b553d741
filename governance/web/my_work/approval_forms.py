"""The forms of those who decide, beside yes and no. They read; the actions decide, and their reasons come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms

from governance.access.narrowing import DEPUTY, MINE, Narrowing
from governance.catalog.models import Entitlement, Risk
from governance.identity.models import Person
from governance.web.my_work.forms import Refusable

#: In days: asked at least so long ago.
AGES = [("", "Any age"), ("1", "Older than a day"), ("3", "Older than 3 days"), ("7", "Older than a week")]
ASKED = [("", "All that waits for you"), (MINE, "Asked yourself"), (DEPUTY, "In somebody's place")]


def _sentence(label: str, hint: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write a sentence. The others will read it."},
    )


class WaitingForm(forms.Form):
    """Which of what waits is shown; read from the address. What cannot be read narrows nothing."""

    app = forms.SlugField(required=False, max_length=80)
    person = forms.CharField(required=False, max_length=100)
    risk = forms.TypedChoiceField(
        required=False, choices=[("", "Any risk"), *Risk.choices], coerce=int, empty_value=None
    )
    age = forms.TypedChoiceField(required=False, choices=AGES, coerce=int, empty_value=None)
    whose = forms.ChoiceField(required=False, choices=ASKED)

    def narrowing(self, at: datetime) -> Narrowing:
        """Return what narrows the list."""
        self.full_clean()
        said = getattr(self, "cleaned_data", {})
        days = said.get("age")
        return Narrowing(
            application=said.get("app", ""),
            person=said.get("person", ""),
            risk=said.get("risk"),
            before=None if days is None else at - timedelta(days=days),
            whose=said.get("whose", ""),
        )

    @property
    def kept(self) -> str:
        """Return what narrows as a query, for addresses that lead back to the same list; empty for nothing."""
        self.full_clean()
        said = getattr(self, "cleaned_data", {})
        return urlencode({name: said[name] for name in self.fields if said.get(name) not in (None, "")})


class AskBackForm(Refusable):
    """A question to who asked."""

    question = _sentence("Your question", "They are told, and answer on the page of the request.")


class ReplyForm(Refusable):
    """What who asked says to it."""

    reply = _sentence("Your answer", "Whoever decides reads it.")


class HandOverForm(Refusable):
    """Somebody else decides this one."""

    to = forms.ChoiceField(label="Who decides instead", error_messages={"required": "Choose somebody."})
    reason = _sentence("Why", "They read it.")

    def __init__(self, heirs: Sequence[Person], data: Any = None) -> None:
        super().__init__(data, auto_id="hand_%s")
        self.heirs = {str(one.ref): one for one in heirs}
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose somebody"), *((ref, one.display_name) for ref, one in self.heirs.items())]

    @property
    def heir(self) -> Person:
        """Return who was chosen."""
        return self.heirs[self.cleaned_data["to"]]


class SmallerForm(Refusable):
    """A smaller role in place of what is asked for."""

    role = forms.ChoiceField(label="Which role", error_messages={"required": "Choose a role."})
    reason = _sentence("Why", "They read it.")

    def __init__(self, roles: Sequence[Entitlement], data: Any = None) -> None:
        super().__init__(data, auto_id="smaller_%s")
        self.roles = {one.slug: one for one in roles}
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose a role"), *((slug, one.name) for slug, one in self.roles.items())]

    @property
    def chosen(self) -> Entitlement:
        """Return which was chosen."""
        return self.roles[self.cleaned_data["role"]]


class AwayForm(Refusable):
    """When one is away, and who decides meanwhile."""

    starts_at = forms.DateTimeField(
        label="From",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"required": "Choose when it begins."},
    )
    ends_at = forms.DateTimeField(
        label="Until",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"required": "Choose when you are back."},
    )
    deputy = forms.EmailField(
        label="Who decides meanwhile",
        help_text="Their e-mail address.",
        error_messages={"required": "Name somebody by their e-mail address.", "invalid": "Write an e-mail address."},
    )
    reason = forms.CharField(
        label="Why", required=False, max_length=200, help_text="Others see it, for instance: Holiday."
    )
