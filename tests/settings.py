"""The settings of a test run: the real ones, on a throw-away data folder, without what only costs time."""

import os
import tempfile

if "DATA_DIR" not in os.environ:
    # Inherited by the other processes of a parallel run; removed by tests/plugin_database.py.
    os.environ["DATA_DIR"] = os.environ["GATEHOUSE_TEST_DATA_DIR"] = tempfile.mkdtemp(prefix="gatehouse-test-")
os.environ["GATEHOUSE_MODE"] = "local"

from governance.config.settings import *  # noqa: F403

#: The real hasher takes a tenth of a second on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
#: A thread would write what a test rolls back; tests call `RECORDER.flush()`.
SCIM_EXCHANGES_FLUSH_SECONDS = 0
#: Nothing was collected.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
