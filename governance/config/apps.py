"""The house as a Django application, so that every process that sets Django up has its Celery application too."""

from django.apps import AppConfig

from governance.config.celery import app as celery_app


class HouseConfig(AppConfig):
    """Settings, processes, health."""

    name = "governance.config"
    label = "config"

    def ready(self) -> None:
        """Make ours the application that `celery.current_app` and `shared_task` mean in this process."""
        celery_app.set_default()
