"""The addresses of My work."""

from django.urls import path

from governance.web.my_work import approval_views, views

urlpatterns = [
    path("", views.home, name="home"),
    path("access/", views.catalogue, name="catalogue"),
    path("access/<slug:slug>/request/", views.ask, name="request_access"),
    path("access/<slug:slug>/request/limits/", views.limits, name="request_limits"),
    path("requests/R-<int:number>/", views.request_page, name="request"),
    path("requests/R-<int:number>/withdraw/", views.withdraw, name="withdraw"),
    path("requests/R-<int:number>/approve/", approval_views.approve, name="approve"),
    path("requests/R-<int:number>/decline/", approval_views.decline, name="decline"),
    path("me/access/", views.my_access, name="my_access"),
    path("me/access/<int:grant_id>/extend/", views.extend, name="extend"),
    path("me/access/<int:grant_id>/give-back/", views.give_back, name="give_back"),
    path("approvals/", approval_views.approvals, name="approvals"),
]
