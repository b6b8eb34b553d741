"""Measures pages through the real web server, as a signed-in security administrator and as an employee."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
from access_world import ACTOR
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from scim_servers import free_port

from governance.access import requests
from governance.access.models import Grant
from governance.catalog import actions as catalog
from governance.catalog.models import Application, Entitlement
from governance.config import programs
from governance.config.environment import Environment
from governance.config.processes import spawn, stop, wait_until
from governance.core.actor import Actor, ActorKind, Door
from governance.core.clock import now
from governance.identity.models import Person
from governance.identity.roles import assign_role
from governance.policy.facts import Ask

#: So many requests of each page, and for so long at most; the 95th of a hundred is what counts.
REQUESTS = 40
LONGEST_SECONDS = 15
WAITING = 200

Figures = dict[str, float]


def pages() -> Figures:
    """Return the p95 in milliseconds of each page."""
    admin, employee = list(Person.objects.filter(status="active").order_by("-pk")[:2])
    assign_role(admin, "security_admin", actor=ACTOR)
    _ask(admin)
    with _served() as address:
        return {
            **_measured(address, admin, _addresses_of_admin(employee)),
            **_measured(address, employee, {"my access": "/me/access/", "catalogue": "/access/"}),
        }


def _addresses_of_admin(person: Person) -> dict[str, str]:
    application = Application.objects.order_by("-pk")[0]
    day = (now() - timedelta(days=60)).date()
    return {
        "settings (the smallest page: the anchor)": "/settings/",
        "matrix": "/matrix/",
        "matrix as of 60 days ago": f"/matrix/?at={day}",
        "person": f"/people/{person.ref}/",
        "person as of 60 days ago, as known 50 days ago": f"/people/{person.ref}/?at={day}&known={day}",
        "application": f"/applications/{application.slug}/",
        "why": f"/grants/{Grant.objects.filter(person=person)[0].pk}/",
        "who could reach patient data": "/reach/?data=phi",
        f"approvals, {WAITING} waiting": "/approvals/",
        "home": "/",
    }


def _ask(owner: Person) -> None:
    """Have requests wait for this person's answer."""
    application = catalog.add_application("Asked for", owners=[owner], actor=ACTOR)
    role: Entitlement = catalog.add_entitlement(
        application, "Role", sentence="Use it.", target_ref="asked-for", actor=ACTOR
    )
    for person in Person.objects.filter(status="active").exclude(pk=owner.pk).order_by("pk")[:WAITING]:
        actor = Actor(ActorKind.PERSON, str(person.ref), Door.WEB, person_id=person.pk)
        ask = Ask(duration=timedelta(hours=4), purpose="Fix an incident", reason="The nightly load failed again.")
        requests.submit(person, role, ask, actor=actor)


def _measured(address: str, person: Person, addresses: dict[str, str]) -> Figures:
    found: Figures = {}
    with httpx.Client(base_url=address, cookies={"sessionid": _session(person)}, timeout=120) as client:
        for name, path in addresses.items():
            found[name] = _p95(client, path)
    return found


def _p95(client: httpx.Client, path: str) -> float:
    times: list[float] = []
    end = time.monotonic() + LONGEST_SECONDS
    while len(times) < 2 or (len(times) < REQUESTS + 2 and time.monotonic() < end):
        began = time.perf_counter()
        answer = client.get(path)
        times.append(1_000 * (time.perf_counter() - began))
        assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("location"))
    # The first two warm the caches of the workers.
    measured = times[2:] or times[1:]
    return statistics.quantiles(measured, n=20)[-1] if len(measured) > 1 else measured[0]


def _session(person: Person) -> str:
    client = Client()
    client.force_login(person)
    session = client.session
    session["confirmed_at"] = now().timestamp()
    session.save()
    return str(client.cookies["sessionid"].value)


@contextmanager
def _served() -> Iterator[str]:
    """Have the web server of `make run` with two workers, and return its address."""
    call_command("collectstatic", interactive=False, verbosity=0)
    port = free_port()
    environment = Environment(data_dir=settings.ENVIRONMENT.data_dir, port=port, web_workers=2)
    program = programs.web(environment)
    server = spawn(program)
    address = f"http://127.0.0.1:{port}"
    try:
        assert wait_until(lambda: _answers(address), timeout_seconds=60), "The web server does not answer."
        yield address
    finally:
        stop(server, program.stop_signal, patience_seconds=10)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
