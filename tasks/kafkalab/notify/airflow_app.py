"""The webhook as Airflow serves it: a FastAPI route in the API server that triggers `kafka_merge`.

In this order, so that nothing of an unknown sender is ever parsed: is a secret configured (503), is
it JSON (415), is it small enough, counted while it is read (413), is the signature right (401), is
it a delivery (400). Then the run is created through the function behind Airflow's own trigger, with
a run id made from the delivery's, and answered with 202 and the run's address; a redelivery finds
the run that exists and gets the same answer.

Settings, from the environment of the API server:
    KAFKALAB_WEBHOOK_SECRET    shared with GitHub
    KAFKALAB_WEBHOOK_SUBJECTS  JSON: "owner/name" → subject, where `{sha}` stands for the commit;
                               without it Airflow's Variable kafkalab_webhook_subjects
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from airflow.api.common.trigger_dag import trigger_dag
from airflow.configuration import conf
from airflow.exceptions import DagNotFound, DagRunAlreadyExists
from airflow.models.variable import Variable
from airflow.utils.types import DagRunTriggeredByType
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError

from kafkalab.notify.webhook import (
    BODY_BYTES_MAX,
    DELIVERY_HEADER,
    EVENT_HEADER,
    SIGNATURE_HEADER,
    Ignored,
    RefusedError,
    Trigger,
    parse,
    verify,
)

SECRET = "KAFKALAB_WEBHOOK_SECRET"  # noqa: S105 - the name of a setting
SUBJECTS = "KAFKALAB_WEBHOOK_SUBJECTS"
VARIABLE = "kafkalab_webhook_subjects"
USER = "github-webhook"

app = FastAPI(title="kafkalab webhook", docs_url=None, redoc_url=None, openapi_url=None)


@app.post("/github")  # type: ignore[untyped-decorator,unused-ignore]
async def receive(request: Request) -> JSONResponse:
    """Take one delivery."""
    try:
        return await _receive(request)
    except RefusedError as refused:
        return JSONResponse({"refused": refused.reason}, status_code=refused.status)


async def _receive(request: Request) -> JSONResponse:
    secret = os.environ.get(SECRET, "")
    if not secret:
        raise RefusedError(503, f"the lab takes no deliveries: {SECRET} is not set.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, f"expected content type application/json, found {kind!r}.")
    body = await _read(request)
    verify(secret.encode(), body, request.headers.get(SIGNATURE_HEADER))
    event, delivery = request.headers.get(EVENT_HEADER), request.headers.get(DELIVERY_HEADER)
    asked = parse(event, delivery, body, await run_in_threadpool(_subjects))
    if isinstance(asked, Ignored):
        return JSONResponse({"ignored": asked.reason}, status_code=202)
    created = await run_in_threadpool(_trigger, asked)
    address = _address(request, asked)
    content = {"run_id": asked.run_id, "url": address, "created": created}
    return JSONResponse(content, status_code=202, headers={"Location": address})


async def _read(request: Request) -> bytes:
    too_large = RefusedError(413, f"expected {BODY_BYTES_MAX} bytes at most.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise RefusedError(400, f"content-length: expected a number, found {declared[:20]!r}.")
    if int(declared) > BODY_BYTES_MAX:
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise too_large
    return bytes(body)


def _subjects() -> Mapping[str, str]:
    text = os.environ.get(SUBJECTS) or Variable.get(VARIABLE, default_var="{}")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise RefusedError(503, f"{SUBJECTS}: expected JSON: {error}.") from error
    if not isinstance(raw, dict) or not all(isinstance(v, str) for v in raw.values()):
        raise RefusedError(503, f"{SUBJECTS}: expected an object of texts.")
    return raw


def _trigger(asked: Trigger) -> bool:
    """Create the run; False when the delivery had created it before."""
    try:
        trigger_dag(
            asked.workflow,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=USER,
            run_id=asked.run_id,
            conf=_checked_conf(asked),
        )
    except (DagRunAlreadyExists, IntegrityError):
        return False  # IntegrityError: a redelivery at the same instant was faster
    except DagNotFound as error:
        raise RefusedError(
            503, f"Airflow does not know the DAG {asked.workflow} (yet); redeliver in a minute."
        ) from error
    except ValueError as error:
        raise RefusedError(400, f"the run's parameters do not fit: {error}") from error
    return True


def _checked_conf(asked: Trigger) -> dict[str, Any]:
    return {key: value for key, value in asked.conf().items() if value}


def _address(request: Request, asked: Trigger) -> str:
    base = conf.get("api", "base_url", fallback="") or str(request.base_url).split("/kafkalab")[0]
    return f"{base.rstrip('/')}/dags/{asked.workflow}/runs/{quote(asked.run_id)}"
