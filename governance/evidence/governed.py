"""Which tables of this room are governed: each change of a row reaches the ledger, whoever makes it."""

from governance.evidence.models import Definition, DefinitionVersion, EvidenceBundle, ExportedManifest
from governance.ledger.governing import govern

govern(
    EvidenceBundle,
    public=[
        "framework",
        "applications",
        "zone",
        "state",
        "manifest_sha256",
        "file_name",
        "sha256",
        "made_by_ref",
        "correlation_id",
    ],
    personal=["summary"],
    # How far the building came.
    volatile=["step", "steps_done", "steps", "attempts", "last_error", "outbox_mark"],
)
govern(ExportedManifest)
govern(Definition, public=["framework", "made_by_ref"], personal=["name"])
# Values that rows are chosen by can name somebody.
govern(DefinitionVersion, public=["applications", "sha256", "made_by_ref"], personal=["name", "reason", "reports"])
