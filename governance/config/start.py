"""Become one process of Gatehouse: `python -m governance.config.start web|worker|builder|scheduler|sweeper|sequencer`.

For service managers, which watch and restart processes themselves. `make run` runs the same commands.
"""

from __future__ import annotations

import os
import sys

from governance.config import programs
from governance.config.environment import read_environment
from governance.config.processes import Program


def _programs() -> dict[str, Program]:
    environment = read_environment()
    return {
        "web": programs.web(environment),
        "worker": programs.worker(environment),
        "builder": programs.builder(environment),
        "scheduler": programs.scheduler(),
        "sweeper": programs.sweeper(),
        "sequencer": programs.sequencer(),
    }


def main(arguments: list[str]) -> None:
    """Replace this process by the one that is named."""
    known = _programs()
    if len(arguments) != 1 or arguments[0] not in known:
        sys.exit(f"Name one of: {', '.join(known)}.")
    program = known[arguments[0]]
    os.chdir(program.folder)
    os.execv(program.command[0], program.command)  # noqa: S606 - the command is ours


if __name__ == "__main__":
    main(sys.argv[1:])
