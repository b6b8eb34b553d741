"""The addresses of what people are told, and of how it reaches them."""

from django.urls import URLPattern, URLResolver, path

from governance.web.notices import inbox, mail, webhooks, wishes

urlpatterns: list[URLPattern | URLResolver] = [
    path("notices/", inbox.notices, name="notices"),
    path("notices/read/", inbox.read_all, name="notices_read"),
    path("notices/<int:notice_id>/read/", inbox.read, name="notice_read"),
    path("settings/notices/", wishes.wishes, name="notice_settings"),
    path("mail/", mail.mails, name="mail"),
    path("mail/<uuid:ref>/", mail.one_mail, name="one_mail"),
    path("mail/<uuid:ref>/retry/", mail.retry, name="mail_retry"),
    path("webhooks/", webhooks.hooks, name="webhooks"),
    path("new-webhook/", webhooks.new, name="webhook_new"),
    path("webhooks/<int:hook_id>/", webhooks.one, name="webhook"),
    path("webhooks/<int:hook_id>/test/", webhooks.test, name="webhook_test"),
    path("webhooks/<int:hook_id>/renew/", webhooks.renew, name="webhook_renew"),
    path("webhooks/<int:hook_id>/end-former/", webhooks.end_former, name="webhook_end_former"),
    path("webhooks/<int:hook_id>/end/", webhooks.end, name="webhook_end"),
    path("webhooks/<int:hook_id>/messages/<int:message_id>/retry/", webhooks.retry, name="webhook_retry"),
]
