"""Starts the embedded PostgreSQL once for a test run that has no DATABASE_URL, and removes it afterwards.

Wired by `pytest_plugins` in tests/conftest.py. In a parallel run the controller starts it, the others use it.
"""

from __future__ import annotations

import contextlib
import os
import shutil

import pytest
from django.conf import settings

from governance.config import postgres

#: A test database need not survive a power cut.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}

_running = contextlib.ExitStack()


def _is_controller(config: pytest.Config) -> bool:
    return not hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have the database before the first test, and before the first worker of a parallel run."""
    if _is_controller(session.config) and settings.ENVIRONMENT.uses_embedded_database:
        _running.enter_context(postgres.running(settings.ENVIRONMENT.data_dir, settings=_FAST))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the database and remove the data folder that was made for this run."""
    if not _is_controller(config):
        return
    _running.close()
    if "GATEHOUSE_TEST_DATA_DIR" in os.environ:
        shutil.rmtree(os.environ["GATEHOUSE_TEST_DATA_DIR"], ignore_errors=True)
