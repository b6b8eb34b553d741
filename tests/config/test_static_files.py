"""Static files as they are served: under names with a digest, in what modules import too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import override_settings

from governance.config import settings as real


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """The static files, collected as `manage.py prepare` does."""
    with override_settings(STATIC_ROOT=tmp_path, STORAGES=real.STORAGES):
        call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


def test_a_module_imports_its_part_by_the_name_with_the_digest(collected: Path) -> None:
    """Kept for good by a browser, a module under its plain name could be older than what imports it."""
    (page,) = collected.glob("js/verify-entry.????????????.js")

    (part,) = re.findall(r'from "\./(log-verifier\.[0-9a-f]{12}\.js)"', page.read_text())

    assert (collected / "js" / part).is_file()
