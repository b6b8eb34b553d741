"""Secrets of connectors at rest: encrypted with the field keys of the environment, the newest first."""

from __future__ import annotations

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import transaction
from django.db.models import Model

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


#: Where secrets are kept: models and their field.
_holders: dict[type[Model], tuple[str, ...]] = {Connector: ("secret_encrypted",)}


def holds_secrets(model: type[Model], *fields: str) -> None:
    """Have the secrets of a model of a room above rotated with those of connectors. Rooms call it in `watched`."""
    for field in fields:
        model._meta.get_field(field)
    _holders[model] = fields


@transaction.atomic
def rotate_all() -> int:
    """Encrypt every secret anew with the newest field key; return how many.

    Raises SecretUnreadable, and changes nothing, when one cannot be opened.
    """
    return sum(_rotate(model, field) for model, fields in _holders.items() for field in fields)


def _rotate(model: type[Model], field: str) -> int:
    kept = model._default_manager.select_for_update(no_key=True).exclude(**{field: ""})
    rows = list(kept.order_by("pk"))
    for row in rows:
        setattr(row, field, encrypt(decrypt(getattr(row, field))))
    model._default_manager.bulk_update(rows, [field])
    return len(rows)


@cache
def _box() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.ENVIRONMENT.field_key_list])
