"""What `manage.py` does before Django: have the embedded database for as long as the command runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from governance.config import postgres
from governance.config.environment import read_environment

#: Management commands that never ask the database. Everything else gets it, so that no command has to think about it.
_WITHOUT_DATABASE = frozenset({"help", "version", "collectstatic", "diffsettings", "makemessages", "compilemessages"})


def needs_database(argv: list[str]) -> bool:
    """Tell whether `manage.py` with these arguments asks the database."""
    words = argv[1:]
    if not words or words[0].startswith("-") or words[0] in _WITHOUT_DATABASE:
        return False
    return not {"--help", "-h", "--version"} & set(words)


@contextlib.contextmanager
def database_for(argv: list[str]) -> Iterator[None]:
    """Have the embedded database while the command of `argv` runs: that of `make run`, or one of its own.

    Ends the process with one sentence when it cannot be had.
    """
    environment = read_environment()
    if not environment.uses_embedded_database or not needs_database(argv):
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(postgres.running(environment.data_dir))
        except postgres.DatabaseUnavailable as error:
            sys.exit(str(error))
        yield
