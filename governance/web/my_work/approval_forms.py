"""The forms of those who decide, beside yes and no. They read; the actions decide, and their reasons come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.web.my_work.forms import Refusable


def _sentence(label: str, hint: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write a sentence. The others will read it."},
    )


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
