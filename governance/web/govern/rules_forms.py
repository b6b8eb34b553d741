"""The form that writes a version of a birthright rule, and the one that builds a condition out of parts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils import timezone

from governance.catalog.models import USUAL_PRIORITY, BirthrightRuleVersion, Entitlement, RuleEffect
from governance.catalog.rules import LAST_PRIORITY, LONGEST_CONDITION, LONGEST_GRACE, MOST_EXCEPTED, RuleTerms
from governance.identity.models import Person
from governance.identity.queries import people_by_email
from governance.identity.values import ATTRIBUTES, compared
from governance.web.govern.pages import start_of_day

_CONDITION = (
    "For instance: department eq “Finance” and not (userType eq “Contractor”). It is a SCIM filter over people."
)
_OPERATORS = [("eq", "is"), ("ne", "is not"), ("sw", "begins with"), ("co", "contains")]
#: So many values of each attribute are offered to pick from.
OFFERED = 12
#: What a condition can be built of, beside the attributes whose values are offered.
_PARTS = [*ATTRIBUTES.items(), ("userName", "User name")]


_ROLES = (
    Entitlement.objects.filter(retired_at__isnull=True, application__retired_at__isnull=True)
    .select_related("application")
    .order_by("application__name", "name", "id")
)


class RoleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # no generic when it runs
    """Roles to choose from, named with their application."""

    def label_from_instance(self, obj: Any) -> str:
        """Return the name in the list."""
        return f"{obj.application.name}: {obj.name}"

    def offer(self, roles: Sequence[Entitlement]) -> None:
        """Show these roles, and choose among them without asking for them again."""
        self.offered = {str(one.pk): one for one in roles}
        self.choices = [(one.pk, self.label_from_instance(one)) for one in roles]

    def clean(self, value: Any) -> Any:
        """Return the roles that were chosen."""
        offered: dict[str, Entitlement] = getattr(self, "offered", {})
        if value and all(str(key) in offered for key in value):
            return [offered[key] for key in dict.fromkeys(map(str, value))]
        return super().clean(value)


class PeopleField(forms.CharField):
    """People, named by their e-mail addresses, one on each line."""

    widget = forms.Textarea

    def clean(self, value: Any) -> Any:
        """Return the people; the field names every address that is nobody's."""
        addresses = [line.strip() for line in str(super().clean(value) or "").splitlines() if line.strip()]
        if len(addresses) > MOST_EXCEPTED:
            raise forms.ValidationError(f"At most {MOST_EXCEPTED} people by name. Use a condition for more.")
        known = people_by_email(set(addresses)) if addresses else {}
        if unknown := [address for address in dict.fromkeys(addresses) if address not in known]:
            raise forms.ValidationError([f"Nobody has the address {address}." for address in unknown])
        return list({known[address].pk: known[address] for address in addresses}.values())


def live_roles() -> list[Entitlement]:
    """Return the roles a rule may name, with their applications, in the order in which they are offered."""
    return list(_ROLES.all())


class RuleForm(forms.Form):
    """What a version of a birthright rule says."""

    name = forms.CharField(max_length=120, help_text="What people call it, for instance: Finance baseline.")
    effect = forms.ChoiceField(
        choices=[
            (RuleEffect.GIVE.value, "Gives these roles to everybody it applies to"),
            (RuleEffect.KEEP_AWAY.value, "Keeps these roles away: rules after it do not give them"),
        ],
        label="What it does",
        initial=RuleEffect.GIVE.value,
        widget=forms.RadioSelect,
    )
    condition = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        label="Whom it applies to",
        help_text=_CONDITION,
        max_length=LONGEST_CONDITION,
    )
    entitlements = RoleChoice(
        _ROLES,
        label="Roles",
        help_text="Hold Ctrl or ⌘ to choose several.",
        error_messages={"required": "Choose at least one role."},
        widget=forms.SelectMultiple(attrs={"size": 10, "class": "input"}),
    )
    except_condition = forms.CharField(
        required=False,
        label="But not to people for whom this is true",
        help_text="A condition as above. Empty leaves nobody out.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        max_length=LONGEST_CONDITION,
    )
    except_people = PeopleField(
        required=False,
        label="And not to these people",
        help_text="E-mail addresses, one on each line. Other rules still apply to them.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    priority = forms.IntegerField(
        label="Place in the order",
        min_value=1,
        max_value=LAST_PRIORITY,
        initial=USUAL_PRIORITY,
        help_text="1 decides first. It matters where one rule gives what another keeps away; "
        "at the same place keeping away wins.",
    )
    grace_days = forms.IntegerField(
        label="Keep roles for so many days after it no longer applies",
        min_value=0,
        max_value=LONGEST_GRACE.days,
        initial=0,
        help_text="For people who move or whom a change of the rule leaves out. Who leaves the company loses "
        "everything at once.",
    )
    starts_on = forms.DateField(
        required=False,
        label="Begins on",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Empty: at once. Until that day the version before stays in force.",
    )

    @staticmethod
    def initial_of(name: str, version: BirthrightRuleVersion) -> dict[str, Any]:
        """Return what the form starts with: the latest version."""
        excepted = Person.objects.filter(pk__in=version.except_person_ids).order_by("display_name")
        return {
            "name": name,
            "effect": version.effect,
            "condition": version.condition,
            "entitlements": [one.pk for one in version.entitlements.all()],
            "except_condition": version.except_condition,
            "except_people": "\n".join(person.email or person.user_name for person in excepted),
            "priority": version.priority,
            "grace_days": version.grace.days,
        }

    def offer(self, roles: Sequence[Entitlement]) -> None:
        """Show these roles to choose from, without asking for them again."""
        field: Any = self.fields["entitlements"]
        field.offer(roles)

    def clean_starts_on(self) -> Any:
        """Refuse a day that is over; today means at once."""
        day = self.cleaned_data["starts_on"]
        today = timezone.localdate()
        if day is not None and day < today:
            raise forms.ValidationError("This day is over. Leave it empty to begin at once.")
        return None if day == today else day

    def terms(self) -> RuleTerms:
        """Return what was written, for the action."""
        said = self.cleaned_data
        return RuleTerms(
            name=said["name"],
            condition=said["condition"],
            entitlements=list(said["entitlements"]),
            effect=said["effect"],
            priority=said["priority"],
            except_condition=said["except_condition"],
            except_people=list(said["except_people"] or []),
            grace=timedelta(days=said["grace_days"]),
            starts_at=start_of_day(said["starts_on"]) if said["starts_on"] else None,
        )

    def address_words(self) -> str:
        """Return what was written as a query string, so that a link shows the same."""
        posted: Any = self.data
        words = [(name, value) for name in self.fields for value in _values(posted, name) if value]
        return urlencode(words)


class PartForm(forms.Form):
    """One comparison to add to a condition."""

    attribute = forms.ChoiceField(choices=_PARTS, label="What")
    operator = forms.ChoiceField(choices=_OPERATORS, label="How")
    value = forms.CharField(
        max_length=200, label="Value", widget=forms.TextInput(attrs={"list": "known-values", "autocomplete": "off"})
    )
    joined = forms.ChoiceField(choices=[("and", "and"), ("or", "or")], label="Joined by", initial="and")

    def part(self) -> str:
        """Return the comparison."""
        said = self.cleaned_data
        return compared(said["attribute"], said["operator"], said["value"])


def one_part(posted: QueryDict) -> tuple[PartForm, str]:
    """Return the comparison that was picked or built, empty when it is none yet, and the form to build the next."""
    picked = posted.get("part", "")
    if picked != "built":
        return PartForm(initial={"joined": posted.get("joined", "and")}), picked
    part = PartForm(posted)
    if not part.is_valid():
        return part, ""
    said = part.cleaned_data
    return PartForm(initial={"attribute": said["attribute"], "joined": said["joined"]}), part.part()


def joined(condition: str, part: str, word: str) -> str:
    """Return a condition with one more part; each side keeps its meaning."""
    before = condition.strip()
    if not before:
        return part
    return f"{_bracketed(before, word)} {word} {part}"


def _bracketed(condition: str, word: str) -> str:
    other = "or" if word == "and" else "and"
    return f"({condition})" if f" {other} " in condition.lower() else condition


def _values(data: Any, name: str) -> list[str]:
    return list(data.getlist(name)) if isinstance(data, QueryDict) else [str(data[name])] if name in data else []
