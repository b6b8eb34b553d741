"""What is recorded about leaving: plans, what the brake held, who decided, and who took over."""

LEAVING_PLANNED = "leaving.planned"
LEAVING_CALLED_OFF = "leaving.called_off"
LEAVING_HELD = "leaving.held"
LOSS_HELD = "loss.held"
HOLD_OPENED = "hold.opened"
HOLD_RELEASED = "hold.released"
HOLD_REFUSED = "hold.refused"
#: Another source named the same person.
HOLD_CONFIRMED = "hold.confirmed"
#: The source took back what it had said.
HOLD_WITHDRAWN = "hold.withdrawn"
#: A source is measured from now on, with the usual limits.
BRAKE_ADDED = "brake.added"
BRAKE_CHANGED = "brake.changed"
HANDOVER_MADE = "handover.made"
HANDOVER_SETTLED = "handover.settled"
PEOPLE_FILE_APPLIED = "people_file.applied"
