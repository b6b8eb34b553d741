"""The addresses of the REST door, below /api/v1/."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularJSONAPIView

from governance.api import (
    catalog,
    evidence,
    expiries,
    grants,
    notices,
    openapi,
    people,
    problems,
    reach,
    requests,
    rules,
    why,
)

app_name = "api"
#: Imported for what it registers with the schema.
SCHEMES = (openapi.BearerScheme,)
urlpatterns = [
    path("schema/", SpectacularJSONAPIView.as_view(), name="schema"),
    path("me/", people.Me.as_view(), name="me"),
    path("people/", people.People.as_view(), name="people"),
    path("people/<uuid:ref>/", people.OnePerson.as_view(), name="person"),
    path("people/<uuid:ref>/leave/", people.Leave.as_view(), name="leave"),
    path("applications/", catalog.Applications.as_view(), name="applications"),
    path("applications/<slug:slug>/", catalog.OneApplication.as_view(), name="application"),
    path("entitlements/", catalog.Entitlements.as_view(), name="entitlements"),
    path("entitlements/<slug:application>/<slug:slug>/", catalog.OneEntitlement.as_view(), name="entitlement"),
    path("requests/", requests.Requests.as_view(), name="requests"),
    path("requests/<int:number>/", requests.OneRequest.as_view(), name="request"),
    path("requests/<int:number>/approve/", requests.Approve.as_view(), name="approve"),
    path("requests/<int:number>/deny/", requests.Deny.as_view(), name="deny"),
    path("requests/<int:number>/withdraw/", requests.Withdraw.as_view(), name="withdraw"),
    path("grants/", grants.Grants.as_view(), name="grants"),
    path("grants/<int:grant_id>/", grants.OneGrant.as_view(), name="grant"),
    path("reach/", reach.Reach.as_view(), name="reach"),
    path("grants/<int:grant_id>/why/", why.OneWhy.as_view(), name="why"),
    path("grants/<int:grant_id>/revoke/", grants.Revoke.as_view(), name="revoke"),
    path("grants/<int:grant_id>/give-back/", grants.GiveBack.as_view(), name="give_back"),
    path("notices/", notices.Notices.as_view(), name="notices"),
    path("notices/read/", notices.ReadAll.as_view(), name="notices_read"),
    path("notices/preferences/", notices.NoticePreferences.as_view(), name="notice_preferences"),
    path("notices/<int:notice_id>/read/", notices.Read.as_view(), name="notice_read"),
    path("expiries/", expiries.Expiries.as_view(), name="expiries"),
    path("expiries/late/", expiries.LateEnds.as_view(), name="late_ends"),
    path("rules/", rules.Rules.as_view(), name="rules"),
    path("rules/<slug:slug>/", rules.OneRule.as_view(), name="rule"),
    path("rules/<slug:slug>/versions/", rules.Versions.as_view(), name="rule_versions"),
    path("rules/<slug:slug>/retire/", rules.RetireRule.as_view(), name="rule_retire"),
    path("rule-previews/", rules.RulePreview.as_view(), name="rule_previews"),
    path("rule-suggestions/", rules.RuleSuggestions.as_view(), name="rule_suggestions"),
    path("evidence/preview/", evidence.Preview.as_view(), name="evidence_preview"),
    path("evidence/bundles/", evidence.Bundles.as_view(), name="bundles"),
    path("evidence/bundles/<uuid:ref>/", evidence.OneBundle.as_view(), name="bundle"),
    path("evidence/bundles/<uuid:ref>/download/", evidence.Download.as_view(), name="bundle_download"),
    re_path(r"", problems.not_found, name="nowhere"),
]
