"""How long a session that is open in an application outlives the access it was opened with, where that is known.

What the owners say of their application counts first. Else only limits that the vendor states and that hold whatever a
customer sets: a usual value is no limit. Where nothing is known the pages say so; they never say that a session ends
at once.
"""

from __future__ import annotations

from datetime import timedelta

from governance.catalog.models import Application

#: By id in the shipped catalogue.
_LONGEST = {
    # A permission set's session lasts 1 to 12 hours as it is set, and a removed assignment does not end it.
    # AWS IAM Identity Center user guide, "Set session duration".
    "aws-iam-identity-center": timedelta(hours=12),
}


def longest_session_after_removal(application: Application) -> timedelta | None:
    """Return the longest time an open session goes on after its access was taken away. None: not known."""
    if application.session_hours is not None:
        return timedelta(hours=application.session_hours)
    return _LONGEST.get(application.catalogue_id)
