"""The editor of a policy: everything a version says, and its stages one after the other, without a script."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from governance.catalog.models import ApproverKind, AtEnd, Extending
from governance.catalog.policy_terms import CONDITIONS, LONGEST, MOST_STAGES, PolicyTerms
from governance.catalog.stages import BY_SECURITY, GROUP, OWNER, PEOPLE, Approvers, Stage
from governance.core.errors import Invalid, NotFound
from governance.identity.models import Group, Person
from governance.identity.profiles import key
from governance.identity.queries import person_by_email
from governance.web.govern.rules_forms import PartForm, joined

_HOUR = timedelta(hours=1)
_MOST_HOURS = LONGEST / _HOUR
_CONDITION = "A SCIM filter over people, for instance: department eq “Finance” and not (userType eq “Contractor”)."
#: What a new policy starts with: the owner decides, and security where there is none.
USUAL = PolicyTerms(stages=(Stage(Approvers(OWNER), fallback=BY_SECURITY),))


class ApproversForm(forms.Form):
    """Who is asked: a kind, and the group or the people where the kind needs them."""

    kind = forms.ChoiceField(choices=ApproverKind.choices, label="Who")
    group = forms.CharField(required=False, max_length=320, label="Name of the group")
    people = forms.CharField(
        required=False, max_length=2000, label="E-mail addresses", help_text="Several with commas between them."
    )

    def clean_group(self) -> str:
        """Return the reference of the group that is named."""
        name = self.cleaned_data["group"].strip()
        if not name or self.cleaned_data.get("kind") != GROUP:
            return ""
        found = Group.objects.filter(display_name_key=key(name), is_listed=True).values_list("ref", flat=True).first()
        if found is None:
            raise forms.ValidationError(f"There is no group called {name}.")
        return str(found)

    def clean_people(self) -> tuple[str, ...]:
        """Return the references of the people whose addresses are named."""
        addresses = [one.strip() for one in self.cleaned_data["people"].split(",") if one.strip()]
        if self.cleaned_data.get("kind") != PEOPLE:
            return ()
        found, missing = [], []
        for address in dict.fromkeys(addresses):
            try:
                found.append(str(person_by_email(address).ref))
            except NotFound as nobody:
                missing.append(str(nobody))
        if missing:
            raise forms.ValidationError(missing)
        return tuple(found)

    def approvers(self) -> Approvers | None:
        """Return who is asked; none when nobody is named."""
        said = self.cleaned_data
        return Approvers(said["kind"], said["group"], said["people"]) if said["kind"] else None

    @staticmethod
    def initial_of(asked: Approvers | None, names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        """Return what the form starts with. `names` are names and addresses by reference."""
        if asked is None:
            return {"kind": ""}
        people = ", ".join(names[ref][1] for ref in asked.people if ref in names)
        return {"kind": asked.kind, "group": names.get(asked.group, ("", ""))[0], "people": people}


class FallbackForm(ApproversForm):
    """Who is asked instead."""

    kind = forms.ChoiceField(
        choices=[("", "Nobody is named"), *ApproverKind.choices],
        required=False,
        label="When there is nobody, or silence",
    )


class StageForm(ApproversForm):
    """One stage."""

    quorum = forms.IntegerField(min_value=1, max_value=9, initial=1, label="How many have to say yes")
    after = forms.FloatField(
        required=False,
        min_value=0.02,
        max_value=2160,
        label="Silence lasts, hours",
        help_text="Empty: nobody else is asked.",
    )


class PolicyForm(forms.Form):
    """What a version of a policy says besides its stages. Lengths are hours."""

    name = forms.CharField(max_length=120)
    may_request = forms.CharField(
        required=False, label="Who may ask", help_text=f"Empty lets everybody ask. {_CONDITION}", max_length=2000
    )
    auto_deny = forms.CharField(
        required=False,
        label="Declined at once for",
        help_text="Empty declines nobody by itself. What they ask for is recorded and answered no.",
        max_length=2000,
    )
    default_duration = forms.FloatField(label="Offered at first, hours", min_value=0.01, max_value=_MOST_HOURS)
    max_duration = forms.FloatField(label="At most, hours", min_value=0.01, max_value=_MOST_HOURS)
    allows_open_end = forms.BooleanField(required=False, label="May be asked for without an end")
    purposes = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 5}), label="Purposes to choose from", help_text="One on each line."
    )
    requires_ticket = forms.BooleanField(required=False, label="A ticket is needed")
    ticket_pattern = forms.CharField(
        required=False,
        max_length=200,
        label="What a ticket looks like",
        help_text="A regular expression for the whole number, for instance: INC[0-9]+. Empty takes anything.",
    )
    auto_approve = forms.CharField(
        required=False, label="Approved at once for", help_text="Empty approves nobody by itself.", max_length=2000
    )
    auto_approve_up_to = forms.FloatField(
        label="At once up to, hours", min_value=0, max_value=_MOST_HOURS, required=False
    )
    never_automatic_from = forms.IntegerField(
        required=False, min_value=1, max_value=100, label="A person always looks, from risk"
    )
    needs_security_from = forms.IntegerField(
        required=False, min_value=1, max_value=100, label="Security decides too, from risk"
    )
    refused_from = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=100,
        label="Refused, from risk",
        help_text="Points of 1 to 100. Empty: never.",
    )
    may_shorten = forms.BooleanField(required=False, label="Whoever decides may choose a shorter time")
    lapses_after = forms.FloatField(
        label="Lapses when nobody answers for, hours", min_value=0.01, max_value=_MOST_HOURS
    )
    extending = forms.ChoiceField(choices=Extending.choices, label="Who decides a longer time")
    at_end = forms.ChoiceField(choices=AtEnd.choices, label="When the time is up")
    kept_for = forms.FloatField(
        required=False, min_value=0, max_value=_MOST_HOURS, label="Kept while the owner is asked, hours"
    )
    warns_before = forms.CharField(
        required=False, max_length=80, label="Warned before the end, hours", help_text="Several with commas: 24, 1."
    )
    break_glass_up_to = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=24,
        label="Break-glass up to, hours",
        help_text="Empty: there is none.",
    )
    may_break_glass = forms.CharField(
        required=False, max_length=2000, label="Who may break glass", help_text="Empty lets everybody."
    )

    def clean_warns_before(self) -> tuple[timedelta, ...]:
        """Return how long before the end somebody is warned."""
        try:
            return tuple(_span(float(one)) for one in self.cleaned_data["warns_before"].split(",") if one.strip())
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError("Write hours with commas between them: 24, 1.") from error

    @staticmethod
    def initial_of(name: str, terms: PolicyTerms) -> dict[str, Any]:
        """Return what the form starts with."""
        same = (
            "may_request", "auto_deny", "allows_open_end", "requires_ticket", "ticket_pattern", "auto_approve",
            "never_automatic_from", "needs_security_from", "refused_from", "may_shorten", "extending", "at_end",
            "may_break_glass",
        )  # fmt: skip
        spans = ("default_duration", "max_duration", "auto_approve_up_to", "lapses_after")
        return {
            "name": name,
            **{field: getattr(terms, field) for field in same},
            **{field: _hours(getattr(terms, field)) for field in spans},
            "kept_for": _hours(terms.kept_for) or "",
            "break_glass_up_to": _hours(terms.break_glass_up_to) if terms.break_glass_up_to else "",
            "purposes": "\n".join(terms.purposes),
            "warns_before": ", ".join(f"{_hours(span):g}" for span in sorted(terms.warns_before, reverse=True)),
        }


class WhyForm(forms.Form):
    """Why a change is proposed."""

    why = forms.CharField(
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=2000,
        required=False,
        help_text="One full sentence. The second person reads it, and it stays on record.",
    )


#: What is sent with a draft and is no part of it: a condition that is being built is in it when it was added.
_BESIDE = {"csrfmiddlewaretoken", "do", "shown", "why", "alone", "into", *PartForm.base_fields}


@dataclass(frozen=True, slots=True)
class Row:
    """A stage in the editor with who is asked instead, and its place."""

    number: int
    stage: StageForm
    fallback: FallbackForm
    is_first: bool
    is_last: bool


class Editor:
    """The whole editor. Bound when it was sent; moving stages about leaves it unbound, with what was written."""

    def __init__(self, form: PolicyForm, why: WhyForm, rows: Sequence[tuple[StageForm, FallbackForm]],
                 reviewer: ApproversForm) -> None:  # fmt: skip
        self.form, self.why, self.reviewer = form, why, reviewer
        self.rows = [
            Row(number, stage, fallback, number == 1, number == len(rows))
            for number, (stage, fallback) in enumerate(rows, 1)
        ]
        self.stage_errors: list[str] = []
        self.refusals: list[str] = []

    @property
    def may_add(self) -> bool:
        """Tell whether there is room for another stage."""
        return len(self.rows) < MOST_STAGES

    @property
    def forms(self) -> Iterator[forms.Form]:
        """Return every form of the editor."""
        yield from (self.form, self.why, self.reviewer)
        for row in self.rows:
            yield from (row.stage, row.fallback)

    @property
    def has_errors(self) -> bool:
        """Tell whether anything was refused."""
        return bool(self.stage_errors or self.refusals or any(one.errors for one in self.forms))

    @classmethod
    def of(cls, name: str, terms: PolicyTerms, why: str = "") -> Editor:
        """Return the editor of these terms."""
        names = _names(terms)
        rows = [
            {
                **ApproversForm.initial_of(stage.asked, names),
                "quorum": stage.quorum,
                "after": "" if stage.escalates_after is None else _hours(stage.escalates_after),
            }
            for stage in terms.route
        ]
        instead = [ApproversForm.initial_of(stage.fallback, names) for stage in terms.route]
        return cls(
            PolicyForm(initial=PolicyForm.initial_of(name, terms)),
            WhyForm(initial={"why": why}),
            _unbound(list(zip(rows, instead, strict=True))),
            ApproversForm(initial=ApproversForm.initial_of(terms.break_glass_reviewer, names), prefix="reviewer"),
        )

    @classmethod
    def posted(cls, data: QueryDict) -> Editor:
        """Return the editor as it was sent, to be checked."""
        return cls(
            PolicyForm(data),
            WhyForm(data),
            [
                (StageForm(data, prefix=f"stage-{number}"), FallbackForm(data, prefix=f"instead-{number}"))
                for number in range(1, _count(data) + 1)
            ],
            ApproversForm(data, prefix="reviewer"),
        )

    @classmethod
    def rearranged(cls, data: QueryDict, do: str) -> Editor:
        """Return the editor as it was sent with its stages moved about: `add`, `remove-2`, `up-2`, `down-1`."""
        rows = [(_raw(data, f"stage-{one}", StageForm), _raw(data, f"instead-{one}", FallbackForm))
                for one in range(1, _count(data) + 1)]  # fmt: skip
        return cls(
            PolicyForm(initial=_raw(data, "", PolicyForm)),
            WhyForm(initial=_raw(data, "", WhyForm)),
            _unbound(_moved(rows, do)),
            ApproversForm(initial=_raw(data, "reviewer", ApproversForm), prefix="reviewer"),
        )

    @classmethod
    def built(cls, data: QueryDict, part: str) -> Editor:
        """Return the editor as it was sent with one more part in the condition that is built (`into`)."""
        editor, into = cls.rearranged(data, ""), data.get("into", "")
        if part and into in CONDITIONS:
            editor.form.initial[into] = joined(editor.form.initial[into], part, data.get("joined", "and"))
        return editor

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Return name and label of each condition, in the order of the page."""
        return [(one.name, str(one.label)) for one in self.form if one.name in CONDITIONS]

    def terms(self) -> PolicyTerms | None:
        """Return what was written; none when a field cannot be read, which then says so."""
        if not all([one.is_valid() for one in self.forms]):  # noqa: C419 - every form is to say what is wrong
            return None
        said = dict(self.form.cleaned_data)
        del said["name"]
        said["purposes"] = tuple(line.strip() for line in said["purposes"].splitlines() if line.strip())
        for field in ("default_duration", "max_duration", "auto_approve_up_to", "lapses_after", "kept_for"):
            said[field] = _span(said[field] or 0)
        span = said["break_glass_up_to"]
        said["break_glass_up_to"] = None if span is None else _span(span)
        return PolicyTerms(
            stages=tuple(_stage(row) for row in self.rows),
            break_glass_reviewer=self.reviewer.approvers() or BY_SECURITY,
            **said,
        )

    def refuse(self, error: Invalid) -> None:
        """Put the sentences of a refused input where they belong."""
        for field, sentences in error.fields.items():
            if field == "stages":
                self.stage_errors += sentences
                continue
            form: forms.Form = self.form
            if field == "why":
                form = self.why
            elif field == "break_glass_reviewer":
                form, field = self.reviewer, "kind"  # noqa: PLW2901
            for sentence in sentences:
                form.add_error(field if field in form.fields else None, sentence)

    @staticmethod
    def fingerprint(data: QueryDict) -> str:
        """Return what changes when anything but the reason does: proposing asks whether this was looked at."""
        written = [f"{name}={data.getlist(name)}" for name in sorted(data) if name not in _BESIDE]
        return hashlib.sha256("\n".join(written).encode()).hexdigest()


def _stage(row: Row) -> Stage:
    asked = row.stage.approvers()
    assert asked is not None  # Its kind is required.
    after = row.stage.cleaned_data["after"]
    return Stage(
        asked=asked,
        quorum=row.stage.cleaned_data["quorum"],
        escalates_after=None if after is None else _span(after),
        fallback=row.fallback.approvers(),
    )


def _span(hours: float) -> timedelta:
    """Return so many hours, in whole seconds."""
    return timedelta(seconds=round(hours * 3600))


Raw = dict[str, Any]


def _unbound(rows: Sequence[tuple[Raw, Raw]]) -> list[tuple[StageForm, FallbackForm]]:
    return [
        (StageForm(initial=stage, prefix=f"stage-{number}"), FallbackForm(initial=instead, prefix=f"instead-{number}"))
        for number, (stage, instead) in enumerate(rows, 1)
    ]


def _moved(rows: list[tuple[Raw, Raw]], do: str) -> list[tuple[Raw, Raw]]:
    verb, _, text = do.partition("-")
    place = int(text) - 1 if text.isascii() and text.isdigit() and len(text) < 3 else -1
    if verb == "add" and len(rows) < MOST_STAGES:
        return [*rows, ({"kind": "owner", "quorum": 1}, {"kind": "security"})]
    if not 0 <= place < len(rows):
        return rows
    if verb == "remove":
        return rows[:place] + rows[place + 1 :]
    other = place + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= other < len(rows):
        rows[place], rows[other] = rows[other], rows[place]
    return rows


def _raw(data: QueryDict, prefix: str, form: type[forms.Form]) -> Raw:
    """Return what was written into a form, as it is."""
    start = f"{prefix}-" if prefix else ""
    return {
        name: bool(data.get(start + name)) if isinstance(field, forms.BooleanField) else data.get(start + name, "")
        for name, field in form.base_fields.items()
    }


def _count(data: QueryDict) -> int:
    text = data.get("stages", "")
    return min(int(text), MOST_STAGES) if text.isascii() and text.isdigit() and len(text) < 3 else 0


def _names(terms: PolicyTerms) -> dict[str, tuple[str, str]]:
    """Return names and addresses of every group and person that is asked, by reference. Two statements at most."""
    asked = [
        terms.break_glass_reviewer,
        *(one for stage in terms.route for one in (stage.asked, stage.fallback) if one),
    ]
    groups = {one.group for one in asked if one.group}
    people = {ref for one in asked for ref in one.people}
    found: dict[str, tuple[str, str]] = {}
    if groups:
        known = Group.objects.filter(ref__in=groups).values_list("ref", "display_name")
        found |= {str(ref): (name, "") for ref, name in known}
    if people:
        for person in Person.objects.filter(ref__in=people):
            found[str(person.ref)] = (person.display_name, person.email or person.user_name)
    return found


def _hours(span: timedelta) -> float | int:
    hours = span / _HOUR
    return int(hours) if hours == int(hours) else round(hours, 4)
