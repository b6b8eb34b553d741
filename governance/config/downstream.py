"""The demo's downstream application: the scim2-server package's own test server, with a memory that survives restarts.

Everything it answers is the package's code. Added here: what it holds is written to a file, and read at the start.
Run as `python -m governance.config.downstream STATE_FILE TOKEN_FILE [options of scim2-server]`.
"""

from __future__ import annotations

import atexit
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scim2_models import Resource, ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.storage import ScimStorage
from scim2_server.testserver import application, cli

_INTERVAL_SECONDS = 0.5


class _Keeper:
    """Writes the resources of one storage to its file whenever they changed."""

    def __init__(self, path: Path, storage: InMemoryStorage, provider: ScimProvider) -> None:
        self._path = path
        self._storage = storage
        if path.exists():
            storage.resources = [_read(provider, kept) for kept in json.loads(path.read_text())]
        # Versions go on rising over restarts, so that an old ETag never matches a new state.
        storage.versions = itertools.count(time.time_ns())
        self._written = self._state()

    def start(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()
        atexit.register(self.write_when_changed)

    def write_when_changed(self) -> None:
        with self._storage.lock:
            state = self._state()
            if state == self._written:
                return
            text = json.dumps([resource.model_dump() for resource in self._storage.resources])
        draft = self._path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self._path)
        self._written = state

    def _state(self) -> set[tuple[str | None, str | None]]:
        return {(found.id, found.meta.version if found.meta else None) for found in self._storage.resources}

    def _watch(self) -> None:
        while True:
            time.sleep(_INTERVAL_SECONDS)
            self.write_when_changed()


def _read(provider: ScimProvider, kept: dict[str, Any]) -> Resource[Any]:
    model = provider.model_for(kept["meta"]["resourceType"])
    resource = model.model_validate(kept) if model else None
    if not isinstance(resource, Resource):
        raise TypeError(f"The kept state holds a {kept['meta']['resourceType']}, which this server does not serve.")
    return resource


def _kept_application(path: Path) -> type[application.BearerTokenApplication]:
    """Return the package's application, with a storage that is kept at `path`."""

    class KeptApplication(application.BearerTokenApplication):
        def __init__(
            self,
            storage: ScimStorage,
            provider: ScimProvider,
            service: ScimService | None = None,
            bearer_tokens: Iterable[str] = (),
        ) -> None:
            super().__init__(storage, provider, service, bearer_tokens)
            assert isinstance(storage, InMemoryStorage)
            _Keeper(path, storage, provider).start()

    return KeptApplication


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    state_file, token_file, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    vars(cli)["BearerTokenApplication"] = _kept_application(Path(state_file))
    # From a file, not from the command line that every user of the machine can list. In one word with its option: a
    # token may begin with a dash, and would be taken for an option itself.
    sys.argv[1:] = [*options, f"--bearer-token={Path(token_file).read_text().strip()}"]
    cli.main()


if __name__ == "__main__":
    main()
