"""What the web server calls."""

import os
import signal

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from governance.config import database_roles
from governance.config.processes import end_with_parent
from governance.ledger.rights import RUNTIME

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")
os.environ.setdefault(database_roles.VARIABLE, RUNTIME)

if "GATEHOUSE_SUPERVISED" in os.environ:
    # This is a worker process of the web server. When the server is killed it would go on serving, out of reach.
    end_with_parent(signal.SIGKILL, os.getppid())

application = get_wsgi_application()
# Load every view now: the worker takes requests when it can answer them, not some seconds before.
_ = get_resolver().url_patterns
