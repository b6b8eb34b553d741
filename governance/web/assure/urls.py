"""The addresses of the pages "Assure"."""

from django.urls import URLPattern, URLResolver, path

from governance.web.assure import evidence, ledger

urlpatterns: list[URLPattern | URLResolver] = [
    path("evidence/", evidence.evidence, name="evidence"),
    path("evidence/build/", evidence.build, name="evidence_build"),
    path("evidence/<uuid:ref>/", evidence.bundle, name="bundle"),
    path("evidence/<uuid:ref>/retry/", evidence.retry, name="bundle_retry"),
    path("evidence/<uuid:ref>/download/", evidence.download, name="bundle_download"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/<int:index>/", ledger.entry, name="ledger_entry"),
    path("ledger/<int:index>/proof/", ledger.proof, name="ledger_proof"),
]
