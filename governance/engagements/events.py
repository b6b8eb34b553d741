"""What is recorded about engagements."""

ENGAGEMENT_OPENED = "engagement.opened"
ENGAGEMENT_EXTENDED = "engagement.extended"
ENGAGEMENT_CLOSED = "engagement.closed"
#: A guest asked for what their engagement does not hold.
ENGAGEMENT_REFUSED = "engagement.refused"
GUEST_INVITED = "guest.invited"
GUEST_WITHDRAWN = "guest.withdrawn"
INVITATION_ACCEPTED = "invitation.accepted"
AUDIT_REQUEST_ADDED = "audit_request.added"
AUDIT_REQUEST_ANSWERED = "audit_request.answered"
AUDIT_REQUEST_ACCEPTED = "audit_request.accepted"
AUDIT_REQUEST_FLAGGED = "audit_request.flagged"
AUDIT_REQUEST_SAID = "audit_request.said"
POPULATION_TAKEN = "population.taken"
SAMPLE_TAKEN = "sample.taken"
#: One item of a sample was opened, with the entries behind it.
SAMPLE_ITEM_READ = "sample.item_read"
