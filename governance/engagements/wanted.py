"""What auditors usually ask for, in our words, and the report that answers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """One of the usual requests: its code, what is asked, and the report that answers it."""

    code: str
    report: str
    wording: str


USUAL: tuple[Wanted, ...] = (
    Wanted("P1", "R01", "All access in scope at the end of the period, of people and of machines."),
    Wanted("P2", "R02", "That this list is complete: opening to closing balance, compared with the sources."),
    Wanted("P3", "R03", "All access granted in the period, with who asked, who approved, and when."),
    Wanted("P4", "R04", "Everybody who was hired in the period, and what access each of them got."),
    Wanted("P5", "R05", "Everybody who left in the period, when their last access was gone, and how long that took."),
    Wanted("P6", "R06", "Everybody who changed role: what was taken away, what was approved again."),
    Wanted("P7", "R07", "Privileged access: who has it, why, for how long, and who answers for it."),
    Wanted("P8", "R08", "Changes to privileged access and to the administrators of Gatehouse itself."),
    Wanted("P9", "R09", "Temporary access: asked, approved, begun, planned end, real end."),
    Wanted("P10", "R10", "Separation of duties: who approved what for whom, conflicting access, and exceptions."),
    Wanted("P11", "R11", "Uses of emergency access: the reason, who was told, and the review afterwards."),
    Wanted("P12", "R12", "Each periodic review of access: scope, reviewers, dates, completion, sign-off."),
    Wanted("P13", "R13", "What each reviewer decided, and proof that what was revoked is gone."),
    Wanted("P14", "R14", "Orders to applications that failed, how each was resolved, and what differs since."),
    Wanted("P15", "R15", "Accounts that are dormant, without a person, shared, or used by machines."),
    Wanted("P16", "R16", "Sign-ins and what they are protected by; tokens issued, rotated and revoked."),
    Wanted("P17", "R17", "That the log is protected, was not altered, and never stopped."),
    Wanted("P18", "R18", "That somebody looks through the log, and what they found."),
    Wanted("P19", "R19", "Changes that were made past the application."),
    Wanted("P20", "R20", "Changes to policies, rules of approval, deadlines and connectors."),
    Wanted("P21", "R21", "How long records are kept, holds, disposals and erasures."),
    Wanted("P22", "R22", "Who read or exported evidence and logs."),
    Wanted("P23", "R23", "Who could have reached each system at any time in the period."),
)  # fmt: skip
