"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern
from governance.log_reviews.models import Cadence, LogReview

govern(Cadence, public=["set_by_ref"])
govern(LogReview, person="signed_by_id", personal=["counts", "findings", "follow_up"])
