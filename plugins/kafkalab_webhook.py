"""Airflow plugin: serves the webhook of `kafkalab.notify` at /kafkalab/webhook/github.

The route is imported when the API server asks for it and by no other Airflow process, because every
one of them loads every plugin, for each task too.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/kafkalab/webhook"


class _LazyApp:
    """An ASGI application that is imported at its first call."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from kafkalab.notify.airflow_app import app

        await app(scope, receive, send)


class KafkalabWebhookPlugin(AirflowPlugin):  # type: ignore[misc]
    """Names the webhook's application and where it is mounted."""

    name = "kafkalab_webhook"
    fastapi_apps = [  # noqa: RUF012 - Airflow's attribute
        {"app": _LazyApp(), "url_prefix": URL_PREFIX, "name": "kafkalab webhook"}
    ]
