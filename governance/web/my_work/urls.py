"""The addresses of My work."""

from django.urls import path

from governance.web.my_work import answer_views, approval_views, glass_views, several_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("access/", views.catalogue, name="catalogue"),
    path("access/several/", several_views.several, name="several"),
    path("access/<slug:slug>/request/", views.ask, name="request_access"),
    path("access/<slug:slug>/request/limits/", views.limits, name="request_limits"),
    path("access/<slug:slug>/break-glass/", glass_views.break_the_glass, name="break_the_glass"),
    path("break-glass/", glass_views.break_glasses, name="break_glasses"),
    path("break-glass/<int:glass_id>/", glass_views.one_break_glass, name="break_glass"),
    path("break-glass/<int:glass_id>/review/", glass_views.review, name="review_break_glass"),
    path("requests/", several_views.my_requests, name="requests"),
    path("requests/R-<int:number>/", views.request_page, name="request"),
    path("requests/R-<int:number>/remind/", several_views.remind, name="remind"),
    path("requests/R-<int:number>/again/", several_views.again, name="again"),
    path("requests/R-<int:number>/withdraw-all/", several_views.withdraw_together, name="withdraw_together"),
    path("requests/R-<int:number>/withdraw/", views.withdraw, name="withdraw"),
    path("requests/R-<int:number>/approve/", approval_views.approve, name="approve"),
    path("requests/R-<int:number>/decline/", approval_views.decline, name="decline"),
    path("requests/R-<int:number>/facts/", answer_views.facts_shown, name="facts_shown"),
    path("requests/R-<int:number>/other/", answer_views.other_answers, name="other_answers"),
    path("requests/R-<int:number>/ask-back/", answer_views.ask_back, name="ask_back"),
    path("requests/R-<int:number>/reply/", answer_views.reply, name="reply"),
    path("requests/R-<int:number>/hand-over/", answer_views.hand_over, name="hand_over"),
    path("requests/R-<int:number>/smaller/", answer_views.give_smaller, name="give_smaller"),
    path("me/away/", answer_views.away, name="away"),
    path("me/away/<int:absence_id>/end/", answer_views.back, name="back"),
    path("me/access/", views.my_access, name="my_access"),
    path("me/access/<int:grant_id>/extend/", views.extend, name="extend"),
    path("me/access/<int:grant_id>/give-back/", views.give_back, name="give_back"),
    path("me/answers/<int:grant_id>/", glass_views.answer_end, name="answer_end"),
    path("approvals/", approval_views.approvals, name="approvals"),
    path("approvals/decided/", approval_views.decided, name="approvals_decided"),
    path("approvals/several/", approval_views.several, name="approvals_several"),
]
