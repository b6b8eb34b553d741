#!/usr/bin/env python
"""Run a Gatehouse command."""

import os
import sys

from django.core.management import execute_from_command_line

from governance.config import database_roles
from governance.config.command import database_for

if __name__ == "__main__":
    os.environ[database_roles.VARIABLE] = database_roles.role_of_command(sys.argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")
    with database_for(sys.argv):
        execute_from_command_line(sys.argv)
