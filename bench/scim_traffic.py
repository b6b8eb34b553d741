"""What `scim.py` sends: a client that costs little beside the servers, and operations that check their answers."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from scim_servers import MEMBER_PATHS, Server

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
DEPARTMENTS = ("Finance", "Engineering", "Sales", "Support", "Legal")


class WrongAnswer(Exception):
    """A server answered something else than the operation means; what it did is not counted."""


class Client:
    """One kept connection. Written out, because a client library costs more than some of the servers."""

    def __init__(self, server: Server, *, timeout_seconds: float = 120) -> None:
        self._server = server
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb", 1 << 16)
        self._common = (
            f"Host: localhost:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
            "Accept: application/scim+json\r\nContent-Type: application/scim+json\r\n"
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._file.close()
        self._socket.close()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request below the base and return status and content."""
        content = b"" if body is None else orjson.dumps(body)
        head = f"{method} {self._server.prefix}/{path} HTTP/1.1\r\n{self._common}Content-Length: {len(content)}\r\n\r\n"
        self._socket.sendall(head.encode() + content)
        return self._answer()

    def told(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the document of an answer that must be a success."""
        status, content = self.ask(method, path, body)
        if not 200 <= status < 300:
            raise WrongAnswer(f"{self._server.name}: {method} {path} was answered {status}: {content[:300]!r}")
        return orjson.loads(content) if content else {}

    def _answer(self) -> tuple[int, bytes]:
        status = int(self._file.readline().split(b" ", 2)[1])
        length, chunked = 0, False
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"transfer-encoding":
                chunked = True
        return status, b"".join(self._chunks()) if chunked else self._file.read(length)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            self._file.readline()
        self._file.readline()


#: Sends one operation on behalf of the numbered turn, and raises WrongAnswer.
Act = Callable[[Server, Client, int], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went. Rates count what was answered rightly."""

    rate: float
    #: Seconds of each operation.
    times: Sequence[float]
    #: Processor milliseconds of the server's own processes for each operation; PostgreSQL's are not in it.
    cpu_ms: float

    def percentile(self, share: float) -> float:
        """Return a percentile in milliseconds."""
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def run(server: Server, act: Act, count: int, *, clients: int = 4, seconds: float = float("inf")) -> Outcome:
    """Run `count` operations, or what fits into this time, over this many connections.

    Raises WrongAnswer when any answer was wrong.
    """
    times: list[float] = []
    wrong: list[Exception] = []
    turns = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        with closing(Client(server)) as client:
            while not wrong and time.perf_counter() - began_all < seconds:
                with lock:
                    turn = next(turns, None)
                if turn is None:
                    return
                began = time.perf_counter()
                try:
                    act(server, client, turn)
                except Exception as error:  # noqa: BLE001 - told to whoever runs this
                    wrong.append(error)
                times.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    cpu, began_all = server.cpu_seconds(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - began_all
    if wrong:
        raise wrong[0]
    return Outcome(len(times) / taken, times, (server.cpu_seconds() - cpu) / len(times) * 1000)


def user(number: int) -> dict[str, Any]:
    """Return the document of the user with this number."""
    return {
        "schemas": [USER, ENTERPRISE],
        "userName": f"person.{number}@example.com",
        "externalId": f"ext-{number:08}",
        "name": {"givenName": f"Given{number}", "familyName": f"Family{number % 977}"},
        "displayName": f"Given{number} Family{number % 977}",
        "emails": [{"value": f"person.{number}@example.com", "type": "work", "primary": True}],
        "title": "Engineer",
        "userType": "Employee",
        "active": True,
        ENTERPRISE: {"department": DEPARTMENTS[number % len(DEPARTMENTS)], "employeeNumber": f"{number:08}"},
    }


_numbers = iter(range(1, 1_000_000_000))
_numbers_lock = threading.Lock()


def fresh_number() -> int:
    """Return a number no user has yet."""
    with _numbers_lock:
        return next(_numbers)


def create(server: Server, client: Client, turn: int) -> None:
    """Create a user."""
    number = fresh_number()
    made = client.told("POST", "Users", user(number))
    _must(server, made["userName"] == f"person.{number}@example.com", made)
    server.people.append((made["id"], number))
    server.active.append(made["id"])


def get(server: Server, client: Client, turn: int) -> None:
    """Read a user."""
    id_, number = random.choice(server.people)
    found = client.told("GET", f"Users/{id_}")
    _must(server, found["id"] == id_ and found["userName"] == f"person.{number}@example.com", found)


def filter_user_name(server: Server, client: Client, turn: int) -> None:
    """Find a user by name."""
    id_, number = random.choice(server.people)
    _find(server, client, f'userName eq "person.{number}@example.com"', id_)


def filter_external_id(server: Server, client: Client, turn: int) -> None:
    """Find a user by the provider's own id."""
    id_, number = random.choice(server.people)
    _find(server, client, f'externalId eq "ext-{number:08}"', id_)


def rename(server: Server, client: Client, turn: int) -> None:
    """Change a family name: no two turns at once that of the same person."""
    id_, _ = server.people[turn * 7 % len(server.people)]
    name = f"Family{random.randrange(10**9)}"
    found = client.told("PATCH", f"Users/{id_}", patch("replace", "name.familyName", name))
    # RFC 7644 §3.5.2: a PATCH may be answered 204, without a body.
    _must(server, not found or found["name"]["familyName"] == name, found)


def leave(server: Server, client: Client, turn: int) -> None:
    """Deactivate somebody who is active."""
    id_ = server.active.popleft()
    found = client.told("PATCH", f"Users/{id_}", patch("replace", "active", False))
    _must(server, not found or found["active"] is False, found)


def first_page(server: Server, client: Client, turn: int) -> None:
    """List the first hundred."""
    _page(server, client, 1)


def last_page(server: Server, client: Client, turn: int) -> None:
    """List the last hundred, by index."""
    _page(server, client, len(server.people) - 99)


def mix(server: Server, client: Client, turn: int) -> None:
    """Do what a sync does: 40 % find, 25 % read, 20 % change, 10 % create, 5 % list."""
    place = (turn * 37) % 100
    for limit, act in ((40, filter_user_name), (65, get), (85, rename), (95, create), (100, first_page)):
        if place < limit:
            return act(server, client, turn)
    return None


def patch(op: str, path: str, value: Any) -> dict[str, Any]:
    """Return a PATCH of one operation."""
    return {"schemas": [PATCH], "Operations": [{"op": op, "path": path, "value": value}]}


def make_group(server: Server, client: Client, name: str, ids: Sequence[str]) -> str:
    """Return the id of a new group with these members, put in by thousands."""
    made = client.told("POST", "Groups", {"schemas": [GROUP], "displayName": name})
    for start in range(0, len(ids), 1000):
        add_members(client, made["id"], ids[start : start + 1000])
    return str(made["id"])


def add_members(client: Client, group: str, ids: Sequence[str]) -> int:
    """Put people into a group; return the bytes of the answer."""
    status, content = client.ask("PATCH", f"Groups/{group}", patch("add", "members", [{"value": id_} for id_ in ids]))
    if status not in (200, 204):
        raise WrongAnswer(f"members were answered {status}: {content[:300]!r}")
    return len(content)


def remove_member(server: Server, client: Client, group: str, id_: str) -> None:
    """Take one out of a group."""
    if server.member_removal == MEMBER_PATHS:
        operation: dict[str, Any] = {"op": "remove", "path": f'members[value eq "{id_}"]'}
    else:
        operation = {"op": "remove", "path": "members", "value": [{"value": id_}]}
    status, content = client.ask("PATCH", f"Groups/{group}", {"schemas": [PATCH], "Operations": [operation]})
    _must(server, status in (200, 204), content[:300])


def _find(server: Server, client: Client, condition: str, id_: str) -> None:
    found = client.told("GET", f"Users?filter={quote(condition)}")
    _must(server, found["totalResults"] == 1 and found["Resources"][0]["id"] == id_, condition)


def _page(server: Server, client: Client, start: int) -> None:
    found = client.told("GET", f"Users?startIndex={max(start, 1)}&count=100")
    _must(server, len(found["Resources"]) == 100 and found["totalResults"] >= 100, f"{len(found['Resources'])} listed")


def _must(server: Server, holds: bool, said: object) -> None:
    if not holds:
        raise WrongAnswer(f"{server.name} answered something else: {str(said)[:300]}")
