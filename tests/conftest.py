"""Shared fixtures of all tests."""

pytest_plugins = ["tests.plugin_database"]
