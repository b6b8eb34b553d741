"""What the ledger records about itself and about configuration."""

LOG_STARTED = "log.started"
LOG_HEARTBEAT = "log.heartbeat_signed"
CONFIGURATION_CHANGED = "configuration.changed"
