"""The forms of connections. Their limits are those of the actions, which have the last word."""

from __future__ import annotations

from typing import Any

from django import forms

from governance.identity.connections.actions import KEEP_DAYS_RANGE, LIMIT_RANGE, OVERLAP_HOURS_RANGE, Terms
from governance.identity.connections.dialects import DIALECTS
from governance.identity.connections.queries import ConnectionDetail

_KINDS = [(each.name, each.label) for each in DIALECTS.values()]
LIFETIMES = [
    ("90", "90 days"),
    ("180", "180 days"),
    ("365", "A year"),
    ("730", "Two years"),
    ("none", "Until somebody revokes it"),
]


def _days(chosen: str) -> int | None:
    return None if chosen == "none" else int(chosen)


def _lifetime() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=LIFETIMES,
        coerce=_days,
        initial="365",
        label="How long the token lives",
        help_text="Gatehouse says so two weeks before it ends.",
    )


class OpenForm(forms.Form):
    """A new connection."""

    name = forms.CharField(
        max_length=80,
        help_text="What people here call this directory, for instance Okta workforce. It stays: the ledger names it.",
    )
    dialect = forms.ChoiceField(choices=_KINDS, initial="default", widget=forms.RadioSelect, label="Kind of directory")
    days = _lifetime()


class TokenForm(forms.Form):
    """A new token beside the others. `newest` is the newest one the asker saw, 0 for none."""

    days = _lifetime()
    newest = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class RotateForm(TokenForm):
    """A new token in place of the others."""

    overlap_hours = forms.IntegerField(
        min_value=OVERLAP_HOURS_RANGE[0],
        max_value=OVERLAP_HOURS_RANGE[1],
        initial=24,
        label="The old ones keep working for (hours)",
        help_text="Long enough to carry the new one to the provider. 0 ends them at once.",
    )

    field_order = ("overlap_hours", "days", "newest")


class ClientForm(forms.Form):
    """New client credentials. `newest` is the newest one the asker saw, 0 for none."""

    newest = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class TermsForm(forms.Form):
    """What of a connection can be changed."""

    dialect = forms.ChoiceField(choices=_KINDS, label="Kind of directory")
    requests_per_minute = forms.IntegerField(
        min_value=LIMIT_RANGE[0],
        max_value=LIMIT_RANGE[1],
        label="Requests a minute",
        help_text="More are answered 429 with the seconds to wait. Providers then slow down by themselves.",
    )
    keep_exchanges_days = forms.IntegerField(
        min_value=KEEP_DAYS_RANGE[0],
        max_value=KEEP_DAYS_RANGE[1],
        label="Keep exchanges for (days)",
        help_text="The last 200 requests and answers, masked.",
    )
    note = forms.CharField(
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For the other administrators: who to call, where it is set up.",
    )

    @classmethod
    def initial_of(cls, detail: ConnectionDetail) -> dict[str, Any]:
        """Return what the form begins with."""
        return {
            "dialect": detail.line.dialect,
            "requests_per_minute": detail.requests_per_minute,
            "keep_exchanges_days": detail.keep_exchanges_days,
            "note": detail.note,
        }

    def terms(self) -> Terms:
        """Return what was chosen."""
        return Terms(**self.cleaned_data)


class RevokeForm(forms.Form):
    """The name of the connection, typed, so that nobody ends the wrong one."""

    typed = forms.CharField(max_length=80, label="Its name", widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name
        self.fields["typed"].help_text = f"Type {name} to show that you mean this one."

    def clean_typed(self) -> str:
        """Refuse any other name."""
        typed: str = self.cleaned_data["typed"]
        if typed != self._name:
            raise forms.ValidationError(f"Type {self._name} exactly.")
        return typed
