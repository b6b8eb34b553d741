"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.ledger.governing import govern, leave_out
from governance.notices.models import Bookmark, Mail, Notice, PostOffice, Preferences, Webhook, WebhookMessage

govern(Webhook, public=["name", "kinds"], personal=["url", "secret_encrypted", "former_secret_encrypted"])

leave_out(Bookmark, PostOffice, because="how far reading and sending came")
leave_out(Mail, Notice, WebhookMessage, because="read from the ledger, sent, and then cleared away")
leave_out(Preferences, because="how somebody likes to be told; it gives and takes nothing")
