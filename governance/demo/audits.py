"""An audit of the last quarter at the demo company, halfway through: something given, accepted, flagged, still open."""

from __future__ import annotations

from datetime import datetime, timedelta

from governance.core.actor import Actor, ActorKind, Door
from governance.demo import staff
from governance.engagements import asking, inviting, opening
from governance.engagements.models import Engagement
from governance.identity.models import Person

NAME = "HIPAA, last 90 days"
GUEST = staff.Guest("Priya Nair", "priya.nair@clearwater-audit.example")
_DAYS, _RUNS_FOR = timedelta(days=90), timedelta(days=45)


def open_audit(at: datetime) -> Engagement:
    """Open the audit, let its auditor in, and have some requests answered. By real actions, in this transaction."""
    host = _actor(Person.objects.get(user_name=_address("security_admin")))
    audit = opening.open_engagement(
        NAME,
        "hipaa",
        first=(at - _DAYS).date(),
        last=(at - timedelta(days=1)).date(),
        zone="UTC",
        ends_on=(at + _RUNS_FOR).date(),
        actor=host,
    )
    _, token = inviting.invite(audit, GUEST.email, GUEST.name, actor=host)
    guest = _actor(inviting.accept(token, password=staff.PASSWORD, actor=host))
    by_report = {one.report: one for one in audit.requests.select_related("engagement")}
    leavers, joiners, powerful = by_report["R05"], by_report["R04"], by_report["R07"]
    asking.answer(joiners, "Joiners come from the directory; their first access follows from rules.", actor=host)
    asking.accept(joiners, "Agreed, no further questions.", actor=guest)
    asking.answer(leavers, "The report names everybody who left; one of them is still in the works.", actor=host)
    asking.flag(leavers, "Please give the population with its digest, so that I can take a sample.", actor=guest)
    asking.say(powerful, "Do you want the list as of the end, or every change as well?", actor=host)
    asking.add_request(audit, "Who decides about access to patient data when its owner is away?", actor=guest)
    return audit


def _address(role: str) -> str:
    return next(one.email for one in staff.SIGN_INS if one.role == role)


def _actor(person: Person) -> Actor:
    return Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk)
