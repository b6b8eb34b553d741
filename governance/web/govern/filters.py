"""Forms that read the query string of the lists. What cannot be read narrows nothing, and is said at its field."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.utils import timezone

from governance.catalog.models import DataClass
from governance.core.clock import now
from governance.web.govern.pages import end_of_day
from governance.web.kinds import KINDS

#: In an address: the people whose department nobody told us.
NO_DEPARTMENT = "none"


class AsOfForm(forms.Form):
    """A day to look back to."""

    at = forms.DateField(required=False, error_messages={"invalid": "Write the day as 2026-03-31."})

    def clean_at(self) -> date | None:
        """Refuse what nobody can know yet."""
        day: date | None = self.cleaned_data["at"]
        if day and day > timezone.localdate(now()):
            raise forms.ValidationError("That day has not begun yet.")
        if day and day.year < 1970:
            raise forms.ValidationError("That is before anything was recorded.")
        return day

    def moment(self) -> tuple[datetime, bool]:
        """Return the instant that is asked about, and whether it is in the past: the end of the chosen day, or now."""
        self.full_clean()
        present = now()
        day = self.read("at")
        if day is None or day >= timezone.localdate(present):
            return present, False
        return end_of_day(day), True

    def read(self, name: str) -> Any:
        """Return a field that was read, or nothing."""
        return getattr(self, "cleaned_data", {}).get(name)


class MatrixForm(AsOfForm):
    """The filters of the matrix."""

    q = forms.CharField(required=False, max_length=100)
    dept = forms.CharField(required=False, max_length=200)
    data = forms.ChoiceField(required=False, choices=[("", "Any data"), *DataClass.choices])  # type: ignore[assignment]  # a form keeps its fields apart
    type = forms.MultipleChoiceField(required=False, choices=[(kind, kind) for kind in KINDS])
