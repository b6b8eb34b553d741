"""What the clock wakes up: a task drains what is due and may run twice."""

from __future__ import annotations

from celery import shared_task

from governance.access import replay_runs, rule_runs, suggestions
from governance.access.sweep import reconsider_withheld, sweep


@shared_task(name="access.sweep")
def sweep_due() -> int:
    """Order every start and end that is due; return how much was done."""
    return sweep()


@shared_task(name="access.reconsider_withheld")
def reconsider() -> int:
    """Give what rules about duties no longer forbid; return to how many people it was looked at."""
    return reconsider_withheld()


@shared_task(name="access.apply_rules")
def apply_rules() -> int:
    """Bring everybody in line with birthright rules that changed or began; return how many people were looked at."""
    return rule_runs.work()


@shared_task(name="access.look_for_rules")
def look_for_rules() -> int:
    """Count anew what people with something in common have; return how many suggestions there are."""
    return suggestions.look()


@shared_task(name="access.replay")
def replay() -> int:
    """Decide past requests again under drafts of policies; return how many were."""
    return replay_runs.work()


@shared_task(name="access.forget_replays")
def forget_replays() -> int:
    """Delete old replays that nothing was proposed with; return how many."""
    return replay_runs.forget()
