"""The addresses of the pages "Assure"."""

from django.urls import URLPattern, URLResolver, path

from governance.web.assure import anchors, entry, evidence, findings, history, ledger, reports, streams

urlpatterns: list[URLPattern | URLResolver] = [
    path("evidence/", evidence.evidence, name="evidence"),
    path("evidence/build/", evidence.build, name="evidence_build"),
    path("evidence/reports/<slug:report_id>/", reports.report, name="evidence_report"),
    path("evidence/<uuid:ref>/", evidence.bundle, name="bundle"),
    path("evidence/<uuid:ref>/retry/", evidence.retry, name="bundle_retry"),
    path("evidence/<uuid:ref>/download/", evidence.download, name="bundle_download"),
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/known/", ledger.known, name="ledger_known"),
    path("ledger/anchors/", anchors.anchors, name="anchors"),
    path("ledger/anchors/new/<slug:kind>/", anchors.new, name="anchor_new"),
    path("ledger/anchors/<uuid:ref>/", anchors.one, name="anchor"),
    path("ledger/anchors/<uuid:ref>/now/", anchors.keep_now, name="anchor_now"),
    path("ledger/anchors/<uuid:ref>/end/", anchors.end, name="anchor_end"),
    path("ledger/history/<slug:kind>/<str:key>/", history.history, name="configuration_history"),
    path("ledger/streams/", streams.streams, name="streams"),
    path("ledger/streams/new/<slug:kind>/", streams.new, name="stream_new"),
    path("ledger/streams/<uuid:ref>/", streams.one, name="stream"),
    path("ledger/streams/<uuid:ref>/test/", streams.test, name="stream_test"),
    path("ledger/streams/<uuid:ref>/renew/", streams.renew, name="stream_renew"),
    path("ledger/streams/<uuid:ref>/end/", streams.end, name="stream_end"),
    path("ledger/findings/", findings.findings, name="findings"),
    path("ledger/findings/<int:finding_id>/", findings.finding, name="finding"),
    path("ledger/findings/<int:finding_id>/take/", findings.take, name="finding_take"),
    path("ledger/findings/<int:finding_id>/explain/", findings.explain, name="finding_explain"),
    path("ledger/findings/<int:finding_id>/close/", findings.close, name="finding_close"),
    path("ledger/<int:index>/", entry.entry, name="ledger_entry"),
    path("ledger/<int:index>/proof/", entry.proof, name="ledger_proof"),
]
