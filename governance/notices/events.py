"""What is recorded about who is told what, and how."""

PREFERENCES_CHANGED = "notice_preferences.changed"
WEBHOOK_ADDED = "webhook.added"
WEBHOOK_CHANGED = "webhook.changed"
WEBHOOK_TESTED = "webhook.tested"
WEBHOOK_RETRIED = "webhook.retried"
WEBHOOK_ENDED = "webhook.ended"
MAIL_RETRIED = "mail.retried"
