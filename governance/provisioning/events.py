"""What is recorded about orders, accounts and connectors."""

#: A worker took orders, all in one entry.
OPERATIONS_CLAIMED = "operation.claimed"
#: It gave them back untried.
OPERATIONS_RELEASED = "operation.released"
#: An order did not arrive and is tried again later.
OPERATION_PUT_OFF = "operation.put_off"
OPERATION_DELIVERED = "operation.delivered"
OPERATION_VERIFIED = "operation.verified"
OPERATION_FAILED = "operation.failed"
OPERATION_RETRIED = "operation.retried"
OPERATION_CONFIRMED = "operation.confirmed_by_hand"
ACCOUNT_LINKED = "account.linked"
CONNECTOR_SAVED = "connector.saved"
CIRCUIT_OPENED = "connector.circuit_opened"
CIRCUIT_CLOSED = "connector.circuit_closed"
APPLICATION_READ = "application.read"
TICKET_SYSTEM_SAVED = "ticket_system.saved"
TICKET_SYSTEM_RETIRED = "ticket_system.retired"
READING_REQUESTED = "application.reading_requested"
