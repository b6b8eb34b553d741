"""Applications to provision: scim2-server's own test server as a process, and one that misbehaves on purpose."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

TOKEN = "downstream-token"


class Peer:
    """The real peer, asked through its own API."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._http = httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)

    def add_group(self, name: str) -> str:
        """Create a group and return its id."""
        created = self._http.post("/Groups", json={"schemas": [GROUP], "displayName": name})
        assert created.status_code == 201, created.text
        return str(created.json()["id"])

    def add_user(self, user_name: str, **attributes: Any) -> str:
        """Create a user by the application's own hand and return their id."""
        created = self._http.post("/Users", json={"schemas": [USER], "userName": user_name, **attributes})
        assert created.status_code == 201, created.text
        return str(created.json()["id"])

    def remove_user(self, user_id: str) -> None:
        """Delete a user by the application's own hand."""
        assert self._http.delete(f"/Users/{user_id}").status_code == 204

    def empty(self) -> None:
        """Delete everything."""
        for kind in ("Users", "Groups"):
            for found in self._http.get(f"/{kind}").json().get("Resources", []):
                self._http.delete(f"/{kind}/{found['id']}")

    def users(self) -> list[dict[str, Any]]:
        """Return every user."""
        found: list[dict[str, Any]] = self._http.get("/Users").json().get("Resources", [])
        return found

    def members(self, group: str) -> list[str]:
        """Return the user names in a group, as often as they stand there."""
        names = {user["id"]: user["userName"] for user in self.users()}
        groups = self._http.get("/Groups").json().get("Resources", [])
        return [
            names.get(member["value"], "?")
            for found in groups
            if found["displayName"] == group
            for member in found.get("members", [])
        ]

    def join(self, group_id: str, user_id: str) -> None:
        """Add a member by the application's own hand."""
        operation = {"op": "add", "path": "members", "value": [{"value": user_id}]}
        answer = self._http.patch(f"/Groups/{group_id}", json={"schemas": [PATCH], "Operations": [operation]})
        assert answer.is_success, answer.text


USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@contextmanager
def real_peer() -> Iterator[Peer]:
    """Run the package's own server on a free port of the loopback address."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    command = shutil.which("scim2-server", path=str(Path(sys.executable).parent)) or "scim2-server"
    process = subprocess.Popen(
        [command, "--hostname", "127.0.0.1", "--port", str(port), "--bearer-token", TOKEN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peer = Peer(f"http://127.0.0.1:{port}")
    try:
        _until_it_answers(peer)
        yield peer
    finally:
        process.terminate()
        process.wait(timeout=10)


def _until_it_answers(peer: Peer) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            peer.users()
            return
        except httpx.HTTPError:
            assert time.monotonic() < end, "scim2-server does not answer"
            time.sleep(0.05)


Script = Callable[[str, str], tuple[int, dict[str, str], bytes] | None]


class UnrulyPeer:
    """A SCIM application that answers what a test tells it to. `script` gets method and path; None is a plain 404."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls: list[tuple[str, str]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                peer.calls.append((self.command, self.path))
                status, headers, body = peer.script(self.command, self.path) or (404, {}, b"{}")
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def scim(status: int, document: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return an answer with a SCIM document."""
    return status, {"Content-Type": "application/scim+json", **headers}, json.dumps(document).encode()


def listed(*resources: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """Return a list response."""
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(resources) if total is None else total,
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }
