"""Who decides at the demo company when somebody is away, and a question that waits for its reply."""

from __future__ import annotations

from datetime import timedelta

from governance.access import events
from governance.access.models import Absence, RequestState, Turn, TurnKind
from governance.demo import staff
from governance.demo.people import Company
from governance.demo.plans import Ask, Books
from governance.demo.world import World
from governance.ledger.recording import Subject

_QUESTION = "Which of the two reports do you mean, and would the one that is masked do?"
_AWAY_FOR = "Holiday, back on Monday."


def ask_back_and_be_away(world: World, company: Company, books: Books) -> None:
    """Let one administrator be away, and one owner ask back. After everything that draws by chance."""
    away, deputy = (company[handle] for handle in staff.OTHER_ADMINS[:2])
    absence = world.add(
        Absence(
            person=away.person,
            deputy=deputy.person,
            starts_at=world.at - timedelta(days=1),
            ends_at=world.at + timedelta(days=6),
            reason=_AWAY_FOR,
            created_at=world.at - timedelta(days=2),
        )
    )
    world.record(
        events.ABSENCE_PLANNED,
        Subject("person", str(away.person.ref)),
        actor=world.by(away.person),
        at=absence.created_at,
        data={"deputy": str(deputy.person.ref)},
    )
    waiting = [one for one in books.asks if one.state == RequestState.PENDING and one.offer.owners and not one.answers]
    if waiting:
        _ask_back(world, min(waiting, key=lambda one: one.created_at))


def _ask_back(world: World, ask: Ask) -> None:
    owner, request = ask.offer.owners[0], ask.row
    at = ask.created_at + (world.at - ask.created_at) / 2
    request.asked_back_at = at
    world.add(Turn(request=request, stage=0, kind=TurnKind.QUESTION, by=owner.person, text=_QUESTION, at=at))
    world.record(
        events.REQUEST_ASKED_BACK,
        Subject("request", str(request.number)),
        Subject("person", str(ask.member.person.ref)),
        actor=world.by(owner.person),
        at=at,
        data={"stage": 0},
    )
