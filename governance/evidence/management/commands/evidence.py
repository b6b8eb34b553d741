"""`manage.py evidence build` makes a bundle and waits for it; `definitions` and `define` list and write definitions;
`verifier` writes the verify.py to hand to an auditor."""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door, acting_as
from governance.core.errors import DomainError, Invalid
from governance.evidence import actions, building, definitions, queries
from governance.evidence.controls import FRAMEWORKS
from governance.evidence.files import MANIFEST
from governance.evidence.models import BundleState, DefinitionVersion, EvidenceBundle
from governance.evidence.questions import Pin
from governance.evidence.verifier.source import verifier_source
from governance.ledger.keys import KeySource
from governance.ledger.notes import BadKey
from governance.ledger.queries import verifier_key
from governance.ledger.sequencer import SequencerElsewhere, seal_pending
from governance.ledger.standalone import parse_verifier_key

SECONDS_BETWEEN_LOOKS = 0.2
#: Said when the log has not moved for this long and this process cannot seal.
SECONDS_TO_SAY_WHY = 5.0
HOW_TO_SEAL = (
    "Waiting for the log to be sealed. Nothing seals it now: start `manage.py ledger_sequencer` (or `make run`), "
    "or run this command where the signing key can be read."
)


class Command(BaseCommand):
    """Make evidence from a terminal."""

    help = (
        "Make an evidence bundle (build), one that says what became known since an earlier one (late-facts), list "
        "definitions of what bundles hold (definitions), write one (define), or write the stand-alone verifier "
        "(verifier)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the question, as an auditor would put it."""
        what = parser.add_subparsers(dest="what", required=True)
        build = what.add_parser("build", help="make a bundle and wait until it is ready")
        build.add_argument("--framework", choices=sorted(FRAMEWORKS))
        build.add_argument("--from", dest="first", metavar="DATE", help="first day, YYYY-MM-DD")
        build.add_argument("--to", dest="last", metavar="DATE", help="last day, included")
        build.add_argument("--zone", default="UTC", help="time zone of the days, like Europe/Berlin (default: UTC)")
        build.add_argument(
            "--sla-hours", type=int, default=actions.LEAVER_SLA_HOURS, help="allowed from leaving to removal"
        )
        build.add_argument(
            "--fresh-hours", type=int, default=actions.FRESHNESS_HOURS, help="sources older than this are a gap"
        )
        build.add_argument(
            "--definition", metavar="NAME", help="what is chosen of the pack, by its name; its framework is taken"
        )
        build.add_argument(
            "--application", dest="applications", action="append", default=[], metavar="SLUG", help="only within these"
        )
        build.add_argument("--as-in", type=Path, metavar="ZIP", help="ask exactly what this earlier bundle asked")
        build.add_argument(
            "--wait", type=float, default=300.0, metavar="SECONDS", help="give up waiting after this long"
        )
        build.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
        late = what.add_parser(
            "late-facts", help="ask again what an earlier bundle asked, and say what became known since"
        )
        late.add_argument("earlier", type=Path, metavar="ZIP", help="the earlier bundle")
        late.add_argument(
            "--wait", type=float, default=300.0, metavar="SECONDS", help="give up waiting after this long"
        )
        late.add_argument("--out", type=Path, required=True, metavar="FILE.zip", help="the bundle of what is known now")
        what.add_parser("definitions", help="list the definitions in use, as JSON")
        define = what.add_parser(
            "define",
            help="write a definition from JSON (name, framework, reports); a new version where its name is used",
        )
        define.add_argument("file", type=Path, metavar="FILE.json")
        verifier = what.add_parser("verifier", help="write verify.py, to be given out apart from any bundle")
        verifier.add_argument("--out", type=Path, required=True, metavar="verify.py")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        """Do it, and say what to keep."""
        if what == "verifier":
            options["out"].write_text(verifier_source(), encoding="utf-8")
            self.stdout.write(str(options["out"]))
        elif what == "definitions":
            said = [one.selection().as_json() for one in queries.definitions()]
            self.stdout.write(json.dumps(said, indent=2, ensure_ascii=False))
        elif what == "define":
            with acting_as(Actor.system("evidence", door=Door.COMMAND)) as actor:
                made = _define(options["file"], actor=actor)
            self.stdout.write(f"{made}, SHA-256 {made.sha256}")
        else:
            self._make(options.pop("out"), **options)

    def _make(self, out: Path, **options: Any) -> None:
        if not out.resolve().parent.is_dir():
            raise CommandError(f"--out: there is no folder {out.resolve().parent}.")
        with acting_as(Actor.system("evidence", door=Door.COMMAND)) as actor:
            self._build(out, actor=actor, **options)

    def _build(self, out: Path, *, actor: Actor, wait: float, **options: Any) -> None:
        try:
            bundle = _request(actor=actor, **options)
            self._wait_for(bundle, time.monotonic() + wait)
            path = actions.hand_out(bundle, actor=actor)
        except Invalid as error:
            raise CommandError("\n".join(_spoken(error))) from error
        except DomainError as error:
            raise CommandError(str(error)) from error
        target = out / bundle.suggested_name if out.is_dir() else out
        _copy(path, target)
        self._say(bundle, target)
        if bundle.since() is not None:
            self._say_late_facts(bundle, options["earlier"])

    def _say_late_facts(self, bundle: EvidenceBundle, earlier: Path) -> None:
        """Say how each report differs, and which one cannot be read again as it was."""
        was = _digests(_manifest_of(earlier))
        for one in bundle.summary["late_facts"]["reports"]:
            said = f"{one['came']} came, {one['went']} went, {one['changed']} changed"
            self.stdout.write(f"{one['id']} {one['title']}: {said}")
            if was.get(one["id"]) != one["earlier_sha256"]:
                self.stdout.write(
                    f"{one['id']} as it was then cannot be read again byte for byte: its query changed since, or what"
                    " is shown as when it was read (names, owners), or something was erased."
                )

    def _wait_for(self, bundle: EvidenceBundle, deadline: float) -> None:
        """Build the bundle here, unless a worker is at it already, and wait until it is ready."""
        say_why_at = time.monotonic() + SECONDS_TO_SAY_WHY
        while True:
            building.advance(bundle.pk)
            bundle.refresh_from_db()
            if bundle.state == BundleState.READY:
                return
            if bundle.state == BundleState.FAILED:
                raise CommandError(f"The bundle failed: {bundle.last_error}")
            if time.monotonic() > deadline:
                raise CommandError(f"Not ready in time ({bundle.step}). It goes on as {bundle.ref} where workers run.")
            if not _seal() and time.monotonic() > say_why_at:
                self.stderr.write(f"{bundle.step}. {HOW_TO_SEAL}")
                say_why_at = deadline + 1
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _say(self, bundle: EvidenceBundle, target: Path) -> None:
        for report, totals in bundle.summary["reports"].items():
            self.stderr.write(f"{report} {totals['title']}: {totals['rows']} rows, {totals['exceptions']} exceptions")
        self.stderr.write(f"Gaps in coverage: {len(bundle.summary['gaps'])} (see R00)")
        self.stdout.write(f"{target}")
        self.stdout.write(f"SHA-256 {bundle.sha256}")
        self.stdout.write(f"Key fingerprint (SHA-256): {parse_verifier_key(verifier_key() or '').fingerprint}")


def _request(*, actor: Actor, as_in: Path | None = None, earlier: Path | None = None, **options: Any) -> EvidenceBundle:
    """Ask for the bundle that the options, or an earlier bundle, describe."""
    if earlier is not None:
        asked = _question_of(earlier)
        return actions.request_bundle(**asked | {"since": asked["pin"], "pin": None}, actor=actor)
    if as_in is not None:
        return actions.request_bundle(**_question_of(as_in), actor=actor)
    chosen = _definition_named(options["definition"]) if options["definition"] else None
    options["framework"] = options["framework"] or (chosen.definition.framework if chosen else None)
    missing = [f"--{name}" for name, key in _NEEDED.items() if not options[key]]
    if missing:
        raise CommandError(f"Give {', '.join(missing)}, or --as-in.")
    return actions.request_bundle(
        options["framework"],
        first=options["first"],
        last=options["last"],
        zone=options["zone"],
        leaver_sla_hours=options["sla_hours"],
        freshness_hours=options["fresh_hours"],
        applications=options["applications"],
        definition=chosen,
        actor=actor,
    )


_NEEDED = {"framework": "framework", "from": "first", "to": "last"}


def _question_of(path: Path) -> dict[str, Any]:
    """Return what an earlier bundle asked, from its manifest."""
    said = _manifest_of(path)
    try:
        return {
            "framework": said["framework"]["slug"],
            "first": said["period"]["first"],
            "last": said["period"]["last"],
            "zone": said["period"]["zone"],
            "leaver_sla_hours": said["policy"]["leaver_sla_hours"],
            "freshness_hours": said["policy"]["freshness_hours"],
            "applications": said["applications"],
            "definition": _definition_in(said),
            "pin": Pin(datetime.fromisoformat(said["known_at"]), said["ledger"]["size"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(_UNREADABLE.format(path)) from error


def _definition_in(manifest: dict[str, Any]) -> DefinitionVersion | None:
    """Return the definition that an earlier bundle was asked by; none for one of the whole pack."""
    said = manifest.get("definition")
    if said is None:
        return None
    found = queries.definition_version(said["ref"], said["version"])
    if found.sha256 != said["sha256"]:
        raise CommandError(f"Version {found.number} of {found.name} chooses something else here than in that bundle.")
    return found


def _definition_named(name: str) -> DefinitionVersion:
    for one in queries.definitions():
        if one.name.casefold() == name.casefold():
            return one
    raise CommandError(f"--definition: there is none named {name}. See `manage.py evidence definitions`.")


def _define(file: Path, *, actor: Actor) -> DefinitionVersion:
    """Write the definition that a file says: a new one, or the next version of the one with its name."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read as JSON: {error}.") from error
    words = {"name": str, "framework": str, "reports": list, "applications": list, "reason": str}
    if not isinstance(said, dict) or any(
        not isinstance(said[name], kind) for name, kind in words.items() if name in said
    ):
        raise CommandError(f"{file}: write an object with {', '.join(words)}; reports and applications are lists.")
    asked = {name: said[name] for name in words if name in said}
    if missing := [name for name in ("name", "framework", "reports") if name not in asked]:
        raise CommandError(f"{file}: {', '.join(missing)} is missing.")
    earlier = [one for one in queries.definitions() if one.name.casefold() == asked["name"].strip().casefold()]
    try:
        if not earlier:
            return definitions.make(actor=actor, **asked)
        if earlier[0].definition.framework != asked.pop("framework"):
            raise CommandError(f"{file}: {earlier[0].name} is a definition of {earlier[0].definition.framework}.")
        return definitions.change(earlier[0].definition, after=earlier[0].number, actor=actor, **asked)
    except Invalid as error:
        lines = [f"{file}: {name}: {line}" for name, lines in error.fields.items() for line in lines]
        raise CommandError("\n".join(lines)) from error
    except DomainError as error:
        raise CommandError(f"{file}: {error}") from error


_UNREADABLE = "{} is not a bundle that can be read."


def _manifest_of(path: Path) -> dict[str, Any]:
    try:
        if path.is_dir():
            said = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        else:
            with zipfile.ZipFile(path) as archive:
                said = json.loads(archive.read(MANIFEST))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise CommandError(_UNREADABLE.format(path)) from error
    return dict(said)


def _digests(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each report in a bundle, by its id."""
    files = {file["path"]: file["sha256"] for file in manifest["files"]}
    return {one["id"]: files.get(one["file"], "") for one in manifest["reports"]}


def _seal() -> bool:
    """Seal what waits, if this process can read the signing key; return whether somebody seals."""
    try:
        seal_pending(signer=KeySource.of(settings.ENVIRONMENT).read())
    except SequencerElsewhere:
        return True
    except BadKey:
        return False
    return True


def _copy(path: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.draft")
    try:
        shutil.copyfile(path, draft)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CommandError(f"--out: {target} cannot be written: {error.strerror}.") from error


def _spoken(error: Invalid) -> list[str]:
    return [f"--{name.replace('_', '-')}: {line}" for name, lines in error.fields.items() for line in lines]
