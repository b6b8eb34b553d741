"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.evidence.models import Definition, DefinitionVersion, EvidenceBundle, ExportedManifest
from governance.ledger.governing import govern

govern(
    EvidenceBundle,
    public=[
        "framework",
        "applications",
        "zone",
        "file_name",
        "sha256",
        "made_by_ref",
        "correlation_id",
    ],
    # How far the building came. What it came to is told by `evidence.exported` and `evidence.ready`.
    volatile=[
        "state",
        "step",
        "steps_done",
        "steps",
        "attempts",
        "last_error",
        "outbox_mark",
        "ledger_size",
        "manifest_sha256",
        "summary",
    ],
)
govern(ExportedManifest)
govern(Definition, public=["framework", "made_by_ref"], personal=["name"])
# Values that rows are chosen by can name somebody.
govern(DefinitionVersion, public=["applications", "sha256", "made_by_ref"], personal=["name", "reason", "reports"])
