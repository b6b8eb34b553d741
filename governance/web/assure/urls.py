"""The addresses of the pages "Assure"."""

from django.urls import URLPattern, URLResolver, include, path

from governance.web.assure import (
    anchors,
    engagement_requests,
    engagements,
    entry,
    evidence,
    findings,
    history,
    invitations,
    ledger,
    reports,
    streams,
)

#: Below one request of an engagement.
_REQUEST: list[URLPattern | URLResolver] = [
    path("", engagement_requests.one, name="audit_request"),
    path("say/", engagement_requests.say, name="audit_request_say"),
    path("answer/", engagement_requests.answer, name="audit_request_answer"),
    path("accept/", engagement_requests.accept, name="audit_request_accept"),
    path("flag/", engagement_requests.flag, name="audit_request_flag"),
    path("population/", engagement_requests.take, name="population_take"),
    path("populations/<int:population_id>/sample/", engagement_requests.draw, name="audit_sample_new"),
    path("samples/<int:sample_id>/", engagement_requests.sample, name="audit_sample"),
    path("samples/<int:sample_id>/<int:row_no>/", engagement_requests.item, name="audit_item"),
    path("samples/<int:sample_id>/<int:row_no>/proof/<int:index>/", engagement_requests.proof, name="audit_proof"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("evidence/", evidence.evidence, name="evidence"),
    path("evidence/build/", evidence.build, name="evidence_build"),
    path("evidence/reports/<slug:report_id>/", reports.report, name="evidence_report"),
    path("evidence/<uuid:ref>/", evidence.bundle, name="bundle"),
    path("evidence/<uuid:ref>/retry/", evidence.retry, name="bundle_retry"),
    path("evidence/<uuid:ref>/download/", evidence.download, name="bundle_download"),
    path("engagements/", engagements.engagements, name="engagements"),
    path("engagements/new/", engagements.new, name="engagement_new"),
    path("engagements/<uuid:ref>/", engagements.one, name="engagement"),
    path("engagements/<uuid:ref>/invite/", engagements.invite, name="engagement_invite"),
    path("engagements/<uuid:ref>/guests/<int:guest_id>/withdraw/", engagements.withdraw, name="guest_withdraw"),
    path("engagements/<uuid:ref>/extend/", engagements.extend, name="engagement_extend"),
    path("engagements/<uuid:ref>/close/", engagements.close, name="engagement_close"),
    path("engagements/<uuid:ref>/build/", engagements.build, name="engagement_build"),
    path("engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/", engagements.bundle, name="engagement_bundle"),
    path("engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/retry/", engagements.retry, name="engagement_retry"),
    path(
        "engagements/<uuid:ref>/bundles/<uuid:bundle_ref>/download/", engagements.download, name="engagement_download"
    ),
    path("engagements/<uuid:ref>/requests/new/", engagement_requests.add, name="audit_request_new"),
    path("engagements/<uuid:ref>/requests/<int:number>/", include(_REQUEST)),
    path("invitations/<str:token>/", invitations.accept, name="invitation"),
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
