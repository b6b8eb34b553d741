"""How often a connection may ask: 429 with an integer `Retry-After`, without a write for any request.

Each process counts for itself, in memory. About once a second, when it writes down what it saw, it learns how many
requests the other processes (on whatever machine) answered for the same connection meanwhile, and takes them off as
well. So the limit holds for all processes together, late by about a second: in the first second of a flood, N
processes together let through up to N times the burst. A request that was refused costs nothing of the allowance.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import dataclass

#: Whoever was quiet may send so many seconds' worth at once.
BURST_SECONDS = 10.0


@dataclass(slots=True)
class _Allowance:
    """One connection: the virtual time up to which its allowance is spent (the generic cell rate algorithm)."""

    spent_until: float = 0.0
    per_minute: int = 60


class Limiter:
    """The allowances of one process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: also in a process that was forked while another thread held the lock."""
        self._lock = threading.Lock()
        self._allowances: dict[int, _Allowance] = {}

    def refused_for(self, connection_id: int, per_minute: int, *, at: float) -> int:
        """Take one request off the allowance; return 0, or in how many seconds there is one again.

        `at` is any clock in seconds that never goes back.
        """
        with self._lock:
            allowance = self._allowances.setdefault(connection_id, _Allowance())
            allowance.per_minute = per_minute
            start = max(allowance.spent_until, at)
            ahead = start - at
            if ahead + 60.0 / per_minute > BURST_SECONDS:
                return max(1, math.ceil(ahead + 60.0 / per_minute - BURST_SECONDS))
            allowance.spent_until = start + 60.0 / per_minute
            return 0

    def take_off(self, connection_id: int, requests: int, *, at: float) -> None:
        """Take off what other processes answered meanwhile; at most a minute's worth, whatever they say."""
        with self._lock:
            allowance = self._allowances.get(connection_id)
            if allowance is None or requests <= 0:
                return
            spent = max(allowance.spent_until, at) + requests * 60.0 / allowance.per_minute
            allowance.spent_until = min(spent, at + BURST_SECONDS + 60.0)


LIMITER = Limiter()
os.register_at_fork(after_in_child=LIMITER.reset)
