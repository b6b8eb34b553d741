"""How a bundle is built, step by step, by whoever comes along: a worker, the sweep, or the command.

Each step may be interrupted anywhere. What was decided is in the row (cut, pinned size, manifest), what was written
can be written again, and the session lock of a killed builder is gone with its connection.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.core.errors import DomainError
from governance.evidence import events, files
from governance.evidence.actions import defined_by
from governance.evidence.ledger_files import write_proof_of_manifest
from governance.evidence.models import OPEN_STATES, BundleState, EvidenceBundle, ExportedManifest
from governance.evidence.packing import file_digest, pack
from governance.ledger import queries as ledger
from governance.ledger.models import Checkpoint, EntrySubject, Pending
from governance.ledger.queries import Head, ProvenEntry
from governance.ledger.recording import Subject, record

logger = logging.getLogger(__name__)

#: PostgreSQL advisory locks of builders: the bytes "evid", and the bundle's number.
LOCK_CLASS = int.from_bytes(b"evid")
#: The number no bundle has: the turn of whoever builds all that is due.
EVERY_BUNDLE = 0
#: A bundle that kills or fails its builder this often is given up.
MOST_ATTEMPTS = 3
#: Steps that the page counts: sealing, the writing of files, proof, packing.
STEPS = files.STEPS + 3


def advance_due() -> int:
    """Bring every open bundle as far as it goes now; return how many are finished by this.

    One caller at a time does so, the others return at once: building shall not occupy all workers.
    """
    with _turn(EVERY_BUNDLE) as is_ours:
        if not is_ours:
            return 0
        open_ids = EvidenceBundle.objects.filter(state__in=OPEN_STATES).order_by("id").values_list("id", flat=True)
        return sum(advance(bundle_id) for bundle_id in list(open_ids))


def advance(bundle_id: int) -> bool:
    """Bring one bundle as far as it goes now; return whether that finished it.

    False also when another builder has it, or when it waits for the sequencer. Call outside of a transaction.
    """
    with _turn(bundle_id) as is_ours:
        if not is_ours:
            return False
        bundle = EvidenceBundle.objects.get(pk=bundle_id)
        if bundle.state not in OPEN_STATES:
            return False
        try:
            return _advance(bundle)
        except DomainError as error:
            _fail(bundle, str(error))
        except Exception:
            logger.exception("Bundle %s stopped.", bundle.ref)
            _note_crash(bundle)
    return False


def folder_of(bundle: EvidenceBundle) -> Path:
    """Return where the files of an unfinished bundle are."""
    return Path(settings.BUNDLE_DIR) / f"{bundle.ref}.work"


def _advance(bundle: EvidenceBundle) -> bool:
    pinned = _pin(bundle)
    if pinned is None:
        return False
    if not _files_are_there(bundle):
        _write(bundle, pinned)
    proven = _proof_of_manifest(bundle.manifest_sha256)
    if proven is None:
        _tell(bundle, BundleState.PROVING, "Waiting for the log to seal the manifest", files.STEPS + 1)
        return False
    _finish(bundle, proven, pinned)
    return True


def _pin(bundle: EvidenceBundle) -> Head | None:
    """Return the head of the log that covers everything recorded before the building began; None while none does."""
    if bundle.ledger_size is not None:
        return ledger.checkpoint_at(bundle.ledger_size)
    if bundle.outbox_mark is None:
        last = Pending.objects.order_by("-id").values_list("id", flat=True).first()
        bundle.outbox_mark = last or 0
        bundle.save(update_fields=["outbox_mark"])
    head = None if Pending.objects.filter(id__lte=bundle.outbox_mark).exists() else ledger.latest_checkpoint()
    if head is None:
        _tell(bundle, BundleState.SEALING, "Waiting for the log to seal what was recorded before", 0)
        return None
    bundle.ledger_size = head.size
    bundle.save(update_fields=["ledger_size"])
    return head


def _files_are_there(bundle: EvidenceBundle) -> bool:
    manifest = folder_of(bundle) / files.MANIFEST
    return bool(bundle.manifest_sha256) and manifest.is_file() and file_digest(manifest) == bundle.manifest_sha256


def _write(bundle: EvidenceBundle, pinned: Head) -> None:
    """Write everything up to the manifest, and let the log know the manifest."""
    _begin_attempt(bundle)
    folder, key = folder_of(bundle), ledger.verifier_key()
    shutil.rmtree(folder, ignore_errors=True)
    told = iter(range(1, STEPS))

    def progress(step: str) -> None:
        _tell(bundle, BundleState.BUILDING, step, next(told))

    if key is None:
        raise DomainError("The log has a signed head and no key. Run verify_ledger.")
    made = files.write_files(folder, bundle.question(), pinned=pinned, key=key, progress=progress, since=bundle.since())
    _record_export(bundle, made)


@transaction.atomic
def _record_export(bundle: EvidenceBundle, made: files.Made) -> None:
    """Write the manifest's hash into the ledger, unless the ledger has it: then this bundle is that one again."""
    at = now()
    _, is_new = ExportedManifest.objects.get_or_create(sha256=made.sha256, defaults={"recorded_at": at})
    if is_new:
        record(
            events.EVIDENCE_EXPORTED,
            actor=builder_of(bundle),
            subjects=[Subject("manifest", made.sha256), Subject("bundle", str(bundle.ref))],
            data={
                "manifest_sha256": made.sha256,
                "framework": bundle.framework,
                "first": bundle.first_day.isoformat(),
                "last": bundle.last_day.isoformat(),
                "zone": bundle.zone,
                "known_at": bundle.known_at,
                "ledger_size": bundle.ledger_size,
                "asked_by": bundle.made_by_ref,
                **defined_by(bundle.definition),
                **({"since_ledger_size": bundle.since_ledger_size} if bundle.since_ledger_size is not None else {}),
            },
            at=at,
        )
    bundle.manifest_sha256, bundle.summary = made.sha256, made.summary
    bundle.save(update_fields=["manifest_sha256", "summary"])


def _proof_of_manifest(sha256: str) -> ProvenEntry | None:
    """Return the entry of the export with its proof against the first head that covers it; None until there is one."""
    index = (
        EntrySubject.objects.filter(kind="manifest", ref=sha256, entry__event=events.EVIDENCE_EXPORTED)
        .order_by("entry_id")
        .values_list("entry_id", flat=True)
        .first()
    )
    if index is None:
        return None
    size = Checkpoint.objects.filter(size__gt=index).order_by("size").values_list("size", flat=True).first()
    head = None if size is None else ledger.checkpoint_at(size)
    return None if head is None else next(iter(ledger.proven_entries([index], head)), None)


def _finish(bundle: EvidenceBundle, proven: ProvenEntry, pinned: Head) -> None:
    _tell(bundle, BundleState.PROVING, "Packing", files.STEPS + 2)
    folder = folder_of(bundle)
    write_proof_of_manifest(folder, proven, pinned)
    _write_sums(folder)
    target = folder.with_name(f"{bundle.ref}.zip")
    bundle.sha256, bundle.size = pack(folder, target)
    bundle.file_name, bundle.ready_at, bundle.state = target.name, now(), BundleState.READY
    bundle.step, bundle.steps_done, bundle.last_error = "Ready", STEPS, ""
    _record_ready(bundle)
    shutil.rmtree(folder, ignore_errors=True)


@transaction.atomic
def _record_ready(bundle: EvidenceBundle) -> None:
    """Keep that the file is whole, and write its hash into the ledger."""
    bundle.save()
    record(
        events.EVIDENCE_READY,
        actor=builder_of(bundle),
        subjects=[Subject("bundle", str(bundle.ref)), Subject("manifest", bundle.manifest_sha256)],
        data={"sha256": bundle.sha256, "size": bundle.size, "manifest_sha256": bundle.manifest_sha256},
    )


def _write_sums(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    sums.unlink(missing_ok=True)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    sums.write_text("".join(f"{file_digest(folder / name)}  {name}\n" for name in names), encoding="ascii")


def builder_of(bundle: EvidenceBundle) -> Actor:
    """Return the part of Gatehouse that builds, continuing the act of whoever asked."""
    return Actor.system("evidence", door=Door.CLOCK, correlation_id=bundle.correlation_id)


def _tell(bundle: EvidenceBundle, state: BundleState, step: str, done: int) -> None:
    bundle.state, bundle.step, bundle.steps_done, bundle.steps = state, step, done, STEPS
    bundle.save(update_fields=["state", "step", "steps_done", "steps"])


def _begin_attempt(bundle: EvidenceBundle) -> None:
    """Count the attempt before it can fail, so that a bundle that kills its builder is given up in the end."""
    if bundle.attempts >= MOST_ATTEMPTS:
        raise DomainError(f"The building was interrupted {bundle.attempts} times. {bundle.last_error}".strip())
    bundle.attempts += 1
    bundle.save(update_fields=["attempts"])


def _note_crash(bundle: EvidenceBundle) -> None:
    if bundle.attempts >= MOST_ATTEMPTS:
        _fail(bundle, "The building stopped with an error each time. The log of the worker says more.")


@transaction.atomic
def _fail(bundle: EvidenceBundle, why: str) -> None:
    bundle.state, bundle.last_error, bundle.step = BundleState.FAILED, why[:500], "Failed"
    bundle.save(update_fields=["state", "last_error", "step"])
    record(
        events.EVIDENCE_FAILED,
        actor=builder_of(bundle),
        subjects=[Subject("bundle", str(bundle.ref))],
        data={"attempts": bundle.attempts},
    )
    shutil.rmtree(folder_of(bundle), ignore_errors=True)


@contextmanager
def _turn(bundle_id: int) -> Iterator[bool]:
    """Have the bundle to ourselves: a lock of this database session, which a killed process loses with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, bundle_id])
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        if is_ours and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, bundle_id])
