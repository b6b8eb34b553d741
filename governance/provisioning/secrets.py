"""Secrets of connectors at rest: encrypted with the field keys of the environment, the newest first."""

from __future__ import annotations

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction

from governance.provisioning.models import Connector


class SecretUnreadable(Exception):
    """None of the field keys opens the secret. The sentence says what to do."""


def encrypt(secret: str) -> str:
    """Return the secret as it is kept; nothing for nothing."""
    return _box().encrypt(secret.encode()).decode() if secret else ""


def decrypt(kept: str) -> str:
    """Return the secret that is kept.

    Raises SecretUnreadable when its key is not among the field keys any more.
    """
    if not kept:
        return ""
    try:
        return _box().decrypt(kept.encode()).decode()
    except InvalidToken as error:
        raise SecretUnreadable("The key of this secret is not in FIELD_KEYS. Enter the token again.") from error


@transaction.atomic
def rotate_all() -> int:
    """Encrypt every secret anew with the newest field key; return how many.

    Raises SecretUnreadable, and changes nothing, when one cannot be opened.
    """
    connectors = list(Connector.objects.select_for_update(no_key=True).exclude(secret_encrypted="").order_by("pk"))
    for connector in connectors:
        connector.secret_encrypted = encrypt(decrypt(connector.secret_encrypted))
    Connector.objects.bulk_update(connectors, ["secret_encrypted"])
    return len(connectors)


@cache
def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENVIRONMENT.field_key_list])
