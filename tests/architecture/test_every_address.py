"""Every address of the house in one table: who may use it and how. A new one that is not in the table fails here.

What follows for each: signed out and wrong roles are refused by every method it has, methods it does not have are
refused, and reading it writes nothing (it is read inside a read-only transaction).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from governance.access import grants, policy_changes, replay_runs
from governance.catalog import policies, rules
from governance.catalog.models import Entitlement, PolicyProposal
from governance.catalog.policy_terms import PolicyTerms
from governance.core.clock import now
from governance.engagements import opening, sampling
from governance.identity.connections import actions as connections
from governance.identity.models import Person
from governance.ledger.models import Finding, Pending
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import holding
from governance.lifecycle.brake import Reading
from governance.lifecycle.models import Hold
from governance.log_reviews import actions as log_reviews
from governance.log_reviews.models import LogReview
from tests import cast
from tests.cast import TESTING
from tests.duties import exempt, forbid

EMPLOYEES = frozenset({"employee", "owner", "security_admin", "auditor"})
GOVERN = frozenset({"owner", "security_admin", "auditor"})
CHANGE = frozenset({"owner", "security_admin"})
ASSURE = frozenset({"security_admin", "auditor"})
ADMIN = frozenset({"security_admin"})
#: Guests, auditors from outside, use these for the engagements they were invited to.
AUDITS = ASSURE | {"guest"}
#: No sign-in: health, the sign-in page, and what the log publishes to the world.
#: Whoever is signed in.
SIGNED_IN = EMPLOYEES | {"guest"}
OPEN = frozenset({"nobody"}) | SIGNED_IN
GET, POST, BOTH = ("get",), ("post",), ("get", "post")

#: The route → who may use it, and by which methods.
PAGES: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "healthz": (OPEN, GET),
    "readyz": (OPEN, GET),
    "ledger/log/checkpoint": (OPEN, GET),
    "ledger/log/tile/<int:level>/<path:path>": (OPEN, GET),
    "ledger/log/keys": (OPEN, GET),
    "ledger/log/minimum-index": (OPEN, GET),
    "ledger/log/witness.py": (OPEN, GET),
    "ledger/log/cosignatures": (OPEN, POST),
    "ledger/anchors/": (ASSURE, GET),
    "ledger/anchors/new/<slug:kind>/": (ADMIN, BOTH),
    "ledger/anchors/<uuid:ref>/": (ASSURE, GET),
    "ledger/anchors/<uuid:ref>/now/": (ADMIN, POST),
    "ledger/anchors/<uuid:ref>/end/": (ADMIN, POST),
    "sign-in/": (OPEN, BOTH),
    "sign-in/again/": (SIGNED_IN, BOTH),
    "sign-out/": (SIGNED_IN, BOTH),
    "session/prolong/": (SIGNED_IN, POST),
    "settings/": (SIGNED_IN, GET),
    "settings/password/": (SIGNED_IN, BOTH),
    "settings/theme/": (SIGNED_IN, POST),
    "settings/keys/": (SIGNED_IN, POST),
    "search/": (EMPLOYEES, GET),
    "": (SIGNED_IN, GET),
    "access/": (EMPLOYEES, GET),
    "access/several/": (EMPLOYEES, BOTH),
    "access/<slug:slug>/break-glass/": (EMPLOYEES, BOTH),
    "break-glass/": (GOVERN, GET),
    "break-glass/<int:glass_id>/": (EMPLOYEES, GET),
    "break-glass/<int:glass_id>/review/": (EMPLOYEES, POST),
    "requests/": (EMPLOYEES, GET),
    "requests/R-<int:number>/remind/": (EMPLOYEES, POST),
    "requests/R-<int:number>/again/": (EMPLOYEES, POST),
    "requests/R-<int:number>/withdraw-all/": (EMPLOYEES, POST),
    "me/answers/<int:grant_id>/": (EMPLOYEES, POST),
    "access/<slug:slug>/request/": (EMPLOYEES, BOTH),
    "access/<slug:slug>/request/limits/": (EMPLOYEES, GET),
    "requests/R-<int:number>/": (EMPLOYEES, GET),
    "requests/R-<int:number>/withdraw/": (EMPLOYEES, POST),
    "requests/R-<int:number>/approve/": (EMPLOYEES, POST),
    "requests/R-<int:number>/decline/": (EMPLOYEES, POST),
    "requests/R-<int:number>/facts/": (EMPLOYEES, GET),
    "requests/R-<int:number>/other/": (EMPLOYEES, GET),
    "requests/R-<int:number>/ask-back/": (EMPLOYEES, POST),
    "requests/R-<int:number>/reply/": (EMPLOYEES, POST),
    "requests/R-<int:number>/hand-over/": (EMPLOYEES, POST),
    "requests/R-<int:number>/smaller/": (EMPLOYEES, POST),
    "me/away/": (EMPLOYEES, BOTH),
    "me/away/<int:absence_id>/end/": (EMPLOYEES, POST),
    "me/access/": (EMPLOYEES, GET),
    "me/access/<int:grant_id>/extend/": (EMPLOYEES, BOTH),
    "me/access/<int:grant_id>/give-back/": (EMPLOYEES, POST),
    "approvals/": (EMPLOYEES, GET),
    "approvals/decided/": (EMPLOYEES, GET),
    "approvals/several/": (EMPLOYEES, BOTH),
    "notices/": (EMPLOYEES, GET),
    "notices/read/": (EMPLOYEES, POST),
    "notices/<int:notice_id>/read/": (EMPLOYEES, POST),
    "settings/notices/": (SIGNED_IN, BOTH),
    "mail/": (ADMIN, GET),
    "mail/<uuid:ref>/": (ADMIN, GET),
    "mail/<uuid:ref>/retry/": (ADMIN, POST),
    "webhooks/": (ADMIN, GET),
    "new-webhook/": (ADMIN, BOTH),
    "webhooks/<int:hook_id>/": (ADMIN, BOTH),
    "webhooks/<int:hook_id>/test/": (ADMIN, POST),
    "webhooks/<int:hook_id>/renew/": (ADMIN, POST),
    "webhooks/<int:hook_id>/end-former/": (ADMIN, POST),
    "webhooks/<int:hook_id>/end/": (ADMIN, POST),
    "webhooks/<int:hook_id>/messages/<int:message_id>/retry/": (ADMIN, POST),
    "expiries/": (GOVERN, GET),
    "expiries/export/": (GOVERN, POST),
    "matrix/": (GOVERN, GET),
    "matrix/export/": (GOVERN, POST),
    "matrix/<uuid:ref>/<slug:slug>/": (GOVERN, GET),
    "reach/": (GOVERN, GET),
    "reach/export/": (GOVERN, POST),
    "grants/<int:grant_id>/": (EMPLOYEES, GET),
    "grants/<int:grant_id>/revoke/": (CHANGE, POST),
    "people/": (GOVERN, GET),
    "people/<uuid:ref>/": (GOVERN, GET),
    "people/<uuid:ref>/requests/": (GOVERN, GET),
    "people/<uuid:ref>/history/": (GOVERN, GET),
    "people/<uuid:ref>/leave/": (ADMIN, POST),
    "leavers/": (ASSURE, GET),
    "leavers/<uuid:ref>/": (ASSURE, GET),
    "leavers/<uuid:ref>/plan/": (ADMIN, POST),
    "leavers/<uuid:ref>/stay/": (ADMIN, POST),
    "handovers/<int:handover_id>/settle/": (ADMIN, POST),
    "people-file/": (ADMIN, BOTH),
    "people-file/apply/": (ADMIN, POST),
    "holds/": (ASSURE, GET),
    "holds/limits/": (ASSURE, GET),
    "holds/<uuid:ref>/": (ASSURE, GET),
    "holds/<uuid:ref>/release/": (ADMIN, POST),
    "holds/<uuid:ref>/refuse/": (ADMIN, POST),
    "applications/": (GOVERN, GET),
    "catalogue/": (ADMIN, GET),
    "catalogue/<slug:catalogue_id>/add/": (ADMIN, POST),
    "applications/<slug:slug>/": (GOVERN, GET),
    "applications/<slug:slug>/roles/": (GOVERN, GET),
    "applications/<slug:slug>/edit/": (CHANGE, BOTH),
    "applications/<slug:slug>/new-role/": (CHANGE, BOTH),
    "applications/<slug:slug>/roles/<slug:role>/": (CHANGE, BOTH),
    "applications/<slug:slug>/roles/<slug:role>/retire/": (CHANGE, BOTH),
    "applications/<slug:slug>/retire/": (CHANGE, BOTH),
    "applications/<slug:slug>/accounts/": (GOVERN, GET),
    "applications/<slug:slug>/requests/": (GOVERN, GET),
    "applications/<slug:slug>/owners/": (ADMIN, BOTH),
    "applications/<slug:slug>/connector/": (GOVERN, GET),
    "applications/<slug:slug>/connector/test/": (ADMIN, POST),
    "applications/<slug:slug>/connector/read/": (ADMIN, POST),
    "applications/<slug:slug>/history/": (GOVERN, GET),
    "risk/": (ASSURE, GET),
    "risk/<int:weights_id>/approve/": (ADMIN, POST),
    "risk/<int:weights_id>/decline/": (ADMIN, POST),
    "risk/<int:weights_id>/withdraw/": (ADMIN, POST),
    "orphans/": (GOVERN, GET),
    "orphans/<int:account_id>/": (GOVERN, GET),
    "orphans/<int:account_id>/link/": (CHANGE, POST),
    "drift/": (GOVERN, GET),
    "operations/": (CHANGE, GET),
    "operations/<int:operation_id>/retry/": (CHANGE, POST),
    "operations/<int:operation_id>/confirm/": (CHANGE, POST),
    "connections/": (ADMIN, GET),
    "new-connection/": (ADMIN, BOTH),
    "connections/<uuid:ref>/": (ADMIN, GET),
    "connections/<uuid:ref>/steps/": (ADMIN, GET),
    "connections/<uuid:ref>/first-request/": (ADMIN, GET),
    "connections/<uuid:ref>/exchanges/": (ADMIN, GET),
    "connections/<uuid:ref>/exchanges/<int:exchange_id>/": (ADMIN, GET),
    "connections/<uuid:ref>/keys/": (ADMIN, GET),
    "connections/<uuid:ref>/tokens/add/": (ADMIN, POST),
    "connections/<uuid:ref>/tokens/rotate/": (ADMIN, POST),
    "connections/<uuid:ref>/tokens/<int:token_id>/revoke/": (ADMIN, POST),
    "connections/<uuid:ref>/clients/add/": (ADMIN, POST),
    "connections/<uuid:ref>/clients/<int:client_pk>/revoke/": (ADMIN, POST),
    "connections/<uuid:ref>/settings/": (ADMIN, BOTH),
    "connections/<uuid:ref>/revoke/": (ADMIN, POST),
    "conflicts/<int:conflict_id>/hand-over/": (ADMIN, POST),
    "conflicts/<int:conflict_id>/leave/": (ADMIN, POST),
    "duties/": (GOVERN, GET),
    "new-duty-rule/": (ADMIN, BOTH),
    "duties/<slug:slug>/": (GOVERN, GET),
    "duties/<slug:slug>/change/": (ADMIN, BOTH),
    "duties/<slug:slug>/retire/": (ADMIN, POST),
    "duties/<slug:slug>/except/": (ADMIN, BOTH),
    "exceptions/<int:exception_id>/end/": (ADMIN, POST),
    "packages/": (GOVERN, GET),
    "new-package/": (CHANGE, BOTH),
    "packages/<slug:slug>/": (GOVERN, GET),
    "packages/<slug:slug>/change/": (CHANGE, BOTH),
    "packages/<slug:slug>/retire/": (CHANGE, POST),
    "ticket-systems/": (ADMIN, GET),
    "new-ticket-system/": (ADMIN, BOTH),
    "ticket-systems/<slug:slug>/": (ADMIN, BOTH),
    "ticket-systems/<slug:slug>/look/": (ADMIN, POST),
    "ticket-systems/<slug:slug>/retire/": (ADMIN, POST),
    "policies/": (GOVERN, GET),
    "policies/<slug:slug>/": (GOVERN, GET),
    "new-policy/": (ADMIN, BOTH),
    "rules/": (GOVERN, GET),
    "rule-suggestions/": (ADMIN, GET),
    "rule-suggestions/look/": (ADMIN, POST),
    "rule-suggestions/<int:suggestion_id>/": (ADMIN, GET),
    "policies/<slug:slug>/change/": (ADMIN, BOTH),  # And owners, for policies of only their applications.
    "policy-proposals/<int:proposal_id>/": (GOVERN, GET),
    "policy-proposals/<int:proposal_id>/effect/": (GOVERN, GET),
    "policy-proposals/<int:proposal_id>/file/": (GOVERN, POST),
    "policy-proposals/<int:proposal_id>/replay/": (GOVERN, BOTH),
    "policy-replays/<int:run_id>/": (GOVERN, GET),
    "policy-proposals/<int:proposal_id>/approve/": (ADMIN, POST),
    "policy-proposals/<int:proposal_id>/decline/": (ADMIN, POST),
    "policy-proposals/<int:proposal_id>/withdraw/": (CHANGE, POST),
    "new-rule/": (ADMIN, BOTH),
    "new-rule/affected/": (ADMIN, BOTH),
    "rules/<slug:slug>/": (GOVERN, GET),
    "rules/<slug:slug>/change/": (ADMIN, BOTH),
    "rules/<slug:slug>/affected/": (ADMIN, BOTH),
    "rules/<slug:slug>/retire/": (ADMIN, BOTH),
    "rules/<slug:slug>/try-again/": (ADMIN, POST),
    "rules/<slug:slug>/versions/<int:number>/call-off/": (ADMIN, POST),
    "evidence/": (ASSURE, GET),
    "evidence/build/": (ASSURE, POST),
    "evidence/reports/<slug:report_id>/": (ASSURE, GET),
    "evidence/definitions/": (ASSURE, GET),
    "evidence/definitions/new/": (ASSURE, BOTH),
    "evidence/definitions/<uuid:ref>/": (ASSURE, GET),
    "evidence/definitions/<uuid:ref>/change/": (ASSURE, BOTH),
    "evidence/definitions/<uuid:ref>/retire/": (ASSURE, POST),
    "evidence/controls/<slug:slug>/": (ASSURE, GET),
    "evidence/controls/<slug:slug>/<str:control_id>/": (ASSURE, GET),
    "control-exceptions/": (EMPLOYEES, GET),  # Their own; all of them for those who administer security or audit.
    "control-exceptions/readings/": (ASSURE, GET),
    "control-exceptions/readings/now/": (ADMIN, POST),
    "control-exceptions/owners/": (ASSURE, GET),
    "control-exceptions/owners/<slug:report_id>/": (ADMIN, POST),
    "control-exceptions/<uuid:ref>/": (EMPLOYEES, GET),
    "control-exceptions/<uuid:ref>/answer/": (EMPLOYEES, POST),
    "control-exceptions/<uuid:ref>/accept/": (ADMIN, POST),
    "evidence/<uuid:ref>/": (ASSURE, GET),
    "evidence/<uuid:ref>/retry/": (ASSURE, POST),
    "evidence/<uuid:ref>/late-facts/": (ASSURE, POST),
    "evidence/<uuid:ref>/download/": (ASSURE, POST),
    "engagements/": (AUDITS, GET),
    "engagements/new/": (ADMIN, BOTH),
    "engagements/<uuid:ref>/": (AUDITS, GET),
    "engagements/<uuid:ref>/invite/": (ADMIN, POST),
    "engagements/<uuid:ref>/guests/<int:guest_id>/withdraw/": (ADMIN, POST),
    "engagements/<uuid:ref>/extend/": (ADMIN, POST),
    "engagements/<uuid:ref>/close/": (ADMIN, POST),
    "engagements/<uuid:ref>/build/": (AUDITS, POST),
    "engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/": (AUDITS, GET),
    "engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/retry/": (AUDITS, POST),
    "engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/download/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/new/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/": (AUDITS, GET),
    "engagements/<uuid:ref>/requests/<int:number>/say/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/answer/": (ADMIN, POST),
    "engagements/<uuid:ref>/requests/<int:number>/accept/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/flag/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/population/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/populations/<int:population_id>/sample/": (AUDITS, POST),
    "engagements/<uuid:ref>/requests/<int:number>/samples/<int:sample_id>/": (AUDITS, GET),
    "engagements/<uuid:ref>/requests/<int:number>/samples/<int:sample_id>/<int:row_no>/": (AUDITS, GET),
    "engagements/<uuid:ref>/requests/<int:number>/samples/<int:sample_id>/<int:row_no>/proof/<int:index>/": (
        AUDITS,
        POST,
    ),
    "invitations/<str:token>/": (OPEN, BOTH),
    "ledger/": (ASSURE, GET),
    "ledger/known/": (ASSURE, GET),
    "ledger/history/<slug:kind>/<str:key>/": (ASSURE, GET),
    "ledger/streams/": (ASSURE, GET),
    "ledger/streams/new/<slug:kind>/": (ADMIN, BOTH),
    "ledger/streams/<uuid:ref>/": (ASSURE, GET),
    "ledger/streams/<uuid:ref>/test/": (ADMIN, POST),
    "ledger/streams/<uuid:ref>/renew/": (ADMIN, POST),
    "ledger/streams/<uuid:ref>/end/": (ADMIN, POST),
    "ledger/findings/": (ASSURE, GET),
    "ledger/findings/<int:finding_id>/": (ASSURE, GET),
    "ledger/findings/<int:finding_id>/take/": (ADMIN, POST),
    "ledger/findings/<int:finding_id>/explain/": (ADMIN, POST),
    "ledger/findings/<int:finding_id>/close/": (ADMIN, POST),
    "ledger/reviews/": (ASSURE, GET),
    "ledger/reviews/<int:review_id>/": (ASSURE, BOTH),
    "ledger/privacy/": (ASSURE, GET),
    "ledger/privacy/holds/new/": (ADMIN, BOTH),
    "ledger/privacy/holds/<uuid:ref>/propose/": (ADMIN, POST),
    "ledger/privacy/holds/<uuid:ref>/release/": (ADMIN, POST),
    "ledger/privacy/holds/<uuid:ref>/decline/": (ADMIN, POST),
    "ledger/privacy/years/<int:proposal_id>/confirm/": (ADMIN, POST),
    "ledger/privacy/years/<int:proposal_id>/decline/": (ADMIN, POST),
    "ledger/privacy/erasures/<int:erasure_id>/cancel/": (ADMIN, POST),
    "ledger/privacy/people/<uuid:ref>/erase/": (ADMIN, BOTH),
    "ledger/<int:index>/": (ASSURE, GET),
    "ledger/<int:index>/proof/": (ASSURE, GET),
    "kit/": (ADMIN, GET),
    "kit/job/": (ADMIN, BOTH),
}
#: Pages where reading is for more people than changing is: saving settings needs an administrator.
CHANGES = {
    "risk/": ADMIN,
    "ledger/privacy/": ADMIN,
    "ledger/reviews/": ADMIN,
    "holds/limits/": ADMIN,
    "ledger/anchors/<uuid:ref>/": ADMIN,
    "ledger/streams/<uuid:ref>/": ADMIN,
    "applications/<slug:slug>/connector/": ADMIN,
}
#: Where a GET records that it was read, and writes nothing else (ADR 22).
RECORDED = {
    "ledger/",
    "ledger/<int:index>/",
    "ledger/<int:index>/proof/",
    "engagements/<uuid:ref>/requests/<int:number>/samples/<int:sample_id>/<int:row_no>/",
}
#: The machine doors, which need a token whatever the address; tests/api and tests/scim_bridge have their tables.
MACHINES = ("api/v1/", "scim/v2/", "scim/oauth/")
ROLES = {"employee": "ada", "owner": "linus", "security_admin": "sam", "auditor": "audrey", "guest": "gil"}


def _routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for pattern in resolver.url_patterns:
        here = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield here
        else:
            yield from _routes(pattern, here)


def test_every_address_is_in_a_table() -> None:
    pages = {route for route in _routes(get_resolver()) if not route.startswith(MACHINES)}

    assert pages == set(PAGES)


@pytest.fixture
def world(ada: Person, linus: Person, sam: Person, audrey: Person, gil: Person, analyst: Entitlement) -> dict[str, str]:
    """Return what stands for each part of a route, and make it exist."""
    policies.save_policy("Snowflake", PolicyTerms(("owner",)), slug="snowflake", actor=TESTING)
    rules.save_birthright_rule("Snowflake", "active eq false", [analyst], actor=TESTING)
    other = cast.add_role(analyst.application, "Payer")
    rule = forbid([analyst], [other], owner=sam, name="Snowflake")
    new = grants.NewGrant(ada.pk, analyst.pk, analyst.application_id, "manual", now())
    (grant,) = grants.start_many([new], at=now(), actor=TESTING)
    provider = connections.open_connection("okta", actor=TESTING)
    exchange = provider.exchanges.create(at=now(), method="GET", path="/Users", status=200, milliseconds=4.0)
    return {
        "<slug:report_id>": "r03",
        "evidence/controls/<slug:slug>": "evidence/controls/hipaa",
        "<str:control_id>": "164.308(a)(3)(ii)(C)",
        "history/<slug:kind>/<str:key>": "history/application/snowflake",
        "streams/new/<slug:kind>": "streams/new/webhook",
        "<slug:slug>": "snowflake",
        "<slug:role>": "analyst",
        "<slug:catalogue_id>": "gitlab",
        "<int:number>": "1",
        "<int:grant_id>": str(grant.pk),
        "<int:account_id>": "1",
        "<int:operation_id>": str(grant.give_operation_id),
        "<int:index>": "0",
        "<int:glass_id>": "1",
        "<int:notice_id>": "1",
        "<int:hook_id>": "1",
        "<int:message_id>": "1",
        "<int:suggestion_id>": "1",
        "<int:proposal_id>": str(_proposed(sam).pk),
        "<int:run_id>": str(replay_runs.ask(PolicyTerms(("owner",)), "snowflake", person=sam).pk),
        "<int:absence_id>": "1",
        "<int:weights_id>": "1",
        "<int:exception_id>": str(exempt(rule, ada, by=sam).pk),
        "<int:exchange_id>": str(exchange.pk),
        "<int:token_id>": "1",
        "<int:client_pk>": "1",
        "<int:conflict_id>": "1",
        "connections/<uuid:ref>": f"connections/{provider.ref}",
        "leavers/<uuid:ref>": f"leavers/{ada.ref}",
        "holds/<uuid:ref>": f"holds/{_held(ada).ref}",
        **_audit(sam, gil),
        "<int:erasure_id>": "1",
        "<int:review_id>": str(_opened().pk),
        "ledger/privacy/people/<uuid:ref>": f"ledger/privacy/people/{ada.ref}",
        "<int:handover_id>": "1",
        "<int:finding_id>": str(_found().pk),
        "<slug:kind>": "git",
        "<int:level>": "0",
        "<path:path>": "000",
    }


@pytest.fixture
def gil(db: None) -> Person:
    """An auditor from outside."""
    return cast.be_guest("Gil Outside")


def _audit(sam: Person, gil: Person) -> dict[str, str]:
    """Return an engagement with a guest, a population and a sample."""
    seal_everything(signer=Signer.generate("example.com/ledger"))
    actor, day = cast.acting(sam), now().date()
    engagement = opening.open_engagement(
        "Audit", "soc2", first=day, last=day, zone="UTC", ends_on=day + timedelta(days=9), actor=actor
    )
    cast.let_in(engagement, gil)
    asked = engagement.requests.get(report="R01")
    population = sampling.take_population(asked, actor=actor)
    sample = sampling.take_sample(population, "7", 1, actor=cast.acting(gil))
    (row,) = sampling.rows_of(sample).rows
    request = f"engagements/{engagement.ref}/requests/{asked.number}"
    return {
        "engagements/<uuid:ref>/requests/<int:number>": request,
        "engagements/<uuid:ref>": f"engagements/{engagement.ref}",
        "<int:guest_id>": str(engagement.guests.get().pk),
        "<uuid:bundle_ref>": str(opening.build_bundle(engagement, actor=actor).ref),
        "<int:population_id>": str(population.pk),
        "<int:sample_id>": str(sample.pk),
        "<int:row_no>": row["row_no"],
        "<str:token>": "no-such-token",
    }


def _opened() -> LogReview:
    log_reviews.open_due(actor=TESTING)
    return LogReview.objects.get()


def _found() -> Finding:
    at = now()
    return Finding.objects.create(kind="differs", cause="differs:x", table="x", first_seen_at=at, last_seen_at=at)


def _held(person: Person) -> Hold:
    reading = Reading("scim:okta", "leave", limit=1, taken=2, people=9, window_hours=24)
    return holding.hold(reading, [holding.Held(person.pk)], at=now(), actor=TESTING)


def _proposed(sam: Person) -> PolicyProposal:
    terms = PolicyTerms(("owner",))
    why = "Everybody should meet it."
    return policy_changes.propose("Other", terms, why=why, proposed_by=sam, actor=TESTING)


def _address(route: str, world: dict[str, str], person: Person) -> str:
    for part, value in world.items():
        route = route.replace(part, value)
    return "/" + route.replace(
        "<uuid:ref>", str(person.ref if route.startswith(("people", "matrix")) else uuid.uuid4())
    )


PARTS = sorted({route.split("/")[0] for route in PAGES})


@pytest.mark.django_db
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part or "home")
def test_only_who_may_gets_in_and_reading_writes_nothing(
    part: str, world: dict[str, str], ada: Person, request: pytest.FixtureRequest
) -> None:
    clients = {role: Client() for role in ROLES}
    for role, name in ROLES.items():
        clients[role].force_login(request.getfixturevalue(name))

    for route in (route for route in PAGES if route.split("/")[0] == part):
        address = _address(route, world, ada)
        _refuses_the_signed_out(route, address)
        for role, client in clients.items():
            _lets_in_who_may(route, address, role, client)
        _has_no_other_methods(route, address, clients["security_admin"])


def _refuses_the_signed_out(route: str, address: str) -> None:
    allowed, methods = PAGES[route]
    for method in () if "nobody" in allowed else methods:
        answer = getattr(Client(), method)(address)
        assert answer.status_code == 302, (route, method)
        assert answer.url.startswith("/sign-in/"), (route, method)


def _lets_in_who_may(route: str, address: str, role: str, client: Client) -> None:
    allowed, methods = PAGES[route]
    for method in (*methods, *(("post",) if route in CHANGES else ())):
        may = CHANGES.get(route, allowed) if method == "post" else allowed
        if role not in may:
            assert getattr(client, method)(address).status_code == 403, (route, role, method)
        elif method == "get" and route in RECORDED:
            assert _writes_only_that_it_was_read(client, address) < 500, (route, role)
        elif method == "get":
            assert _read_only(client, address) < 500, (route, role)


def _has_no_other_methods(route: str, address: str, admin: Client) -> None:
    known = {*PAGES[route][1], *({"post"} if route in CHANGES else ())}
    for method in sorted({"get", "post", "put", "patch", "delete"} - known):
        with transaction.atomic():
            assert getattr(admin, method)(address).status_code in (404, 405), (route, method)
            transaction.set_rollback(True)


def _writes_only_that_it_was_read(client: Client, address: str) -> int:
    """Read a page whose reading is recorded, and return the status: no table but the ledger's outbox has changed."""
    tables = [table for table in connection.introspection.table_names() if table != "ledger_pending"]
    asked = ", ".join(f"pg_stat_get_xact_tuples_{what}(%s::regclass)" for what in ("inserted", "updated", "deleted"))
    with transaction.atomic(), connection.cursor() as cursor:

        def changed() -> list[tuple[int, ...]]:
            found = []
            for table in tables:
                cursor.execute(f"SELECT {asked}", [table] * 3)
                found.append(cursor.fetchone())
            return found

        before, last = changed(), Pending.objects.order_by("-id").values_list("id", flat=True).first() or 0
        status: int = client.get(address).status_code
        assert changed() == before
        events = set(Pending.objects.filter(id__gt=last).values_list("body__event", flat=True))
        assert events <= {"log.searched", "log.read", "sample.item_read"}
        transaction.set_rollback(True)
    return status


def _read_only(client: Client, address: str) -> int:
    """Read a page where PostgreSQL refuses every write, and return the status."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        status: int = client.get(address).status_code
        transaction.set_rollback(True)
    return status
