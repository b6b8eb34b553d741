"""A user and a group as the documentation of django-scim2 shows them."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Group(AbstractSCIMGroupMixin):
    """A group with its members, as `user_set`."""

    name = models.CharField(max_length=320)

    class Meta:
        app_label = "stock"


class User(AbstractSCIMUserMixin, AbstractUser):
    """A user."""

    scim_groups = models.ManyToManyField(Group, related_name="user_set")

    class Meta:
        app_label = "stock"
