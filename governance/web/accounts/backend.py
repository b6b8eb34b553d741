"""Who a session is of: the person together with what they are to Gatehouse, in one statement."""

from __future__ import annotations

from allauth.account.auth_backends import AuthenticationBackend

from governance.identity.models import Person
from governance.web.roles import HELD_ROLES


class SessionBackend(AuthenticationBackend):  # type: ignore[misc]  # allauth has no types
    """allauth's way to sign in. Every page needs to know the reader's roles, so they come with the reader."""

    def user_can_authenticate(self, user: Person) -> bool:
        """Tell whether this person may sign in: who works here, and guests."""
        return user.may_sign_in

    def get_user(self, user_id: int) -> Person | None:
        """Return the person with `held_roles`, or none when there is no such person or they may not sign in."""
        person = Person.objects.annotate(held_roles=HELD_ROLES).filter(pk=user_id).first()
        return person if person is not None and self.user_can_authenticate(person) else None
