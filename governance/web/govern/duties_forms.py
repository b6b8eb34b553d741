"""The forms that write a rule about duties and an exception from one."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from django import forms
from django.http import QueryDict

from governance.catalog.models import Entitlement, Risk, SodEffect
from governance.catalog.sod import SHORTEST_REASON, SodTerms
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.identity.queries import person_by_email
from governance.web.govern.duties_shown import RuleShown
from governance.web.govern.rules_forms import RoleChoice

PAIR, LIMIT = "pair", "limit"
_ROLES = (
    Entitlement.objects.filter(retired_at__isnull=True, application__retired_at__isnull=True)
    .select_related("application")
    .order_by("application__name", "name")
)
_SEVERAL = "Hold Ctrl or ⌘ to choose several."
_NEEDED = {"required": "Choose at least one role."}


class PersonField(forms.CharField):
    """Somebody, named by their e-mail address."""

    def clean(self, value: Any) -> Any:
        """Return the person; the field says so when nobody has the address."""
        text = super().clean(value)
        if not text:
            return None
        try:
            return person_by_email(text)
        except NotFound as nobody:
            raise forms.ValidationError(str(nobody)) from nobody


class DutyRuleForm(forms.Form):
    """What a version of a rule says."""

    name = forms.CharField(max_length=120, help_text="What people call it, for instance: Pay and approve.")
    why = forms.CharField(
        max_length=300,
        label="Why it matters",
        help_text="One plain sentence: what somebody with both could do. Who asks and who decides read it.",
    )
    shape = forms.ChoiceField(
        choices=[
            (PAIR, "Nobody has one of the first roles together with one of the second"),
            (LIMIT, "Nobody has more than so many of the first roles"),
        ],
        label="What it forbids",
        initial=PAIR,
        widget=forms.RadioSelect,
    )
    first = RoleChoice(
        _ROLES,
        label="First roles",
        help_text=_SEVERAL,
        error_messages=_NEEDED,
        widget=forms.SelectMultiple(attrs={"size": 8, "class": "input"}),
    )
    second = RoleChoice(
        _ROLES,
        label="Second roles",
        help_text=_SEVERAL,
        error_messages=_NEEDED,
        widget=forms.SelectMultiple(attrs={"size": 8, "class": "input"}),
    )
    at_most = forms.IntegerField(
        label="At most so many", min_value=1, max_value=99, error_messages={"required": "Say how many."}
    )
    effect = forms.ChoiceField(
        choices=[
            (SodEffect.BLOCK.value, "Refuse it: nobody can say yes without an exception"),
            (SodEffect.WARN.value, "Warn who decides: they see the conflict and may say yes"),
        ],
        label="When somebody asks for what breaks it",
        initial=SodEffect.BLOCK.value,
        widget=forms.RadioSelect,
    )
    severity = forms.TypedChoiceField(choices=Risk.choices, coerce=int, initial=Risk.HIGH, label="How bad it is")
    owner = PersonField(max_length=320, label="Who answers for the rule", help_text="Their e-mail address.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_bound:
            is_limit = self.data.get("shape") == LIMIT
            self.fields["second"].required, self.fields["at_most"].required = not is_limit, is_limit

    @staticmethod
    def initial_of(said: RuleShown) -> dict[str, Any]:
        """Return what the form starts with: the version in force."""
        version = said.version
        return {
            "name": version.name,
            "why": version.why,
            "shape": PAIR if version.at_most is None else LIMIT,
            "first": [role.pk for role in said.first],
            "second": [role.pk for role in said.second],
            "at_most": version.at_most,
            "effect": version.effect,
            "severity": version.severity,
            "owner": version.owner.email or version.owner.user_name,
        }

    def clean(self) -> dict[str, Any]:
        """Leave out what the shape has no use for."""
        said = super().clean() or {}
        unused: dict[str, Any] = {"second": []} if said.get("shape") == LIMIT else {"at_most": None}
        return said | unused

    def terms(self) -> SodTerms:
        """Return what was written, for the action."""
        said = self.cleaned_data
        return SodTerms(
            name=said["name"],
            why=said["why"],
            first=list(said["first"]),
            second=list(said["second"]),
            at_most=said["at_most"],
            severity=said["severity"],
            effect=said["effect"],
            owner=said["owner"],
        )

    def fingerprint(self) -> str:
        """Return what changes when anything in the form does: saving asks whether this was looked at."""
        posted = cast("QueryDict", self.data)
        written = [f"{name}={posted.getlist(name)}" for name in sorted(self.fields)]
        return hashlib.sha256("\n".join(written).encode()).hexdigest()


class ExceptionForm(forms.Form):
    """Who may break a rule, why, until when, and who answers for it."""

    person = PersonField(max_length=320, label="Who", help_text="Their e-mail address.")
    reason = forms.CharField(
        label="Why",
        min_length=SHORTEST_REASON,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One full sentence. It is kept with the exception.",
    )
    ends_on = forms.DateField(
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="At most a year from now. It ends by itself.",
    )
    owner = PersonField(
        max_length=320, label="Who answers for it", help_text="Somebody else's e-mail address. They look after its end."
    )

    @staticmethod
    def initial_of(person: Person | None, owner: Person) -> dict[str, Any]:
        """Return what the form starts with."""
        known = {"person": person.email or person.user_name} if person is not None else {}
        fits = person is None or owner.pk != person.pk
        return known | ({"owner": owner.email or owner.user_name} if fits else {})
