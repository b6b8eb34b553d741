"""The forms of My work. They read; the policy decides, and its reasons come back to the fields they are about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms

from governance.core.errors import Reason
from governance.web.my_work.asking import Asking, Length, span_of

#: A reason of the policy is about one of its words; our field may be called otherwise.
_FIELDS = {"entitlement": "role", "duration": "length"}


class Refusable(forms.Form):
    """A form that can show why a rule said no."""

    def refuse(self, reasons: Iterable[Reason]) -> None:
        """Put each reason to the field it is about, and the others above the form."""
        for reason in reasons:
            name = _FIELDS.get(reason.field, reason.field)
            self.add_error(name if name in self.fields else None, reason.sentence)


class AskForm(Refusable):
    """Ask for a role."""

    role = forms.ChoiceField(
        error_messages={"required": "Choose a role.", "invalid_choice": "Choose one of these roles."}
    )
    length = forms.ChoiceField(
        error_messages={"required": "Choose how long.", "invalid_choice": "Choose one of these lengths."}
    )
    purpose = forms.ChoiceField(
        error_messages={
            "required": "Choose what this access is for.",
            "invalid_choice": "Choose one of these purposes.",
        }
    )
    reason = forms.CharField(
        label="What will you do with it?",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "One sentence that lets the approver decide at once"}),
        error_messages={"required": "Write one sentence, so that the approver can decide at once."},
    )
    ticket = forms.CharField(required=False)

    def __init__(self, drawer: Asking, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choose(self, "role", [(one.offer.role.slug, one.offer.role.name) for one in drawer.choices])
        _choose(self, "length", [(one.seconds, one.words) for one in drawer.lengths])
        _choose(self, "purpose", [("", "Choose a purpose"), *((one, one) for one in drawer.purposes)])
        if not drawer.purposes:
            del self.fields["purpose"]
        self.fields["ticket"].required = drawer.offer.version.requires_ticket
        self.fields["ticket"].error_messages["required"] = "This role needs a ticket number."

    @property
    def span(self) -> timedelta | None:
        """Return the length that was chosen."""
        return span_of(self.cleaned_data["length"])


class ExtendForm(Refusable):
    """Ask for more time."""

    length = forms.ChoiceField(
        error_messages={"required": "Choose how much longer.", "invalid_choice": "Choose one of these lengths."}
    )
    reason = forms.CharField(
        label="Why do you need it longer?",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "One sentence that lets the approver decide at once"}),
        error_messages={"required": "Write one sentence, so that the approver can decide at once."},
    )
    ticket = forms.CharField(required=False)

    def __init__(self, lengths: Iterable[Length], *args: Any, needs_ticket: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _choose(self, "length", [(one.seconds, one.words) for one in lengths])
        self.fields["ticket"].required = needs_ticket
        self.fields["ticket"].error_messages["required"] = "This role needs a ticket number."

    @property
    def span(self) -> timedelta | None:
        """Return the length that was chosen."""
        return span_of(self.cleaned_data["length"])


class DecisionForm(Refusable):
    """Say yes or no. `length` is empty for the time that was asked for."""

    length = forms.RegexField(r"^\d{1,9}$", required=False, error_messages={"invalid": "Choose one of these lengths."})
    reason = forms.CharField(required=False)

    @property
    def span(self) -> timedelta | None:
        """Return the shorter length that was chosen, none for the one asked for."""
        said = self.cleaned_data["length"]
        return timedelta(seconds=int(said)) if said else None


def _choose(form: forms.Form, name: str, choices: list[tuple[str, str]]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices
