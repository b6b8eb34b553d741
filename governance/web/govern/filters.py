"""Forms that read the query string of the lists. What cannot be read narrows nothing, and is said at its field."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.utils import timezone
from django.utils.dateparse import parse_date

from governance.catalog.models import DataClass
from governance.core.clock import now
from governance.web.govern.pages import end_of_day
from governance.web.kinds import KINDS

#: In an address: the people whose department nobody told us.
NO_DEPARTMENT = "none"


class InstantField(forms.CharField):
    """A day, which means its end in the reader's zone, or a day with a clock time there; the present for today."""

    default_error_messages: ClassVar = {"invalid": "Write the day as 2026-03-31."}

    def to_python(self, value: Any) -> datetime | None:  # type: ignore[override]  # what a field of instants gives
        """Return the instant, none for nothing. Raises ValidationError for what is no day or not past."""
        text = (super().to_python(value) or "").strip()
        if not text:
            return None
        present = now()
        day = parse_date(text[:10]) if is_shaped(text) else None
        if day is None:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid")
        if day > timezone.localdate(present):
            raise forms.ValidationError("That day has not begun yet.")
        if day.year < 1970:
            raise forms.ValidationError("That is before anything was recorded.")
        return min(_instant(text, day), present)

    def clean(self, value: Any) -> Any:
        """Return the instant; texts that cannot be one are refused, whatever is wrong with them."""
        try:
            return super().clean(value)
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError(self.error_messages["invalid"], "invalid") from error


def is_shaped(text: str) -> bool:
    """Tell whether a text looks like a day, or a day with a clock time."""
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?)?", text, re.ASCII) is not None


def _instant(text: str, day: date) -> datetime:
    if len(text) == len("2026-03-31"):
        return end_of_day(day)
    return timezone.make_aware(datetime.fromisoformat(text))


class AsOfForm(forms.Form):
    """An instant to look back to, and one whose knowledge counts."""

    at = InstantField(required=False)
    known = InstantField(required=False)

    def moment(self) -> tuple[datetime, bool]:
        """Return the instant that is asked about, and whether it is in the past: the chosen one, or now."""
        self.full_clean()
        present = now()
        at = self.read("at")
        return (present, False) if at is None or at >= present else (at, True)

    def knowledge(self) -> tuple[datetime, bool]:
        """Return the instant whose knowledge counts, and whether it is in the past; to be asked after `moment`."""
        present = now()
        known = self.read("known")
        return (present, False) if known is None or known >= present else (known, True)

    def read(self, name: str) -> Any:
        """Return a field that was read, or nothing."""
        return getattr(self, "cleaned_data", {}).get(name)


class MatrixForm(AsOfForm):
    """The filters of the matrix."""

    q = forms.CharField(required=False, max_length=100)
    dept = forms.CharField(required=False, max_length=200)
    data = forms.ChoiceField(required=False, choices=[("", "Any data"), *DataClass.choices])  # type: ignore[assignment]  # a form keeps its fields apart
    type = forms.MultipleChoiceField(required=False, choices=[(kind, kind) for kind in KINDS])


class ReachForm(AsOfForm):
    """What is asked about: a class of data, an application, one of its roles, a person; together they narrow."""

    data = forms.ChoiceField(required=False, choices=[("", "Any data"), *DataClass.choices])  # type: ignore[assignment]  # a form keeps its fields apart
    app = forms.SlugField(required=False, max_length=80)
    role = forms.SlugField(required=False, max_length=80)
    person = forms.CharField(required=False, max_length=320)
