"""Who could reach what, as of any instant, as it was known at any other: the page and its export."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from django.db.models import Q
from django.http import FileResponse, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from governance.access import asof
from governance.access.asof import Asked, Page, Reason, RoleThen, RoleTotal, Totals
from governance.catalog.models import Application, DataClass, Entitlement
from governance.core.errors import NotFound
from governance.identity.models import Person, RoleName
from governance.identity.profiles import key
from governance.web.actor import actor_of
from governance.web.govern.exporting import IN_MEMORY, guarded, record_reach_export, write_lines
from governance.web.govern.filters import ReachForm
from governance.web.govern.pages import show, whole_number
from governance.web.govern.reach import Reach, reach_of
from governance.web.roles import needs

READERS = (RoleName.OWNER, RoleName.SECURITY_ADMIN, RoleName.AUDITOR)
#: So many roles are counted on the page; the file has all.
MOST_ROLES = 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a form asks for, found: rows in place of names. `problem` is why somebody or something was not found."""

    asked: Asked
    application: Application | None = None
    role: Entitlement | None = None
    person: Person | None = None
    problem: str = ""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is asked about yet, or it was not found."""
        asked = self.asked
        return bool(self.problem) or not (asked.data_class or asked.application_id or asked.person_id)


@needs(*READERS)
@require_GET
def reach(request: HttpRequest) -> HttpResponse:
    """Show who could reach what is asked about, by which reason."""
    form = ReachForm(request.GET)
    within = reach_of(request)
    wanted = _wanted(form, within)
    totals, page = (Totals(0, 0, ()), Page((), None, None)) if wanted.is_empty else _answer(wanted.asked, request)
    context = {
        "page": "reach",
        "form": form,
        "wanted": wanted,
        "asked": wanted.asked,
        "is_past": form.moment()[1],
        "is_past_knowledge": form.knowledge()[1],
        "totals": totals,
        "by_role": totals.by_role[:MOST_ROLES],
        "more_roles": max(0, len(totals.by_role) - MOST_ROLES),
        "rows": page.rows,
        "slice": page,
        "applications": within.within(Application.objects.order_by("name", "id"), "pk").values_list("slug", "name"),
        "roles": wanted.application.entitlements.order_by("name").values_list("slug", "name")
        if wanted.application
        else (),
        "data_classes": DataClass.choices,
        "data_words": dict(DataClass.choices),
    }
    return show(request, "govern/reach.html", "list", context)


@needs(*READERS)
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Answer with every reason as CSV, and record that it left the house."""
    wanted = _wanted(ReachForm(request.POST), reach_of(request))
    if wanted.is_empty:
        raise NotFound(wanted.problem or "Choose what you ask about before you export it.")
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, mode="w+b")  # noqa: SIM115 - the answer closes it
    lines = map(_line, asof.everything(wanted.asked, asof.roles_then(wanted.asked)))
    rows, digest = write_lines(file, HEADER, lines)
    record_reach_export(wanted.asked, person=wanted.person, rows=rows, digest=digest, actor=actor_of(request))
    file.seek(0)
    name = f"reach-{wanted.asked.at:%Y-%m-%dT%H%MZ}.csv"
    answer = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    return cast("HttpResponse", answer)


HEADER = (
    "person_ref", "name", "department", "title", "application", "role", "data_classes", "risk", "kind", "from", "until",
    "request", "rule", "rule_version", "grant", "revision", "known_since",
)  # fmt: skip


def _line(one: Reason) -> tuple[object, ...]:
    return (
        one.person_ref,
        guarded(one.person),
        guarded(one.department),
        guarded(one.title),
        guarded(one.role.application_name),
        guarded(one.role.name),
        " ".join(one.role.data_classes),
        one.role.risk,
        one.kind,
        one.starts_at.isoformat(),
        one.ends_at.isoformat() if one.ends_at else "",
        f"R-{one.request}" if one.request else "",
        guarded(one.rule),
        one.rule_version or "",
        one.grant_id,
        one.revision,
        one.known_since.isoformat(),
    )


def _answer(asked: Asked, request: HttpRequest) -> tuple[Totals, Page]:
    roles = asof.roles_then(asked)
    if asked.person_id is not None:
        reasons = asof.of_person(asked, roles)
        return _counted(reasons), Page(tuple(reasons), None, None)
    totals = asof.totals(asked, roles)
    after, before = (whole_number(request.GET.get(name), -1) for name in ("after", "before"))
    page = asof.page(
        asked,
        roles,
        people=totals.people,
        after=after if after >= 0 else None,
        before=before if before >= 0 else None,
    )
    return totals, page


def _counted(reasons: Sequence[Reason]) -> Totals:
    """Return how many reasons of one person there are, by role."""
    roles: dict[RoleThen, int] = {}
    for one in reasons:
        roles[one.role] = roles.get(one.role, 0) + 1
    by_role = tuple(RoleTotal(role, number, 1) for role, number in roles.items())
    return Totals(len(reasons), min(1, len(reasons)), by_role)


def _wanted(form: ReachForm, within: Reach) -> Wanted:
    """Return what is asked about. What was chosen and is not there, or out of reach, is a problem in words."""
    at, _ = form.moment()
    known_at, is_past_knowledge = form.knowledge()
    asked = Asked(
        at=at,
        known_at=known_at,
        is_known_now=not is_past_knowledge,
        applications=within.applications,
        data_class=form.read("data") or "",
    )
    wanted = Wanted(asked)
    for field, find in (("app", _application), ("role", _role), ("person", _person)):
        if (text := (form.read(field) or "").strip()) and not wanted.problem:
            wanted = find(wanted, text, within)
    return wanted


def _application(wanted: Wanted, slug: str, within: Reach) -> Wanted:
    found = within.within(Application.objects.filter(slug=slug), "pk").first()
    if found is None:
        return replace(wanted, problem="There is no such application, or it is not yours.")
    return replace(wanted, application=found, asked=replace(wanted.asked, application_id=found.pk))


def _role(wanted: Wanted, slug: str, within: Reach) -> Wanted:
    # A role of the application before is left over when another one is chosen.
    found = wanted.application.entitlements.filter(slug=slug).first() if wanted.application else None
    return replace(wanted, role=found, asked=replace(wanted.asked, entitlement_id=found.pk)) if found else wanted


def _person(wanted: Wanted, text: str, within: Reach) -> Wanted:
    found = list(_people(text)[:2])
    if len(found) != 1:
        said = (
            "Several people are called that. Write their e-mail address."
            if found
            else ("Nobody is called that. Write an e-mail address, a user name or a whole name.")
        )
        return replace(wanted, problem=said)
    return replace(wanted, person=found[0], asked=replace(wanted.asked, person_id=found[0].pk))


def _people(text: str) -> Any:
    try:
        return Person.objects.filter(ref=uuid.UUID(text))
    except ValueError:
        named = Q(user_name_key=key(text)) | Q(email=text) | Q(display_name=text)
        return Person.objects.filter(named).order_by("id")
