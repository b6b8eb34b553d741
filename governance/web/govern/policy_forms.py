"""The forms that write the next version of a policy."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from governance.catalog.models import AccessPolicyVersion, ApproverKind
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import as_stages

_HOUR = timedelta(hours=1)
_SOMEBODY = [("", "Nobody further"), *ApproverKind.choices]
_CONDITION = "A SCIM filter over people, for instance: department eq “Finance” and not (userType eq “Contractor”)."


class PolicyForm(forms.Form):
    """What a version of a policy says. Lengths are hours."""

    name = forms.CharField(max_length=120)
    stage_1 = forms.ChoiceField(choices=ApproverKind.choices, label="Who decides")
    stage_2 = forms.ChoiceField(choices=_SOMEBODY, required=False, label="And then")
    stage_3 = forms.ChoiceField(choices=_SOMEBODY, required=False, label="And then")
    default_duration = forms.FloatField(label="Offered at first, hours", min_value=0.01)
    max_duration = forms.FloatField(label="At most, hours", min_value=0.01)
    allows_open_end = forms.BooleanField(required=False, label="May be asked for without an end")
    may_request = forms.CharField(
        required=False, label="Who may ask", help_text=f"Empty lets everybody ask. {_CONDITION}", max_length=2000
    )
    purposes = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 5}), label="Purposes to choose from", help_text="One on each line."
    )
    requires_ticket = forms.BooleanField(required=False, label="A ticket is needed")
    auto_approve = forms.CharField(
        required=False,
        label="Approved at once for",
        help_text=f"Empty approves nobody by itself. {_CONDITION}",
        max_length=2000,
    )
    auto_approve_up_to = forms.FloatField(label="At once up to, hours", min_value=0, required=False)
    lapses_after = forms.FloatField(label="Lapses when nobody answers for, hours", min_value=0.01)

    @staticmethod
    def initial_of(name: str, version: AccessPolicyVersion | None) -> dict[str, Any]:
        """Return what the form starts with: the version in force, or the usual terms."""
        terms: Any = version or PolicyTerms(stages=(ApproverKind.OWNER,))
        stages = [*(stage.kind for stage in (version.route if version else as_stages(terms.stages))), "", "", ""]
        return {
            "name": name,
            "stage_1": stages[0],
            "stage_2": stages[1],
            "stage_3": stages[2],
            "default_duration": _hours(terms.default_duration),
            "max_duration": _hours(terms.max_duration),
            "allows_open_end": terms.allows_open_end,
            "may_request": terms.may_request,
            "purposes": "\n".join(terms.purposes),
            "requires_ticket": terms.requires_ticket,
            "auto_approve": terms.auto_approve,
            "auto_approve_up_to": _hours(terms.auto_approve_up_to),
            "lapses_after": _hours(terms.lapses_after),
        }

    def terms(self) -> PolicyTerms:
        """Return what was written, for the action."""
        said = self.cleaned_data
        return PolicyTerms(
            stages=tuple(stage for name in ("stage_1", "stage_2", "stage_3") if (stage := said[name])),
            may_request=said["may_request"],
            default_duration=said["default_duration"] * _HOUR,
            max_duration=said["max_duration"] * _HOUR,
            allows_open_end=said["allows_open_end"],
            purposes=tuple(line.strip() for line in said["purposes"].splitlines() if line.strip()),
            requires_ticket=said["requires_ticket"],
            auto_approve=said["auto_approve"],
            auto_approve_up_to=(said["auto_approve_up_to"] or 0) * _HOUR,
            lapses_after=said["lapses_after"] * _HOUR,
        )


def _hours(span: timedelta) -> float | int:
    hours = span / _HOUR
    return int(hours) if hours == int(hours) else round(hours, 2)
