"""Break-glass as its pages show it: what somebody could take in an emergency, and what becomes of what was taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from governance.access.break_glass import review_due_at, reviewers
from governance.access.duties import of_access
from governance.access.models import BreakGlass, BreakGlassReview
from governance.catalog.models import AccessPolicyVersion, Application, Entitlement
from governance.catalog.queries import application as application_called
from governance.core.errors import NotFound
from governance.identity.models import Person
from governance.identity.selection import selected_among
from governance.policy.duties import DutyConflict
from governance.web.my_work.asking import Length, lengths_up_to
from governance.web.my_work.offers import policies_in_force


@dataclass(frozen=True, slots=True)
class Breakable:
    """A role that somebody may take in an emergency, with the rules about duties that would break now."""

    role: Entitlement
    version: AccessPolicyVersion
    duties: tuple[DutyConflict, ...] = ()

    @property
    def up_to(self) -> timedelta:
        """Return the longest it is given for."""
        return self.version.break_glass_up_to or timedelta(0)


@dataclass(frozen=True, slots=True)
class Emergency:
    """The page that breaks the glass of one application."""

    application: Application
    roles: tuple[Breakable, ...]
    chosen: Breakable
    lengths: tuple[Length, ...]
    review_due_at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """One emergency with what is known of it, as its page and the lists show it."""

    opened: BreakGlass
    at: datetime
    reviewers: tuple[Person, ...] = ()

    @property
    def review(self) -> BreakGlassReview | None:
        """Return what somebody else found, if they wrote it."""
        return getattr(self.opened, "review", None)

    @property
    def is_open(self) -> bool:
        """Tell whether the access still runs."""
        return self.opened.grant.ends_at > self.at

    @property
    def is_overdue(self) -> bool:
        """Tell whether nobody reviewed it in time."""
        return self.review is None and self.opened.review_due_at <= self.at

    @property
    def is_late(self) -> bool:
        """Tell whether it was reviewed after its time."""
        return self.review is not None and self.review.written_at > self.opened.review_due_at


def emergency(person: Person, slug: str, at: datetime, *, role: str = "", length: str = "") -> Emergency:
    """Return what this person may take in an application. Raises NotFound when it is nothing."""
    application = application_called(slug)
    roles = breakable(person, application, at)
    if not roles:
        raise NotFound(f"There is no break-glass for you in {application.name}. Ask for what you need.")
    chosen = next((one for one in roles if one.role.slug == role), roles[0])
    conflicts = of_access(person, chosen.role, starts_at=at, ends_at=at + chosen.up_to, at=at)
    lengths = lengths_up_to(chosen.up_to, chosen=length, usual=min(chosen.up_to, timedelta(hours=1)))
    return Emergency(application, roles, Breakable(chosen.role, chosen.version, conflicts), lengths, review_due_at(at))


def breakable(person: Person, application: Application, at: datetime) -> tuple[Breakable, ...]:
    """Return the roles of an application that a person may take in an emergency. Three statements at most."""
    if application.retired_at is not None:
        return ()
    roles = list(
        application.entitlements.filter(retired_at=None).select_related("application").order_by("risk", "name")
    )
    versions = policies_in_force({one.policy_id for one in roles}, at)
    known = [one for one in versions.values() if one.break_glass_up_to]
    texts = sorted({one.may_break_glass for one in known})
    met = dict(zip(texts, selected_among(texts, [person.pk]).get(person.pk, ()), strict=False)) if texts else {}
    may = {one.pk for one in known if met.get(one.may_break_glass)}
    return tuple(Breakable(one, versions[one.policy_id]) for one in roles if _version_pk(versions, one) in may)


def looked_at(opened: BreakGlass, at: datetime) -> Looked:
    """Return one emergency with who may review it."""
    return Looked(opened, at, tuple(reviewers(opened)))


def _version_pk(versions: dict[int, AccessPolicyVersion], role: Entitlement) -> int | None:
    version = versions.get(role.policy_id)
    return version.pk if version is not None else None
