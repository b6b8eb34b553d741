"""Tells whether the static files changed since they were last collected, so that a start need not do it again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders

_MARK = ".collected"


def fingerprint() -> str:
    """Return a digest over name, size and time of every static file of this version."""
    digest = hashlib.sha256(f"{django.get_version()} {settings.STORAGES['staticfiles']['BACKEND']}".encode())
    for finder in get_finders():
        for path, storage in finder.list(None):
            found = Path(storage.path(path)).stat()
            digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collected() -> str | None:
    """Return the fingerprint of the files that were collected last, None when none were."""
    mark = Path(settings.STATIC_ROOT) / _MARK
    return mark.read_text() if mark.exists() else None


def remember(value: str) -> None:
    """Keep `value` as the fingerprint of what is collected now."""
    (Path(settings.STATIC_ROOT) / _MARK).write_text(value)
