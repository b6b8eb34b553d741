"""Any process may die at any moment: nothing is lost and nothing is done twice.

One Gatehouse with a broker of its own (Redis); each of its processes, and the broker, is ended with SIGKILL at each
step of an access: after the request, after the approval while it is delivered, before the end, and as somebody leaves.
Then the application's own API and the ledger are asked what happened, and how often.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import psycopg
import pytest

from governance.config.embedded import database_url
from tests.journeys.conftest import missing, run
from tests.journeys.okta import Downstream, Okta
from tests.journeys.rest import Rest
from tests.journeys.stack import Stack, free_port, wait_for

# One whole Gatehouse at a time: two of them on two cores would measure each other.
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("journeys")]

OWNER = "ana.ruiz@halden.example"
GROUP = "Relay On-call bridge"
#: The supervisor starts what died again at once, after 0.2 s, 0.4 s … when it dies again and again.
BACK_SECONDS = 90


class Broker:
    """A Redis of one's own that can be killed and comes back without a memory."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        program = shutil.which("redis-server") or missing("There is no redis-server: no broker could be killed.")
        command = [str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """End it with SIGKILL, and start an empty one."""
        self.end()
        self.start()

    def end(self) -> None:
        """End it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    made = Broker()
    made.start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def stack(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    yield from run(Stack(tmp_path_factory.mktemp("kills"), {"CELERY_BROKER_URL": broker.url}))


class Scene:
    """Everybody a kill is witnessed by."""

    def __init__(self, stack: Stack, broker: Broker) -> None:
        self.stack, self.broker = stack, broker
        self.okta = Okta(stack.url, _last(stack.manage("scim_token", "create", "okta", "--dialect", "okta")))
        keys = stack.data_dir / "keys"
        port = (keys / "downstream_port").read_text().strip()
        self.relay = Downstream(f"http://127.0.0.1:{port}/v2", (keys / "downstream_token").read_text().strip())
        self.owner = self.rest(OWNER)

    def rest(self, email: str) -> Rest:
        token = self.stack.manage("api_token", "create", email, "--for", email)
        return Rest(self.stack.url, _last(token))

    def kill(self, victim: str) -> None:
        if victim == "broker":
            self.broker.kill()
        else:
            wait_for(lambda: victim in self.stack.pids(), seconds=BACK_SECONDS, what=f"{victim} to be there")
            self.stack.kill(victim)

    def entries(self, correlated_with: int) -> Counter[str]:
        """Return how often each event was recorded about a request and what came of it."""
        with psycopg.connect(database_url(self.stack.data_dir)) as database:
            bodies = database.execute(
                """
                WITH grants AS (SELECT g.id FROM access_grant g JOIN access_accessrequest r ON r.id = g.request_id
                                WHERE r.number = %(number)s),
                operations AS (SELECT id FROM provisioning_operation
                               WHERE origin IN (SELECT 'grant:' || id FROM grants))
                SELECT body::jsonb ->> 'event' || coalesce(' ' || (body::jsonb -> 'data' ->> 'kind'), '')
                FROM ledger_entry JOIN ledger_entrysubject s ON s.entry_id = ledger_entry.index
                WHERE (s.kind = 'request' AND s.ref = %(number)s::text)
                    OR (s.kind = 'grant' AND s.ref IN (SELECT id::text FROM grants))
                    -- How often an order was taken, given back or put off depends on who was killed when.
                    OR (s.kind = 'operation' AND s.ref IN (SELECT id::text FROM operations)
                        AND event NOT IN ('operation.claimed', 'operation.released', 'operation.put_off'))
                """,
                {"number": correlated_with},
            )
            return Counter(row[0] for row in bodies)


def _last(said: str) -> str:
    return said.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def scene(stack: Stack, broker: Broker) -> Scene:
    return Scene(stack, broker)


def insist(act: Callable[[], Any], *, seconds: float = BACK_SECONDS) -> Any:
    """Do it again until the door answers, as clients do when a connection breaks."""

    def once() -> Any:
        with suppress(httpx.HTTPError):
            return act() or True
        return None

    return wait_for(once, seconds=seconds, what="an answer")


@pytest.mark.parametrize("victim", ["web", "worker", "scheduler", "sweeper", "sequencer", "database", "broker"])
def test_nothing_is_lost_and_nothing_is_done_twice(victim: str, scene: Scene) -> None:
    login = f"{victim}@halden.example"
    user = insist(lambda: scene.okta.assign(login, victim.title(), "Survivor", department="Engineering"))
    person = scene.rest(login)

    number = _asked(person, victim)
    scene.kill(victim)
    _approve(scene, number)
    scene.kill(victim)
    wait_for(lambda: _holds(scene, login), seconds=BACK_SECONDS, what="the account in Relay")
    scene.kill(victim)
    ended = _ended(person, number)
    assert ended["end_cause"] == "expired"
    assert not scene.relay.holds(login, GROUP)

    insist(lambda: scene.okta.unassign(user) or True)
    scene.kill(victim)
    insist(lambda: scene.okta.user(user)["active"] is False or None)

    expected = {
        "request.submitted": 1,
        "request.approved": 1,
        "grant.started": 1,
        "grant.ended": 1,
        "operation.delivered give": 1,
        "operation.verified give": 1,
        "operation.delivered take": 1,
        "operation.verified take": 1,
    }
    wait_for(lambda: _entries(scene, number) == expected, seconds=BACK_SECONDS, what=f"just these entries: {expected}")
    assert len(scene.relay.accounts(login)) == 1
    assert scene.relay.accounts(login)[0]["active"] is False


def test_the_log_is_whole_afterwards_and_everything_is_up(scene: Scene) -> None:
    assert scene.stack.manage("verify_ledger")
    wait_for(scene.stack.is_ready, seconds=BACK_SECONDS, what="readiness")


def _asked(person: Rest, victim: str) -> int:
    asked = insist(
        lambda: person.post(
            "requests/",
            application="relay",
            entitlement="on-call-bridge",
            duration_seconds=8,
            purpose="Fix an incident",
            reason=f"An incident while the {victim} dies under our hands.",
        )
    )
    return int(asked["number"])


def _approve(scene: Scene, number: int) -> None:
    """Approve; when the connection broke, look whether the yes arrived, as a person would."""

    def once() -> Any:
        if scene.owner.get(f"requests/{number}/")["state"] == "approved":
            return True
        return scene.owner.post(f"requests/{number}/approve/")

    insist(once)


def _holds(scene: Scene, login: str) -> bool:
    """Tell whether the access was given; it may have ended by the time somebody looks."""
    return scene.relay.holds(login, GROUP) or bool(scene.relay.accounts(login))


def _ended(person: Rest, number: int) -> Any:
    def once() -> Any:
        grants = person.get(f"requests/{number}/")["grants"]
        done = [grant for grant in grants if grant["removed"] and grant["removed"]["state"] == "verified"]
        return done[0] if done else None

    def patiently() -> Any:
        with suppress(httpx.HTTPError, AssertionError):
            return once()
        return None

    # A killed worker's claim is taken over when it expires; that is the longest anything waits.
    return wait_for(patiently, seconds=120, what="the read-back of the removal")


def _entries(scene: Scene, number: int) -> dict[str, int] | None:
    with suppress(psycopg.OperationalError):
        return dict(scene.entries(number))
    return None
