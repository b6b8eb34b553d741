"""How allauth signs people in here: no sign-up, no word about who exists, every outcome in the ledger."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from governance.core import clock
from governance.core.errors import NotFound
from governance.identity import passwords
from governance.identity.models import Person
from governance.identity.queries import person_by_email
from governance.web import sessions
from governance.web.accounts import recording

WRONG = "That e-mail address and password do not belong together."
SLOW_DOWN = "Too many tries. Wait five minutes, then try again."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's questions, answered for Gatehouse."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": WRONG,
        "incorrect_password": "That is not your password.",
        "enter_current_password": "That is not your current password.",
        "too_many_login_attempts": SLOW_DOWN,
        "rate_limited": SLOW_DOWN,
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say no: people come from a directory."""
        return False

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Return who signs in. People who left are answered like a wrong password: nothing tells that they exist.

        (The parent lets them through to a page that says "inactive", and forgets that the try was counted.)
        """
        user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        if user is not None and not cast("Person", user).may_sign_in:
            self.pre_authenticate(request, **credentials)
            self.authentication_failed(request, **credentials)
            return None
        return user

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **_: Any) -> HttpResponse | None:
        """Let in whom `authenticate` let through. (The parent sends guests, who do not work here, to "inactive".)"""
        return None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record the failure under the person whose address it was, if it was anybody's."""
        person = _person_behind(str(credentials.get("email", "")))
        because = "left" if person is not None and not person.is_active else "wrong_password"
        recording.failed(person, because=because if person is not None else "unknown_address")

    @transaction.atomic
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign in, start the time of the session, and record it."""
        person = cast("Person", user)
        super().login(request, user)
        sessions.begin(request, clock.now())
        recording.succeeded(person, actor=recording.as_actor(person))

    @transaction.atomic
    def logout(self, request: HttpRequest) -> None:
        """Sign out and record it."""
        person = cast("Person", request.user)
        recording.ended(person, actor=recording.as_actor(person))
        super().logout(request)

    @transaction.atomic
    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Tell whether this is the password of who is signed in, as often as the limit for sign-ins allows.

        (The parent looks the person up again by address and finds somebody else where addresses are shared.)
        """
        person = cast("Person", user)
        self.pre_authenticate(self.request, email=person.email or person.user_name)
        if not person.may_sign_in or not person.check_password(password):
            recording.failed(person, because="wrong_password")
            return False
        self._rollback_login_failed_rl_usage()
        sessions.confirm(self.request, clock.now())
        recording.confirmed(person, actor=recording.as_actor(person))
        return True

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Keep a new password; every other session of the person ends."""
        person = cast("Person", user)
        passwords.set_password(person, password, actor=recording.as_actor(person))

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Go back to the settings."""
        return "/settings/"

    def add_message(self, request: HttpRequest, level: int, *args: Any, **kwargs: Any) -> None:
        """Say nothing about signing in and out: the page that follows shows it."""


def _person_behind(address: str) -> Person | None:
    try:
        return person_by_email(address)
    except NotFound:
        return None
