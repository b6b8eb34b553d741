"""R16, R20, R22: what the ledger holds of a kind: credentials, changes of configuration, and who took evidence."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Column, Report, instant, number, text

_COLUMNS = (
    text("row_id", "Stable id of the row: the ledger entry."),
    number("entry", "Index of the ledger entry."),
    instant("at", "When it happened."),
    text("event", "What happened, as the ledger names it."),
    text("actor_kind", "person, service or system."),
    text("actor_ref", "Permanent reference of a person, or name of a service or part of Gatehouse."),
    text("actor_name", "Name of the person when the report was read."),
    text("door", "web, api, scim, clock or command."),
    text("about", "What it is about, as kind:reference, separated by a space."),
)
_SELECT = """
    'entry:' || lpad(said.index::text, 12, '0') AS row_id, said.index AS entry, said.at, said.event,
    said.actor_kind, said.actor_ref, actor.display_name AS actor_name, said.door, said.subjects AS about"""
_FROM = """
FROM said
LEFT JOIN identity_person AS actor ON actor.ref::text = said.actor_ref"""
_IN_WINDOW = "WHERE said.at >= %(starts_at)s AND said.at < %(ends_at)s"


def _report(
    id_: str,
    title: str,
    population: str,
    events: tuple[str, ...],
    *,
    columns: tuple[Column, ...] = (),
    selected: str = "",
    joined: str = "",
    exceptions: tuple[tuple[str, str, str], ...] = (),
) -> Report:
    """Return a report of the entries of some events in the window; `exceptions` are code, meaning and test."""
    cases = ", ".join(f"CASE WHEN {test} THEN '{code}' END" for code, _, test in exceptions)
    flagged = f"concat_ws(' ', {cases})" if cases else "''"
    return Report(
        id=id_,
        title=title,
        population=population,
        exceptions=tuple((code, meaning) for code, meaning, _ in exceptions),
        columns=(*_COLUMNS, *columns, text("data", "What else the entry says, as JSON."), *SUPPORT),
        body=f"""{parts.with_parts(parts.entries("said", *events))}
SELECT{_SELECT}{selected}, said.data::text AS data,
    {flagged} AS exceptions, said.index AS first_entry, said.index AS last_entry
{_FROM}{joined}
{_IN_WINDOW}
""",
        order=("row_id",),
        subject=("entry", "entry"),
        person="actor_ref",
        system=None,
    )


CREDENTIALS = _report(
    "R16",
    "Sign-ins and credentials",
    (
        "Sign-ins that failed, and every token, client and password that was issued, renewed or revoked in the window, "
        "from the ledger. Second factors and lock-outs happen at the identity provider; they are not stated here."
    ),
    (
        "login.failed", "password.set", "token.issued", "token.revoked", "client.issued", "client.revoked",
        "connection.opened", "connection.revoked", "connection.tokens_rotated",
    ),
    exceptions=(("failed", "A sign-in that failed.", "said.event = 'login.failed'"),),
)  # fmt: skip

_PROPOSED = """
LEFT JOIN catalog_accesspolicy AS policy
    ON said.event = 'policy.changed' AND said.subjects = 'policy:' || policy.slug
LEFT JOIN catalog_accesspolicyversion AS version
    ON version.policy_id = policy.id AND version.number = (said.data ->> 'version')::integer
LEFT JOIN catalog_accesspolicyversion AS earlier
    ON earlier.policy_id = policy.id AND earlier.number = version.number - 1
LEFT JOIN catalog_policyproposal AS proposed ON proposed.version_id = version.id
LEFT JOIN identity_person AS decider ON decider.id = proposed.decided_by_id
LEFT JOIN identity_person AS proposer ON proposer.id = proposed.proposed_by_id"""
_TERMS = "(to_jsonb({0}.*) - '{{id,policy_id,number,effective_at,created_at,created_by_ref}}'::text[])::text"

POLICY_CHANGES = _report(
    "R20",
    "Policy changes",
    (
        "Every change in the window of access policies, birthright rules, rules on the separation of duties, weights "
        "of risk, limits of the brake, applications, entitlements, owners, connectors, packages, settings and "
        "definitions of evidence, and what was proposed and declined, from the ledger. Of policies: the whole text "
        "before and after, and both people."
    ),
    (
        "policy.proposed", "policy.proposal_approved", "policy.proposal_declined", "policy.proposal_withdrawn",
        "policy.changed", "rule.changed", "rule.retired", "rule.called_off", "sod_rule.changed", "sod_rule.retired",
        "sod_exception.granted", "sod_exception.ended", "risk_weights.proposed", "risk_weights.changed",
        "risk_weights.declined", "risk_weights.withdrawn", "brake.added", "brake.changed", "application.added",
        "application.changed", "application.retired", "application.owners_changed", "entitlement.added",
        "entitlement.changed", "entitlement.retired", "connector.saved", "package.changed", "package.retired",
        "configuration.changed", "ticket_system.saved", "ticket_system.retired", "webhook.added", "webhook.changed",
        "webhook.ended", "anchor.added", "anchor.changed", "anchor.ended", "evidence.definition_made",
        "evidence.definition_changed", "evidence.definition_retired",
    ),
    columns=(
        text("proposed_by", "Permanent reference of the one who proposed it, of a policy."),
        text("approved_by", "Permanent reference of the second person, of a policy."),
        text("why", "The reason given with the proposal."),
        text("before", "The version before, as JSON, of a policy."),
        text("after", "The version after, as JSON, of a policy."),
    ),
    selected=f""",
    proposer.ref::text AS proposed_by, decider.ref::text AS approved_by, proposed.why,
    {_TERMS.format("earlier")} AS before, {_TERMS.format("version")} AS after""",
    joined=_PROPOSED,
    exceptions=(
        (
            "no_second_person",
            "A policy was changed and no second person approved it.",
            "said.event = 'policy.changed' AND (proposed.id IS NULL OR proposed.is_alone) AND version.number > 1",
        ),
        ("first_version_alone", "The first version, which nobody else looked at.",
         "said.event = 'policy.changed' AND (proposed.id IS NULL OR proposed.is_alone) AND version.number = 1"),
    ),
)  # fmt: skip

EVIDENCE_ACCESS = _report(
    "R22",
    "Evidence access",
    "Every bundle that was asked for, built, or downloaded in the window, every reading of the ledger itself, and what"
    " auditors from outside counted, sampled, opened, or were refused.",
    (
        "evidence.requested",
        "evidence.retried",
        "evidence.exported",
        "evidence.ready",
        "evidence.failed",
        "evidence.downloaded",
        "log.searched",
        "log.read",
        "log.fetched",
        "population.taken",
        "sample.taken",
        "sample.item_read",
        "engagement.refused",
    ),
    exceptions=(
        ("failed", "A bundle that could not be built.", "said.event = 'evidence.failed'"),
        ("refused", "A guest asked for what their audit does not give them.", "said.event = 'engagement.refused'"),
    ),
)

RETENTION = _report(
    "R21",
    "Retention",
    "Every change of how long records are kept, every step of a legal hold, and every erasure that was decided,"
    " cancelled or done in the window; and every disposal of texts of the ledger, by range of indexes and rule,"
    " or once more after a backup was restored.",
    (
        "retention.changed",
        "retention.shortening_proposed",
        "retention.shortening_declined",
        "legal_hold.placed",
        "legal_hold.release_proposed",
        "legal_hold.release_declined",
        "legal_hold.released",
        "subject.restricted",
        "subject.names_withheld",
        "subject.names_restored",
        "subject.erasure_cancelled",
        "subject.erased",
        "bundle.withdrawn",
        "ledger.pruned",
        "ledger.taken_away_again",
    ),
)

_IS_MISSED = """said.event = 'log_review.opened' AND (said.data ->> 'due_at')::timestamptz <= %(as_of)s
        AND signed.subjects IS NULL"""

LOG_REVIEW = _report(
    "R18",
    "Log review",
    "Every stretch of the log that was to be looked through, every signature under one, and every change of how often,"
    " in the window.",
    ("log_review.opened", "log_review.signed", "log_review.cadence_changed"),
    joined="""
LEFT JOIN (SELECT DISTINCT subjects FROM said WHERE event = 'log_review.signed') AS signed
    ON signed.subjects = said.subjects""",
    exceptions=(
        ("late", "It was signed after it was due.", "(said.data ->> 'is_late')::boolean"),
        (
            "missed",
            "It was due and nobody had signed it.",
            _IS_MISSED,
        ),
    ),
)
