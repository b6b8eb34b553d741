"""Everything Gatehouse does by the clock: each entry with the reason for its interval.

A tick only says "look now". It carries no work, so a lost one costs an interval and a doubled one costs a query.
"""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

#: A tick that nobody took within this time is dropped: a worker that comes back finds a handful, not a night's worth.
TICK_LIFETIME_SECONDS = 10


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": TICK_LIFETIME_SECONDS}}


SCHEDULE: dict[str, dict[str, Any]] = {
    # Access ends on time (promise 2): the sweeper orders an end within milliseconds; the tick is the net below it, and
    # closes requests that nobody answered. Indexed queries when idle.
    "sweep-access": _every(1, "access.sweep"),
    # What a rule about duties held back comes within a minute after nothing forbids it. One indexed query when idle.
    "reconsider-withheld": _every(60, "access.reconsider_withheld"),
    # A planned leave happens at its instant, and what a second person released soon after. Two indexed queries.
    "leave-when-due": _every(1, "lifecycle.sweep"),
    # The brake measures a share of the people a source speaks of: a minute old is new enough. One count.
    "count-people": _every(60, "lifecycle.count_people"),
    # Also woken when somebody saves a rule; the tick finds rules that begin, and what a killed worker left. One query.
    "apply-rules": _every(1, "access.apply_rules"),
    # What colleagues have in common changes slowly, and looking counts everybody. Also woken when somebody asks.
    "look-for-rules": _every(3600, "access.look_for_rules"),
    # Also woken when somebody asks; the tick goes on where a worker was killed. One indexed query when idle.
    "replay-requests": _every(2, "access.replay"),
    # What nothing was proposed with is kept for a month: an hour late is early enough.
    "forget-replays": _every(3600, "access.forget_replays"),
    # The outbox is also woken by each commit; the tick finds retries that came due, and what a lost wake-up left.
    "deliver-due-operations": _every(1, "provisioning.deliver_due"),
    # Readings are due every 15 minutes each, or at once when somebody asks; the tick only looks whose turn it is.
    "read-due-applications": _every(5, "provisioning.sync_due"),
    # A conflict between connections that is none any more stays on a page for a minute. One query.
    "settle-conflicts": _every(60, "identity.settle_conflicts"),
    # Exchanges of SCIM connections are kept for days, and nobody is shown an older one: an hour late is early enough.
    "forget-exchanges": _every(3600, "identity.forget_exchanges"),
    # A change past the application is a finding within a minute. One range of an index when idle.
    "look-for-out-of-band": _every(60, "ledger.look_for_out_of_band"),
    # What was done past the triggers is found in the rows themselves: every governed table is read once an hour.
    "compare-with-ledger": _every(3600, "ledger.compare"),
    # The reader of the ledger writes who is told what. A look at two indexes when idle; sealing takes a second itself.
    "read-for-notices": _every(1, "notices.read"),
    # Warnings come an hour or a day before an end: half a minute later is early enough. An indexed query for each.
    "warn-of-ends": _every(30, "notices.warn"),
    # Mail follows within a second; a server in trouble is left alone for longer and longer. Two queries when idle.
    "send-mail": _every(1, "notices.send_mail"),
    # The same for webhooks: each has its own pauses, kept in its rows. One query when idle.
    "call-webhooks": _every(1, "notices.call_webhooks"),
    # Notices are kept for half a year, what was sent for a month: an hour late is early enough.
    "forget-notices": _every(3600, "notices.forget"),
    # Heads of the ledger go to their anchors some minutes apart, and soon after a failure. One query when idle.
    "keep-heads": _every(20, "anchors.keep_due"),
    # Sealing wakes it too: a SIEM has an entry within seconds. The tick finds retries that came due. Two queries.
    "send-streams": _every(1, "streams.send_due"),
    # A stretch of the log that is over wants to be looked through within days: an hour late is early enough. One query.
    "open-log-reviews": _every(3600, "log_reviews.open_due"),
    # Days are left when a stretch is over, and days were when it is late: ten minutes are early. Two queries when idle.
    "remind-of-log-reviews": _every(600, "log_reviews.remind"),
    # A word a week and a day before an audit ends. One query when none does.
    "warn-of-audit-ends": _every(600, "engagements.warn_of_ends"),
    # What need no longer be kept of somebody goes within the hour of its day. One query when idle.
    "erase-due": _every(3600, "privacy.erase_due"),
    # Controls are read once a day, or when somebody asks. The tick finds the hour, and what a killed worker left.
    "read-controls": _every(60, "evidence.read_controls"),
    # What was kept long enough grows by a day's worth each day. At night, because it reads what is said of rows.
    "prune-ledger": {"task": "privacy.prune_ledger", "schedule": crontab(hour="3", minute="17")},
    # Also woken when somebody asks; the tick goes on when the log has sealed, or a builder was killed. Two queries.
    "build-due-evidence": _every(2, "evidence.build_due"),
}
