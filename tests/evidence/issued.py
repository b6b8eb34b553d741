"""A bundle as it leaves the house: a small story through the real actions, sealed and built."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from django.conf import settings
from django.db import transaction

from governance.access import deciding, grants, requests
from governance.access.models import Grant
from governance.core.clock import now
from governance.evidence import actions, building
from governance.evidence.models import EvidenceBundle
from governance.evidence.packing import pack
from governance.identity.models import Person
from governance.identity.profiles import Profile
from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_pending
from governance.lifecycle import actions as lifecycle
from tests import cast
from tests.cast import TESTING, acting, ask

MARCH = datetime(2026, 3, 3, 9, tzinfo=UTC)
APRIL = datetime(2026, 4, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Issued:
    """What an auditor got, and what she holds besides."""

    packed: bytes
    key: str
    fingerprint: str
    #: A signed checkpoint from before the bundle.
    anchor: str
    #: Another bundle of the same log, which she got a day later.
    next: bytes

    def files(self) -> dict[str, bytes]:
        return unpacked(self.packed)

    def unpack(self, folder: Path) -> Path:
        for name, content in self.files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def save(self, path: Path) -> Path:
        path.write_bytes(self.packed)
        return path


def unpacked(packed: bytes) -> dict[str, bytes]:
    """Return the files of a bundle by name."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tell_the_story() -> None:
    """Ada asks and gets; Mallory leaves with access that nobody takes; Bobby has a name that hurts spreadsheets."""
    with time_machine.travel(MARCH, tick=False) as clock:
        grace = cast.hire("Grace Hopper")
        ada = cast.hire("Ada Lovelace", manager=grace)
        linus, mallory = cast.hire("Linus Berg"), cast.hire("Mallory Grey")
        bobby = cast.hire("Bobby", display_name='=HYPERLINK("http://x","a, b\n c")')
        role = cast.add_role(cast.add_application("Snowflake", owner=linus), "Analyst")
        clock.shift(HOUR)
        request = requests.submit(ada, role, ask(), actor=acting(ada))
        clock.shift(HOUR)
        deciding.approve(request, approver=linus, actor=acting(linus))
        with transaction.atomic():
            for person in (mallory, bobby):
                new = grants.NewGrant(person.pk, role.pk, role.application_id, "manual", starts_at=MARCH + 2 * HOUR)
                grants.start_many([new], at=MARCH + 2 * HOUR, actor=TESTING)
        clock.shift(HOUR)
        with transaction.atomic():
            lifecycle.leave(Person.objects.select_for_update().get(pk=mallory.pk), actor=TESTING)


@transaction.atomic
def later_facts() -> None:
    """Do what a later day brings: a name changes, access ends, somebody leaves, and a fact is back-dated."""
    ada, bobby = (
        Person.objects.select_for_update().get(user_name=f"{name}@halden.example") for name in ("ada", "bobby")
    )
    renamed = Profile(user_name=ada.user_name, display_name="Ada King", department="Court", external_id="idp-ada")
    lifecycle.update(ada, renamed, actor=TESTING)
    role = Grant.objects.filter(person=bobby).get().entitlement
    new = grants.NewGrant(ada.pk, role.pk, role.application_id, "manual", starts_at=MARCH)
    grants.start_many([new], at=now(), actor=TESTING)
    lifecycle.leave(bobby, effective_at=MARCH + 48 * HOUR, actor=TESTING)


def seal(signer: Signer) -> None:
    """Seal everything that is recorded."""
    while seal_pending(signer=signer):
        pass


def ask_for(framework: str = "soc2", **known: object) -> EvidenceBundle:
    """Ask for the bundle of March."""
    asked = {"first": "2026-03-01", "last": "2026-03-31", "zone": "Europe/Berlin", **known}
    return actions.request_bundle(framework, actor=TESTING, **asked)  # type: ignore[arg-type]


def build(bundle: EvidenceBundle, signer: Signer) -> EvidenceBundle:
    """Build until it is ready, sealing in between, as a worker and the sequencer would."""
    for _ in range(3):
        seal(signer)
        if building.advance(bundle.pk):
            break
    bundle.refresh_from_db()
    return bundle


def file_of(bundle: EvidenceBundle) -> Path:
    return Path(settings.BUNDLE_DIR) / bundle.file_name


#: Checks a bundle, with a key and further options.
Verify = Callable[..., tuple[int, str]]


def bent(bundle: Path, folder: Path, name: str, content: bytes | None) -> Path:
    """Return the bundle with a file changed or taken out, its sums as they then are, and packed again."""
    for one, text in unpacked(bundle.read_bytes()).items():
        (folder / one).parent.mkdir(parents=True, exist_ok=True)
        (folder / one).write_bytes(text)
    (folder / name).write_bytes(content) if content is not None else (folder / name).unlink()
    building._write_sums(folder)
    pack(folder, folder.with_suffix(".zip"))
    shutil.rmtree(folder)
    return folder.with_suffix(".zip")


def run_verifier(script: Path, *arguments: str | Path, python: str = sys.executable) -> tuple[int, str]:
    """Run verify.py as its own process, without site packages, our environment or our folder."""
    done = subprocess.run(
        [python, "-I", "-S", str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr
