"""Celery's broker when none is configured: kombu's filesystem transport, made safe for several processes.

It carries wake-ups only (the work itself is rows in the database), so a message may be lost, never half-read.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps

#: More waiting wake-ups than this say nothing new: the worker sleeps, and the first one will find all the work.
_LARGEST_QUEUE = 200


class Channel(filesystem.Channel):
    """A channel that makes its folders, writes whole messages and keeps the queue short."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for folder in (self.data_folder_in, self.data_folder_out, self.control_folder):
            Path(folder).mkdir(parents=True, exist_ok=True)

    def get_table(self, exchange: str) -> list[Any]:
        """Return the bindings of the exchange, never while another process writes them."""
        with self._alone():
            table: list[Any] = super().get_table(exchange)
        return table

    def _queue_bind(self, *args: Any) -> None:
        with self._alone():
            super()._queue_bind(*args)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.control_folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # kombu's two base classes name the parameter differently.
    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]
        """Write the message under another name first: kombu itself lets a reader see half of it."""
        if self._size(queue) >= _LARGEST_QUEUE:
            return
        folder = Path(self.data_folder_out)
        draft = folder / f"{uuid.uuid4()}.draft"
        draft.write_bytes(str_to_bytes(dumps(payload)))
        # kombu hands the messages out in the order of their names.
        draft.replace(folder / f"{_order()}_{uuid.uuid4()}.{queue}.msg")


def _order() -> str:
    """Return a sortable stamp of the wall clock: a monotonic one starts again at each boot."""
    return f"{time.time_ns():020d}"


class Transport(filesystem.Transport):
    """The transport with that channel."""

    Channel = Channel
