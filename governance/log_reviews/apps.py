"""Somebody looks through the log, in time, and signs what they found."""

from django.apps import AppConfig


class LogReviewsConfig(AppConfig):
    """Reviews of the log."""

    name = "governance.log_reviews"
    label = "log_reviews"
