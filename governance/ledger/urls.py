"""Addresses of the ledger for machines, below `ledger/log/`."""

from django.urls import path

from governance.ledger import serving

app_name = "ledger"
urlpatterns = [
    path("checkpoint", serving.checkpoint, name="checkpoint"),
    path("keys", serving.keys, name="keys"),
    path("minimum-index", serving.minimum, name="minimum_index"),
    path("witness.py", serving.witness, name="witness"),
    path("tile/<int:level>/<path:path>", serving.tile, name="tile"),
]
