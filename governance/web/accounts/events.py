"""What is recorded about signing in and out."""

LOGIN_SUCCEEDED = "login.succeeded"
LOGIN_FAILED = "login.failed"
LOGIN_ENDED = "login.ended"
LOGIN_CONFIRMED = "login.confirmed"
