"""This door has no tables: connections are in the identity room (docs/adr/0007-connections-live-in-identity.md)."""
