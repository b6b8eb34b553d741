"""The forms that write the next version of a birthright rule."""

from __future__ import annotations

from typing import Any

from django import forms

from governance.catalog.models import BirthrightRuleVersion, Entitlement

_CONDITION = "A SCIM filter over people, for instance: department eq “Finance” and not (userType eq “Contractor”)."


class RoleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # no generic when it runs
    """Roles to choose from, named with their application."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the name in the list."""
        return f"{obj.application.name}: {obj.name}"


class RuleForm(forms.Form):
    """Whom a birthright rule selects and what they get."""

    name = forms.CharField(max_length=120)
    condition = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), label="Whom it selects", help_text=_CONDITION, max_length=2000
    )
    entitlements = RoleChoice(
        Entitlement.objects.filter(retired_at__isnull=True, application__retired_at__isnull=True)
        .select_related("application")
        .order_by("application__name", "name"),
        label="What they get",
        widget=forms.SelectMultiple(attrs={"size": 10, "class": "input"}),
    )

    @staticmethod
    def initial_of(name: str, version: BirthrightRuleVersion | None) -> dict[str, Any]:
        """Return what the form starts with: the version in force."""
        if version is None:
            return {"name": name}
        return {
            "name": name,
            "condition": version.condition,
            "entitlements": [one.pk for one in version.entitlements.all()],
        }
