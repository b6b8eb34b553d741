"""R15: accounts nobody used for long, nobody stands behind, or nobody answers for, as of an instant."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text, yes_no

#: PCI DSS 8.2.6 speaks of 90 days.
DORMANT_DAYS = 90

_TELLING = """
telling AS (SELECT DISTINCT application_id FROM provisioning_account WHERE last_used_at IS NOT NULL)"""
_DORMANT = f"coalesce(used.at, login.first_seen_at) <= %(as_of)s - make_interval(days => {DORMANT_DAYS})"
_EXCEPTIONS = exceptions_sql(
    ("dormant", f"used.is_told AND {_DORMANT}"),
    ("no_person", "login.person_id IS NULL AND login.kind = 'human'"),
    ("person_has_left", "profile.status = 'left'"),
    ("no_owner", "owner.names IS NULL"),
    ("shared", "login.kind = 'shared'"),
)

BODY = f"""{
    parts.with_parts(parts.PERSON_REVISION, parts.PROFILE, parts.SEEN, parts.OWNERS, _TELLING, parts.support("account"))
}
SELECT
    'account:' || login.id AS row_id, application.slug AS application, application.name AS application_name,
    login.user_name AS account, login.kind AS account_kind,
    person.ref::text AS person_ref, profile.display_name AS person_name, profile.status AS person_status,
    login.first_seen_at, used.at AS last_used_at,
    CASE WHEN used.is_told THEN floor(extract(epoch FROM %(as_of)s - coalesce(used.at, login.first_seen_at)) / 86400)
    END AS days_unused,
    used.is_told AS use_is_told, roles.named AS entitlements, roles.privileged,
    owner.names AS owner, login.id::text AS account_id,
    {_EXCEPTIONS} AS exceptions, account_support.first_entry, account_support.last_entry
FROM provisioning_account AS login
JOIN catalog_application AS application ON application.id = login.application_id
LEFT JOIN identity_person AS person ON person.id = login.person_id
LEFT JOIN profile ON profile.person_id = login.person_id
LEFT JOIN telling ON telling.application_id = login.application_id
LEFT JOIN owner ON owner.application_id = login.application_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN login.last_used_at <= %(as_of)s THEN login.last_used_at END AS at,
        -- An application tells of use when it ever did.
        telling.application_id IS NOT NULL
        AND (login.last_used_at IS NULL OR login.last_used_at <= %(as_of)s) AS is_told
) AS used
LEFT JOIN LATERAL (
    SELECT string_agg(role.slug, ' ' ORDER BY role.slug COLLATE "C") AS named, bool_or(role.is_privileged) AS privileged
    FROM seen JOIN catalog_entitlement AS role ON role.id = seen.entitlement_id
    WHERE seen.account_id = login.id AND seen.first_seen_at <= %(as_of)s
        AND (seen.gone_at IS NULL OR seen.gone_at > %(as_of)s)
) AS roles ON true
LEFT JOIN account_support ON account_support.ref = login.id::text
WHERE login.first_seen_at <= %(as_of)s
    AND (login.gone_at IS NULL OR login.gone_at > %(as_of)s OR login.gone_at > %(known_at)s)
    AND ((used.is_told AND {_DORMANT}) OR login.kind <> 'human' OR login.person_id IS NULL
        OR profile.status = 'left' OR owner.names IS NULL)
"""

REPORT = Report(
    id="R15",
    title="Dormant and ownerless accounts",
    population=(
        "Accounts seen as of the end of the window that were not used for 90 days where the application tells of use, "
        "that no person stands behind or only one who left, that are shared or of a service, or whose application "
        "nobody answers for. Where use is not told, use_is_told says no and nothing is concluded. "
        "Who answers, and whether they are at work, is as it was when the report was read."
    ),
    exceptions=(
        ("dormant", f"Not used for {DORMANT_DAYS} days, or never since it was first seen that long ago."),
        ("no_person", "A human account without a person."),
        ("person_has_left", "The person has left."),
        ("no_owner", "Nobody at work answers for the application."),
        ("shared", "Used by several people."),
    ),
    columns=(
        text("row_id", "Stable id of the row: the account."),
        text("application", "Short name of the application; never changes."),
        text("application_name", "Name of the application when the report was read."),
        text("account", "The login inside the application."),
        text("account_kind", "human, service or shared."),
        text("person_ref", "The permanent reference of the person; empty for an account without one."),
        text("person_name", "Name shown, as of the end of the window."),
        text("person_status", "active or left, as of the end of the window."),
        instant("first_seen_at", "When the account was first seen."),
        instant("last_used_at", "When it was last used, as the application told; empty when it did not, or later."),
        number("days_unused", "Whole days since; empty where use is not told."),
        yes_no("use_is_told", "Whether the application tells of use at all."),
        text("entitlements", "What was seen on it, by short name."),
        yes_no("privileged", "Whether one of these counts as privileged."),
        text("owner", "Who answers for the application, with permanent references."),
        text("account_id", "Number of the account; its ledger entries have it as subject."),
        *SUPPORT,
    ),
    body=BODY,
    order=("application", "account", "row_id"),
    subject=("account_id", "account"),
)
