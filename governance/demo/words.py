"""What people write: why they need something, why it is declined, and what they call their tickets."""

from __future__ import annotations

from datetime import timedelta

from governance.demo.world import World

WHY = {
    "Fix an incident": (
        "The nightly export of {clinic} failed; I need to see why before they open.",
        "Messages to {clinic} are stuck in the queue and their staff is waiting.",
        "Appointments of {clinic} show twice since the last release.",
        "The sign-in of {clinic} times out for everybody since this morning.",
    ),
    "Work on a ticket": (
        "Moving {clinic} to the new record format, as agreed with their team.",
        "Checking the migration of {clinic} once more before it is switched on.",
        "Clean-up of test data that a colleague left behind for {clinic}.",
        "Following up the findings of the last penetration test in our area.",
        "Replacing a colleague who is away until the end of the week.",
    ),
    "Build a report": (
        "Waiting times of {clinic} for the quarterly review with their management.",
        "Numbers for the board about how {clinic} uses the new module.",
        "Monthly figures; the usual report lacks the split by region.",
    ),
    "Answer an audit": (
        "The auditors sampled {clinic} and ask for the settings as they are now.",
        "Screenshots of the retention settings for the yearly HIPAA review.",
    ),
    "Something else": (
        "Shadowing a colleague this week to learn how {clinic} works with it.",
        "Preparing a training for the new people at {clinic}.",
    ),
}
_WEIGHTS = (28, 38, 20, 6, 8)

STANDING = (
    "It is part of my daily work since I took over the area.",
    "I look after this together with the owner and am the second contact.",
    "My role changed; I need this every week from now on.",
    "I am on the rota for it and would have to ask every second day otherwise.",
)

DECLINED = (
    "Please use the report in Looker, it has these numbers without names.",
    "Somebody of the team can look with you; this does not need its own access.",
    "The masked role is enough for this. Ask for that one and I will approve it.",
    "The incident was closed yesterday. Come back when it happens again.",
    "This needs a ticket that says what will be changed.",
)

SHORTER = ("Half of that should do. Extend it if it does not.", "Until this evening; the maintenance window ends then.")

CLINICS = (
    *("St. Brigid's", "Northgate Children's", "Lakeside Family Practice", "Klinikum Am Park", "Clínica del Mar"),
    *("Harbour Oncology", "Elmwood Rehabilitation", "Praxis Dr. Sommer", "Riverside Dialysis", "Hôpital Saint-Luc"),
)

#: Times people ask for, by policy.
TIMES = {
    "standard": (timedelta(days=1), timedelta(days=7), timedelta(days=7), timedelta(days=30), timedelta(days=30)),
    "instant": (timedelta(hours=1), timedelta(hours=8), timedelta(hours=8), timedelta(days=7), timedelta(days=30)),
    "sensitive": (timedelta(hours=1), timedelta(hours=4), timedelta(hours=4), timedelta(hours=8), timedelta(days=7)),
    "critical": (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=1), timedelta(hours=2), timedelta(hours=4)),
    "minutes": (timedelta(minutes=15), timedelta(hours=1)),
}


def purpose(world: World) -> str:
    """Return one of the purposes a policy offers, the usual ones more often."""
    return world.chance.choices(tuple(WHY), _WEIGHTS)[0]


def why(world: World, purpose: str) -> str:
    """Return a sentence that fits a purpose."""
    return world.chance.choice(WHY[purpose]).format(clinic=world.chance.choice(CLINICS))


def ticket(world: World, purpose: str) -> str:
    """Return a ticket number."""
    return f"{'INC' if purpose == 'Fix an incident' else 'OPS'}-{world.chance.randrange(1200, 9800)}"
