"""R17: that the ledger was sealed without a break, compared with what is there, kept elsewhere, and under which key."""

from __future__ import annotations

from governance.evidence.reports import parts
from governance.evidence.reports.base import SUPPORT, Report, exceptions_sql, instant, number, text

#: An idle ledger signs an hourly heartbeat; longer without a head is an interruption.
LONGEST_SILENCE = "interval '65 minutes'"

_HEADS = """
head AS (
    SELECT size, at, lag(at) OVER (ORDER BY size) AS earlier_at, lag(size) OVER (ORDER BY size) AS earlier_size
    FROM ledger_checkpoint WHERE size <= %(ledger_size)s
),
in_window AS (SELECT * FROM head WHERE at >= %(starts_at)s AND at < %(ends_at)s)"""

_SUMMARY = """
    SELECT 'heads' AS what, 'heads' AS row_id, min(at) AS since, max(at) AS until, count(*) AS number,
        min(size) AS first_size, max(size) AS last_size,
        round(extract(epoch FROM max(at - earlier_at))::numeric, 3) AS longest_gap_seconds,
        'signed heads in the window' AS said, NULL::bigint AS first_entry, NULL::bigint AS last_entry, false AS is_bad
    FROM in_window HAVING count(*) > 0"""
_SILENCES = f"""
    SELECT 'interruption', 'gap:' || lpad(size::text, 12, '0'), earlier_at, at, NULL, earlier_size, size,
        round(extract(epoch FROM at - earlier_at)::numeric, 3), 'no head was signed in between', NULL, NULL, true
    FROM head WHERE at - earlier_at > {LONGEST_SILENCE} AND at >= %(starts_at)s AND earlier_at < %(ends_at)s"""
_COMPARED = """
    SELECT 'verification', 'entry:' || lpad(said.index::text, 12, '0'), said.at, said.at,
        (said.data ->> 'rows')::bigint, NULL, (said.data ->> 'size')::bigint, NULL,
        (said.data ->> 'tables') || ' tables compared, ' || (said.data ->> 'differences') || ' differences',
        said.index, said.index, (said.data ->> 'differences')::bigint > 0
    FROM said WHERE said.event = 'ledger.compared' AND said.at >= %(starts_at)s AND said.at < %(ends_at)s"""
_OTHERS = """
    SELECT CASE WHEN said.event LIKE 'log.%%' THEN 'key or log' ELSE 'anchor' END,
        'entry:' || lpad(said.index::text, 12, '0'), said.at, said.at, NULL, NULL, (said.data ->> 'size')::bigint, NULL,
        said.event || coalesce(' ' || said.subjects, '') || coalesce(': ' || (said.data ->> 'why'), ''),
        said.index, said.index,
        said.event IN ('log.forgery_refused', 'log.reopened', 'checkpoint.anchor_failed')
    FROM said WHERE said.event <> 'ledger.compared' AND said.at >= %(starts_at)s AND said.at < %(ends_at)s"""

_EXCEPTIONS = exceptions_sql(
    ("interruption", "item.what = 'interruption'"),
    ("differences", "item.what = 'verification' AND item.is_bad"),
    ("anchor_failed", "item.what = 'anchor' AND item.is_bad"),
    ("forgery", "item.said LIKE 'log.forgery_refused%%'"),
    ("log_broken_off", "item.said LIKE 'log.reopened%%'"),
)

_ENTRIES = parts.entries(
    "said",
    "ledger.compared",
    "checkpoint.anchored",
    "checkpoint.anchor_failed",
    "log.started",
    "log.reopened",
    "log.recovered",
    "log.key_rotated",
    "log.key_retired",
    "log.second_key_added",
    "log.forgery_refused",
)

BODY = f"""{parts.with_parts(_ENTRIES, _HEADS)}
SELECT item.row_id, item.what, item.since, item.until, item.number, item.first_size, item.last_size,
    item.longest_gap_seconds, item.said, item.first_entry AS entry,
    {_EXCEPTIONS} AS exceptions, item.first_entry, item.last_entry
FROM ({_SUMMARY}
    UNION ALL{_SILENCES}
    UNION ALL{_COMPARED}
    UNION ALL{_OTHERS}
) AS item
"""

REPORT = Report(
    id="R17",
    title="Ledger integrity",
    population=(
        "Of the window: the signed heads in one line, every stretch without one that is longer than an hour and five "
        "minutes, every comparison of the ledger with the live rows, every head that an anchor kept or did not take, "
        "every change of keys, and every break and recovery of the log. What the verifier of the log says at the "
        "pinned size is in ledger/verification.txt. What verify.py says of this bundle is the check that needs none "
        "of these."
    ),
    exceptions=(
        ("interruption", "No head was signed for longer than an idle ledger would leave."),
        ("differences", "Rows differed from what the ledger says of them; see R19."),
        ("anchor_failed", "A head could not be kept elsewhere."),
        ("forgery", "Somebody recorded what only the sequencer may say; it was refused."),
        ("log_broken_off", "The log was broken off, after a restore or because its key was known, and goes on anew."),
    ),
    columns=(
        text("row_id", "Stable id of the row."),
        text("what", "heads; interruption; verification; anchor; key or log."),
        instant("since", "Beginning, or when it happened."),
        instant("until", "End, or when it happened."),
        number("number", "Heads signed, or rows compared."),
        number("first_size", "Size of the ledger at the beginning."),
        number("last_size", "Size of the ledger at the end."),
        number("longest_gap_seconds", "Longest time between two heads."),
        text("said", "What it says."),
        number("entry", "Index of the ledger entry, where the row is one."),
        *SUPPORT,
    ),
    body=BODY,
    order=("what", "row_id"),
    subject=("entry", "entry"),
    person=None,
    system=None,
)
