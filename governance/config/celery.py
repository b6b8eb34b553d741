"""The Celery application: how wake-ups and ticks reach the workers. The work itself is always rows in the database."""

from __future__ import annotations

import os
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from django.conf import settings
from kombu import Exchange, Queue

from governance.config import watchdog
from governance.config.environment import Environment
from governance.config.schedule import SCHEDULE, TICK_LIFETIME_SECONDS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")

# A running batch goes on when the broker goes away: its rows are claimed, and the message that comes back finds nothing
# to do. Celery announces another default for a later version each time that happens.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
# Celery warns root because messages could carry code (pickle). Ours are JSON and nothing else is accepted.
warnings.filterwarnings("ignore", category=SecurityWarning)

#: A task drains a batch and returns; one that takes longer than this hangs. The pool process is killed at the hard
#: limit and its rows are found again by the next sweep.
_SOFT_LIMIT_SECONDS = 120
_HARD_LIMIT_SECONDS = 150

#: Evidence bundles take minutes. They have a queue and a worker of their own: no end of access waits behind one.
_LONG_TASKS = "evidence.*"
_LONGEST_TASK_SECONDS = 1_860


def broker_options(environment: Environment) -> dict[str, Any]:
    """Return where the broker is and how to speak to it."""
    if environment.celery_broker_url is not None:
        url = environment.celery_broker_url.get_secret_value()
        # Redis only: hand an unacknowledged message out again after this, longer than any task may run.
        options = {"visibility_timeout": _LONGEST_TASK_SECONDS + 60} if url.startswith("redis") else {}
        return {"broker_url": url, "broker_transport_options": options}
    folder = environment.data_dir / "broker"
    return {
        "broker_url": "filesystem://localhost",
        "broker_transport": "governance.config.broker:Transport",
        "broker_transport_options": {
            "data_folder_in": str(folder / "messages"),
            "data_folder_out": str(folder / "messages"),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.1,
        },
    }


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(""), routing_key=name, message_ttl=TICK_LIFETIME_SECONDS, max_length=10_000)


def make_app(environment: Environment) -> Celery:
    """Return the Celery application for `environment`."""
    app = Celery("governance")
    app.conf.update(
        **broker_options(environment),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Nothing waits for the result of a task; what it did is in the database.
        task_ignore_result=True,
        accept_content=["json"],
        task_serializer="json",
        # The nameless exchange: nothing to declare or to bind, the queue's name is the address. Messages are transient,
        # and RabbitMQ drops those nobody took: the next tick finds the same rows.
        task_default_queue=environment.celery_queue,
        task_queues=[_queue(environment.celery_queue), _queue(environment.long_queue)],
        task_routes={_LONG_TASKS: {"queue": environment.long_queue}},
        task_default_delivery_mode="transient",
        # A worker that dies in mid-task gives the message back: the work goes on at once, not at the next tick.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=_SOFT_LIMIT_SECONDS,
        task_time_limit=_HARD_LIMIT_SECONDS,
        # Processes, not threads: only a process can be killed at the hard limit, and only its loss is noticed.
        worker_pool="prefork",
        worker_concurrency=environment.worker_processes,
        worker_max_tasks_per_child=10_000,
        # Nobody sends commands to workers; the chatter would keep the embedded broker's folders busy.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        beat_schedule=SCHEDULE,
        beat_schedule_filename=str(environment.data_dir / "run" / "beat-schedule"),
        # Look at the clock at least this often; the default of five minutes suits slower schedules.
        beat_max_loop_interval=1,
        timezone="UTC",
    )
    return app


app = make_app(settings.ENVIRONMENT)
app.autodiscover_tasks()
watchdog.install(app)
