"""Replays that are kept: worked off in batches, asked for once, and kept with what was proposed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.access import policy_changes, replay_runs, requests
from governance.access.models import AccessRequest, ProposedWith, ReplayRun
from governance.access.replay import CHANGES, replay
from governance.catalog.models import Application, Entitlement
from governance.catalog.policy_proposals import proposal
from governance.catalog.policy_terms import PolicyTerms, terms_from_json
from governance.core.clock import now
from governance.core.errors import NotFound
from governance.identity.models import Person
from tests.cast import acting, add_role, ask, hire

pytestmark = pytest.mark.django_db

TERMS = PolicyTerms(stages=("owner",))
PEOPLE = 7
WHY = "Nobody should hold this for longer than it takes."


@pytest.fixture
def role(snowflake: Application) -> Entitlement:
    return add_role(snowflake, "Analyst", stages=("owner",))


@pytest.fixture
def asked(role: Entitlement) -> list[AccessRequest]:
    people = [hire(f"Crew{number} Member", department="Finance" if number % 2 else "Sales") for number in range(PEOPLE)]
    return [requests.submit(one, role, ask(), actor=acting(one)) for one in people]


@pytest.fixture
def in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_runs, "AT_ONCE", 0)
    monkeypatch.setattr(replay_runs, "BATCH", 2)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"stages": ()},
        {"may_request": 'department eq "Finance"'},
        {"may_request": 'groups.display eq "On call"'},
    ],
    ids=str,
)
@pytest.mark.usefixtures("in_batches", "asked")
def test_in_batches_it_comes_to_the_same_as_at_once(change: dict[str, Any], role: Entitlement, sam: Person) -> None:
    draft = replace(TERMS, **change)
    run = replay_runs.ask(draft, role.policy.slug, person=sam)
    assert (run.state, run.done, run.total, replay_runs.outcome(run)) == ("waiting", 0, PEOPLE, None)

    assert replay_runs.work() == PEOPLE

    run.refresh_from_db()
    assert (run.state, run.done) == ("done", PEOPLE)
    assert replay_runs.outcome(run) == replay(draft, role.policy.slug, at=run.until)


def test_few_requests_are_decided_again_at_once_and_later_ones_are_not_looked_at(
    asked: list[AccessRequest], role: Entitlement, sam: Person, ada: Person
) -> None:
    run = replay_runs.ask(replace(TERMS, stages=()), role.policy.slug, person=sam)
    requests.submit(ada, role, ask(), actor=acting(ada))

    assert (run.state, run.done) == ("done", len(asked))
    assert replay_runs.work() == 0


@pytest.mark.usefixtures("in_batches", "asked")
def test_the_same_draft_is_not_decided_again_while_it_is_fresh(role: Entitlement, sam: Person, ada: Person) -> None:
    slug = role.policy.slug
    first = replay_runs.ask(TERMS, slug, person=sam)
    assert replay_runs.ask(terms_from_json(TERMS.as_json()), slug, person=ada, anew=True) == first, "it is under way"
    replay_runs.work()

    assert replay_runs.ask(TERMS, slug, person=ada) == first
    assert replay_runs.ask(replace(TERMS, requires_ticket=True), slug, person=ada) != first
    assert replay_runs.ask(TERMS, slug, person=ada, anew=True) != first
    ReplayRun.objects.update(until=now() - replay_runs.FRESH)
    assert replay_runs.ask(TERMS, slug, person=ada) != first


@pytest.mark.usefixtures("in_batches", "asked")
def test_a_batch_that_fails_is_tried_again_and_the_run_stops_in_the_end(
    role: Entitlement, snowflake: Application, sam: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = add_role(snowflake, "Reader", stages=("owner",))
    run = replay_runs.ask(TERMS, role.policy.slug, person=sam)
    later = replay_runs.ask(TERMS, other.policy.slug, person=sam)
    real = replay_runs.tally

    def broken(draft: PolicyTerms, made: Any) -> Any:
        if made:
            raise LookupError("There is no Ada.")
        return real(draft, made)

    monkeypatch.setattr(replay_runs, "tally", broken)
    for failures in range(1, replay_runs.FAILURES_TO_STOP + 1):
        replay_runs.work()
        run.refresh_from_db()
        assert (run.failures, run.done, run.cause) == (failures, 0, "LookupError")
        ReplayRun.objects.filter(pk=run.pk).update(retry_at=None)

    later.refresh_from_db()
    assert (run.state, later.state) == ("stopped", "done")
    monkeypatch.setattr(replay_runs, "tally", real)
    assert replay_runs.ask(TERMS, role.policy.slug, person=sam) != run


@pytest.mark.usefixtures("asked")
def test_a_proposal_keeps_the_replay_it_was_proposed_with(role: Entitlement, sam: Person) -> None:
    draft = replace(TERMS, stages=())
    looked_at = replay_runs.ask(draft, role.policy.slug, person=sam)

    written = policy_changes.propose(
        role.policy.name, draft, slug=role.policy.slug, why=WHY, proposed_by=sam, actor=acting(sam)
    )

    assert ProposedWith.objects.get().run == looked_at
    assert replay_runs.latest_of(proposal(written.pk)) == looked_at


@pytest.mark.usefixtures("asked")
def test_what_nothing_was_proposed_with_is_forgotten_after_a_month(role: Entitlement, sam: Person) -> None:
    replay_runs.ask(TERMS, role.policy.slug, person=sam)
    draft = replace(TERMS, stages=())
    policy_changes.propose(role.policy.name, draft, slug=role.policy.slug, why=WHY, proposed_by=sam, actor=acting(sam))
    assert replay_runs.forget() == 0

    ReplayRun.objects.update(until=now() - replay_runs.KEPT - timedelta(minutes=1))

    assert replay_runs.forget() == 1
    assert ReplayRun.objects.get().proposed.count() == 1


@pytest.mark.usefixtures("asked")
def test_names_are_not_kept_and_reading_it_costs_the_same(role: Entitlement, sam: Person) -> None:
    run = replay_runs.ask(replace(TERMS, may_request='department eq "Nowhere"'), role.policy.slug, person=sam)

    assert "Member" not in str(run.tally)
    assert {change for change, _ in run.tally["different"]} <= set(CHANGES)
    with CaptureQueriesContext(connection) as questions:
        found = replay_runs.outcome(run)
    assert found is not None
    assert "Crew" in found.differences[0].after.words
    assert len(questions) <= 4


def test_there_is_no_other() -> None:
    with pytest.raises(NotFound):
        replay_runs.one(7)
