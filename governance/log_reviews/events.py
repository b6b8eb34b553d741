"""What is recorded about reviews of the log. R18 reads these."""

LOG_REVIEW_CADENCE_CHANGED = "log_review.cadence_changed"
LOG_REVIEW_OPENED = "log_review.opened"
LOG_REVIEW_SIGNED = "log_review.signed"
