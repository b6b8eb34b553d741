"""What the clock wakes up: looking for what no action explains."""

from __future__ import annotations

from celery import shared_task

from governance.ledger.watching import compare_with_ledger, look_for_out_of_band


@shared_task(name="ledger.look_for_out_of_band")
def look() -> int:
    """Look for rows that changed without an action; return how many findings are new."""
    return look_for_out_of_band()


@shared_task(name="ledger.compare")
def compare() -> int:
    """Compare the database with its ledger; return how many rows differ."""
    return compare_with_ledger().differences
