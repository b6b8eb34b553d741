"""Who is woken when entries were sealed. Rooms above say so when they start; this room does not know them."""

from __future__ import annotations

from governance.core.wakeup import wake

_tasks: dict[str, None] = {}


def wake_when_sealed(task_name: str) -> None:
    """Have the task called `task_name` run after each sealing; the tick of the clock remains the net below it."""
    _tasks[task_name] = None


def wake_readers() -> None:
    """Wake whoever reads sealed entries."""
    for name in _tasks:
        wake(name)
