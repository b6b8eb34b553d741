"""Carries heads to their anchors: claimed, carried outside of any transaction, settled; tried again when it fails.

A worker that is killed between the two leaves a claim that runs out; the same head may then be kept twice: no harm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from governance.anchors import events
from governance.anchors.kinds.base import Kept, NotKept, Place
from governance.anchors.models import Anchor, AnchorReceipt
from governance.anchors.ways import WAYS
from governance.core.actor import Actor
from governance.core.clock import now
from governance.ledger.queries import Head, latest_checkpoint
from governance.ledger.recording import Subject, record
from governance.provisioning.secrets import SecretUnreadable, decrypt

logger = logging.getLogger(__name__)

CLAIM = timedelta(minutes=5)
#: Pauses after failures in a row, in seconds; the last one is repeated.
PAUSES = (30, 120, 600, 1_800, 3_600)
_MOST_AT_ONCE = 20


def keep_due() -> int:
    """Bring the newest head to every anchor whose turn it is; return how many keep it now."""
    head, kept = latest_checkpoint(), 0
    for _ in range(_MOST_AT_ONCE if head is not None else 0):
        claimed = _claim(now() + CLAIM)
        if claimed is None or head is None:
            break
        kept += _bring(claimed, head)
    return kept


@transaction.atomic
def _claim(until: datetime) -> Anchor | None:
    at = now()
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=at)
    carried = [kind for kind, way in WAYS.items() if way.keep is not None]
    due = Anchor.objects.select_for_update(skip_locked=True).filter(
        free, kind__in=carried, next_at__lte=at, paused_at__isnull=True, ended_at__isnull=True
    )
    found = due.order_by("next_at", "id").first()
    if found is not None:
        found.claimed_until = until
        found.save(update_fields=["claimed_until"])
    return found


def _bring(anchor: Anchor, head: Head) -> bool:
    """Bring one head to one anchor; return whether it keeps it. A head that it has already is not brought again."""
    if head.size <= anchor.last_size:
        Anchor.objects.filter(pk=anchor.pk, claimed_until=anchor.claimed_until).update(
            claimed_until=None, next_at=now() + timedelta(seconds=anchor.every_seconds)
        )
        return False
    way = WAYS[anchor.kind]
    assert way.keep is not None
    try:
        kept = way.keep(_place(anchor, head))
    except (NotKept, SecretUnreadable) as error:
        _fail(anchor, str(error))
        return False
    except Exception:
        logger.exception("The anchor %s failed.", anchor.ref)
        _fail(anchor, "Something unexpected happened; the log of the worker says what.")
        return False
    note_receipt(anchor, head, kept)
    return True


def _place(anchor: Anchor, head: Head) -> Place:
    folder = Path(settings.ENVIRONMENT.data_dir) / "anchors" / str(anchor.ref)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    said: Mapping[str, str] = anchor.settings
    return Place(said, decrypt(anchor.secret_encrypted), folder, head, origin=head.note.partition("\n")[0])


@transaction.atomic
def note_receipt(anchor: Anchor, head: Head, kept: Kept) -> AnchorReceipt:
    """Write down that the anchor keeps the head."""
    at = now()
    row = Anchor.objects.select_for_update(no_key=True).get(pk=anchor.pk)
    receipt = AnchorReceipt.objects.create(
        anchor=row, size=head.size, root=head.root, note=head.note, said=dict(kept.said), proof=kept.proof, at=at
    )
    row.last_size, row.last_at = max(row.last_size, head.size), at
    row.failures_in_a_row, row.trouble_since, row.last_error, row.claimed_until = 0, None, "", None
    row.next_at = at + timedelta(seconds=row.every_seconds)
    row.save()
    _record(
        events.CHECKPOINT_ANCHORED, row, size=head.size, root=head.root.hex(), kind=row.kind, receipt=dict(kept.said)
    )
    return receipt


@transaction.atomic
def _fail(anchor: Anchor, cause: str) -> None:
    """Put the anchor off. The ledger is told once for each time of trouble, not at each try."""
    at = now()
    row = Anchor.objects.select_for_update(no_key=True).get(pk=anchor.pk)
    is_new = row.trouble_since is None
    row.trouble_since = row.trouble_since or at
    pause = PAUSES[min(row.failures_in_a_row, len(PAUSES) - 1)]
    row.failures_in_a_row += 1
    row.next_at, row.claimed_until, row.last_error = at + timedelta(seconds=pause), None, cause[:500]
    row.save()
    if is_new:
        _record(events.ANCHOR_FAILED, row, kind=row.kind)


def _record(event: str, row: Anchor, **data: object) -> None:
    actor = Actor.system("anchors")
    record(event, actor=actor, subjects=[Subject("anchor", str(row.ref))], data=data)
