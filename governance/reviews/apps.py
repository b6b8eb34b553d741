"""Access reviews. Not built yet: the room stands so that its floor is enforced from the first line."""

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """Campaign, ReviewItem, Decision (not built yet)."""

    name = "governance.reviews"
    label = "reviews"
