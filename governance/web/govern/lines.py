"""Entries of the ledger as sentences: who did what to whom, with names in place of references."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from governance.catalog.models import Application, Entitlement
from governance.core.actor import ActorKind
from governance.identity.queries import names_by_ref
from governance.ledger.queries import SealedEntry

#: Event: icon and sentence. The places are names: {person}, {role}, {application}, {request}, {policy}, {rule} …
SENTENCES: dict[str, tuple[str, str]] = {
    "person.joined": ("user-plus", "{person} joined"),
    "person.updated": ("pencil", "The profile of {person} changed"),
    "person.left": ("user-x", "{person} left; everything they had ends"),
    "person.rejoined": ("user-check", "{person} came back"),
    "person.unlisted": ("user-minus", "The directory removed {person}"),
    "group.created": ("users", "A group was created"),
    "group.updated": ("users", "A group changed"),
    "group.members_changed": ("users", "The members of a group changed"),
    "group.removed": ("users", "A group was removed"),
    "role.assigned": ("shield-check", "{person} got a role in Gatehouse"),
    "role.removed": ("shield-x", "{person} lost a role in Gatehouse"),
    "token.issued": ("key", "A token was issued"),
    "token.revoked": ("ban", "A token was revoked"),
    "connection.opened": ("webhook", "A connection for an identity provider was opened"),
    "connection.changed": ("webhook", "The settings of a connection changed"),
    "connection.tokens_rotated": ("refresh-cw", "The tokens of a connection were rotated"),
    "connection.revoked": ("ban", "A connection was revoked"),
    "client.issued": ("key", "A client of a connection got credentials"),
    "client.revoked": ("ban", "The credentials of a client were revoked"),
    "person.claimed": ("webhook", "A connection brought {person} first"),
    "group.claimed": ("webhook", "A connection brought a group first"),
    "person.handed_over": ("webhook", "{person} was handed over to another connection"),
    "group.handed_over": ("webhook", "A group was handed over to another connection"),
    "conflict.dismissed": ("webhook", "A conflict of two connections was dismissed"),
    "application.added": ("plug", "{application} was added"),
    "application.changed": ("pencil", "{application} changed"),
    "application.retired": ("archive", "{application} was retired"),
    "application.read": ("eye", "{application} was read"),
    "application.reading_requested": ("refresh-cw", "Somebody asked for {application} to be read"),
    "application.owners_changed": ("user-check", "The owners of {application} changed"),
    "entitlement.added": ("key-round", "The role {role} was added"),
    "entitlement.changed": ("pencil", "The role {role} changed"),
    "entitlement.retired": ("archive", "The role {role} was retired"),
    "rule.retired": ("archive", "The rule {rule} was retired"),
    "policy.changed": ("scale", "The policy {policy} has a new version"),
    "policy.proposed": ("scale", "A change of the policy {policy} was proposed"),
    "policy.proposal_approved": ("check", "A proposed change of the policy {policy} was approved"),
    "policy.proposal_declined": ("x", "A proposed change of the policy {policy} was declined"),
    "policy.proposal_withdrawn": ("undo-2", "A proposed change of the policy {policy} was withdrawn"),
    "request.reminded": ("bell", "Those who decide {request} were reminded"),
    "grant.called_off": ("ban", "Booked access of {person} to {application} was called off when it was to begin"),
    "grant.end_asked": ("hourglass", "The time of {person} in {application} is up; the owner is asked"),
    "grant.end_answered": ("check", "The owner answered whether {person} keeps access to {application}"),
    "break_glass.opened": ("siren", "{person} broke the glass of {application}"),
    "break_glass.overdue": ("circle-alert", "The review of the break-glass in {application} is overdue"),
    "break_glass.reviewed": ("check", "The break-glass in {application} was reviewed"),
    "package.changed": ("layers", "A package has a new version"),
    "package.retired": ("archive", "A package was retired"),
    "ticket_system.saved": ("ticket", "A ticket system was saved"),
    "ticket_system.retired": ("archive", "A ticket system is not asked any more"),
    "rule.changed": ("shield-check", "The rule {rule} has a new version"),
    "sod_rule.changed": ("shield-alert", "A rule about duties has a new version"),
    "sod_rule.retired": ("archive", "A rule about duties was retired"),
    "sod_exception.granted": ("user-check", "{person} got an exception from a rule about duties"),
    "sod_exception.ended": ("user-minus", "The exception of {person} from a rule about duties was ended"),
    "grant.withheld": ("ban", "{role} is not given to {person}: it would break a rule about duties"),
    "grant.released": ("circle-check", "{role} is no longer withheld from {person}"),
    "checkpoint.anchored": ("link", "A signed head of the ledger is kept elsewhere"),
    "checkpoint.anchor_failed": ("unlink", "An anchor does not take heads of the ledger"),
    "anchor.added": ("link", "An anchor was added: a place that keeps heads of the ledger"),
    "anchor.changed": ("link", "An anchor was changed"),
    "anchor.ended": ("unlink", "An anchor was ended"),
    "stream.added": ("send", "A stream was added: a system that gets the ledger as it happens"),
    "stream.changed": ("send", "A stream was changed"),
    "stream.ended": ("ban", "A stream was ended"),
    "stream.tested": ("send", "Somebody sent a test to a stream"),
    "stream.stopped": ("power", "A stream stopped: nothing arrives there"),
    "stream.skipped": ("unlink", "A stream went past entries whose texts had been disposed of"),
    "retention.shortening_proposed": ("hourglass", "It was proposed to keep records for fewer years"),
    "retention.shortening_declined": ("x", "Records are not kept for fewer years after all"),
    "subject.names_withheld": ("eye-off", "The name of {person} is shown only where a duty asks for it"),
    "subject.names_restored": ("eye", "The name of {person} is shown again"),
    "ledger.pruned": ("archive", "Texts of old entries of the ledger were disposed of"),
    "ledger.taken_away_again": ("archive", "What a restored backup had brought back was taken away again"),
    "stream.resumed": ("power", "A stream goes on"),
    "log.searched": ("search", "Somebody searched the ledger"),
    "log.read": ("eye", "Somebody opened an entry of the ledger"),
    "log.fetched": ("eye", "A script fetches the ledger"),
    "log.key_rotated": ("key-round", "The ledger goes over to a new signing key"),
    "log.key_retired": ("key-round", "An older signing key of the ledger was given up"),
    "log.second_key_added": ("key-round", "The ledger has a second line of signatures"),
    "log.forgery_refused": ("shield-x", "Somebody recorded what only the sequencer may say"),
    "request.submitted": ("send", "{request}: {person} wants {role}"),
    "request.approved": ("check", "{request} was approved: {role} for {person}"),
    "request.stage_approved": ("check", "{request} was approved at one stage"),
    "request.denied": ("x", "{request} was declined"),
    "request.withdrawn": ("undo-2", "{request} was withdrawn"),
    "request.lapsed": ("calendar-x", "{request} lapsed: nobody answered"),
    "request.closed": ("circle-slash", "{request} was closed"),
    "grant.started": ("door-open", "{role} for {person} begins"),
    "grant.extended": ("timer-reset", "{role} for {person} lasts longer"),
    "grant.shortened": ("timer", "{role} for {person} ends sooner"),
    "grant.ended": ("door-closed", "{role} for {person} ends"),
    "removal.ordered": ("log-out", "The removal of {role} from {person} was ordered"),
    "operation.claimed": ("send", "A worker took orders to send"),
    "operation.released": ("undo-2", "A worker gave orders back untried"),
    "operation.put_off": ("refresh-cw", "An order to {application} about {role} did not arrive and is tried again"),
    "operation.delivered": ("send", "{application} took the order about {role} for {person}"),
    "operation.verified": ("check-check", "{application} was read back: {role} of {person} is as ordered"),
    "operation.failed": ("circle-alert", "An order to {application} about {role} for {person} failed"),
    "operation.retried": ("refresh-cw", "An order to {application} is tried again"),
    "operation.confirmed_by_hand": ("hand", "An order to {application} about {role} was ticked off by hand"),
    "account.linked": ("link", "An account in {application} was linked to {person}"),
    "connector.saved": ("cable", "The connector of {application} changed"),
    "connector.circuit_opened": ("power", "Nothing more is sent to {application} for a while"),
    "connector.circuit_closed": ("power", "{application} answers again"),
    "rule.applied": ("shield-check", "The rule {rule} was applied to everybody it concerns"),
    "rule.parked": ("circle-alert", "The rule {rule} could not be applied; it waits for somebody"),
    "rule.tried_again": ("refresh-cw", "What could not be applied of the rule {rule} is tried again"),
    "rule.called_off": ("undo-2", "A planned version of the rule {rule} was called off"),
    "rule.preview_exported": ("download", "Whom a change of a rule would affect was exported"),
    "matrix.exported": ("download", "The access matrix was exported"),
    "policy.effect_exported": ("download", "Whom a proposal for a policy would affect was exported"),
    "reach.exported": ("download", "Who could reach what was exported"),
    "evidence.requested": ("file-check-2", "An evidence bundle was asked for"),
    "evidence.exported": ("file-archive", "An evidence bundle was built"),
    "evidence.ready": ("file-check-2", "The file of an evidence bundle is ready"),
    "evidence.downloaded": ("download", "An evidence bundle was downloaded"),
    "evidence.failed": ("circle-alert", "An evidence bundle was not built"),
    "evidence.retried": ("refresh-cw", "An evidence bundle is built again"),
    "evidence.definition_made": ("list-checks", "What a bundle holds was defined"),
    "evidence.definition_changed": ("list-checks", "What a bundle holds was defined anew"),
    "evidence.definition_retired": ("archive", "A definition of bundles was retired"),
    "control_reading.begun": ("eye", "A reading of the controls began"),
    "control_reading.report_read": ("eye", "A report was read for its exceptions"),
    "control_reading.finished": ("eye", "A reading of the controls is finished"),
    "exception.opened": ("circle-alert", "An exception of a control was found"),
    "exception.reopened": ("circle-alert", "An exception of a control was found again"),
    "exception.changed": ("circle-alert", "An exception of a control was found with something else to look at"),
    "exception.gone": ("circle-check", "An exception of a control is no longer found"),
    "exception.report_owner_changed": ("user-check", "Who answers for the exceptions of a report was changed"),
    "exception.answered": ("message-square", "Somebody answered for an exception of a control"),
    "exception.accepted": ("hourglass", "The risk of an exception was accepted until a day"),
    "log_review.cadence_changed": ("clipboard-check", "How often the log is looked through was changed"),
    "log_review.opened": ("clipboard-check", "A stretch of the log is to be looked through"),
    "log_review.signed": ("signature", "Somebody looked through a stretch of the log and signed"),
    "retention.changed": ("archive", "How long records are kept was changed"),
    "legal_hold.placed": ("lock", "A legal hold was placed"),
    "legal_hold.release_proposed": ("hourglass", "The release of a legal hold was proposed"),
    "legal_hold.release_declined": ("lock", "The release of a legal hold was declined"),
    "legal_hold.released": ("lock-open", "A legal hold was released by a second person"),
    "subject.restricted": ("archive", "What is kept of {person} goes on a day"),
    "subject.erasure_cancelled": ("undo-2", "What is kept of {person} stays"),
    "subject.erased": ("trash-2", "{person} was erased"),
    "bundle.withdrawn": ("file-archive", "A bundle was withdrawn: it named somebody who was erased"),
    "guest.added": ("user-plus", "{person} came as a guest"),
    "guest.invited": ("mail", "Somebody from outside was invited to an audit"),
    "guest.withdrawn": ("ban", "An invitation to an audit was withdrawn"),
    "invitation.accepted": ("log-in", "{person} took up the invitation to an audit"),
    "engagement.opened": ("briefcase", "An audit was opened"),
    "engagement.extended": ("timer-reset", "The end of an audit was changed"),
    "engagement.closed": ("archive", "An audit was closed"),
    "engagement.refused": ("shield-x", "A guest asked for what their audit does not give them"),
    "audit_request.added": ("message-square", "Something was asked for in an audit"),
    "audit_request.answered": ("inbox", "A request of an audit was answered"),
    "audit_request.accepted": ("circle-check", "An auditor accepted what was given"),
    "audit_request.flagged": ("flag", "An auditor flagged what was given"),
    "audit_request.said": ("message-square", "Somebody said something about a request of an audit"),
    "population.taken": ("table-2", "The population of a report was counted for an audit"),
    "sample.taken": ("list-checks", "A sample was taken in an audit"),
    "sample.item_read": ("eye", "A sampled row was opened in an audit"),
    "login.confirmed": ("fingerprint", "{person} confirmed who they are"),
    "password.set": ("lock", "The password of {person} was set"),
    "demo.loaded": ("building-2", "The demo company was loaded"),
    "login.succeeded": ("log-in", "{person} signed in"),
    "login.failed": ("ban", "A sign-in failed"),
    "login.ended": ("log-out", "{person} signed out"),
    "configuration.changed": ("settings", "A setting changed"),
    "rows.inserted": ("database", "Rows were added to a table"),
    "rows.updated": ("database", "Rows of a table changed"),
    "rows.deleted": ("database", "Rows of a table were deleted"),
    "rows.baseline": ("database", "Rows of before were taken into the ledger"),
    "capture.rows_taken_in": ("database", "The rows of a table of before were taken into the ledger"),
    "schema.migrated": ("database", "The database was brought to another version"),
    "schema.unmigrated": ("database", "The database was taken back to an earlier version"),
    "schema.noted": ("database", "The shape of the database was noted"),
    "ledger.compared": ("search", "The database was compared with the ledger"),
    "finding.opened": ("circle-alert", "Something in the database has no explanation"),
    "finding.taken": ("hand", "Somebody looks into a finding"),
    "finding.explained": ("message-square", "A finding was explained"),
    "finding.closed": ("circle-check", "A finding was closed"),
    "brake.added": ("gauge", "A source of people is measured"),
    "log.started": ("scroll-text", "The ledger started with a new key"),
    "log.reopened": ("unlink", "The ledger was broken off, and goes on from here under a new name and key"),
    "log.recovered": ("rotate-ccw", "Entries that a restored backup lacked were put back from a copy"),
    "log.heartbeat_signed": ("heart-pulse", "The ledger was signed while nothing happened"),
}
_UNKNOWN = "circle-dot"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as a sentence. `actor` is a name, or what acts by itself."""

    index: int
    event: str
    icon: str
    sentence: str
    actor: str
    door: str
    at: datetime
    entry: SealedEntry


@dataclass(frozen=True, slots=True)
class Names:
    """Names of what entries refer to, by kind and reference."""

    by_kind: dict[str, dict[str, str]]
    #: What addresses of applications are made of, by reference.
    slugs: dict[str, str] = field(default_factory=dict)

    def of(self, kind: str, ref: str) -> str:
        """Return the name, or the reference when there is none."""
        return self.by_kind.get(kind, {}).get(ref) or f"{kind} {ref[:8]}"

    def actor(self, entry: SealedEntry) -> str:
        """Return who acted."""
        if entry.actor_kind == ActorKind.PERSON:
            return self.of("person", entry.actor_ref)
        return f"Token {entry.actor_ref}" if entry.actor_kind == ActorKind.SERVICE else f"Gatehouse, {entry.actor_ref}"


def lines_of(entries: Sequence[SealedEntry]) -> list[Line]:
    """Return entries as sentences. Three statements, however many there are."""
    names = names_for(entries)
    return [line_of(entry, names) for entry in entries]


def line_of(entry: SealedEntry, names: Names) -> Line:
    """Return one entry as a sentence."""
    icon, template = SENTENCES.get(
        entry.event, (_UNKNOWN, entry.event.replace(".", " ").replace("_", " ").capitalize())
    )
    return Line(
        entry.index,
        entry.event,
        icon,
        template.format_map(_places(entry, names)),
        names.actor(entry),
        entry.door,
        entry.at,
        entry,
    )


def names_for(entries: Sequence[SealedEntry]) -> Names:
    """Return the names of the people, roles and applications in these entries. Three statements."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.actor_kind == ActorKind.PERSON:
            wanted["person"].add(entry.actor_ref)
        for subject in entry.subjects:
            wanted[subject.kind].add(subject.ref)
    applications = _applications(wanted["application"])
    return Names(
        {
            "person": names_by_ref(wanted["person"]),
            "entitlement": _roles(wanted["entitlement"]),
            "application": {ref: name for ref, (name, _) in applications.items()},
            "request": {ref: f"R-{ref}" for ref in wanted["request"]},
            "policy": {ref: ref for ref in wanted["policy"]},
            "rule": {ref: ref for ref in wanted["rule"]},
        },
        {ref: slug for ref, (_, slug) in applications.items()},
    )


class _Places(dict[str, str]):
    """The places of a sentence; one that the entry does not fill reads as a plain word."""

    def __missing__(self, key: str) -> str:
        return {"person": "somebody", "role": "a role", "application": "an application", "request": "A request"}.get(
            key, f"a {key}"
        )


def _places(entry: SealedEntry, names: Names) -> _Places:
    places = _Places()
    for subject in entry.subjects:
        place = "role" if subject.kind == "entitlement" else subject.kind
        places.setdefault(place, names.of(subject.kind, subject.ref))
    return places


def _roles(refs: set[str]) -> dict[str, str]:
    ids = {int(ref) for ref in refs if ref.isdigit()}
    found = Entitlement.objects.filter(pk__in=ids).values_list("pk", "name", "application__name") if ids else []
    return {str(pk): f"{name} in {application}" for pk, name, application in found}


def _applications(refs: set[str]) -> dict[str, tuple[str, str]]:
    """Return the name and the slug of each application, by reference."""
    ids = {int(ref) for ref in refs if ref.isdigit()}
    found = Application.objects.filter(pk__in=ids).values_list("pk", "name", "slug") if ids else []
    return {str(pk): (name, slug) for pk, name, slug in found}
