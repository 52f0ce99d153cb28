"""HR's API, in the shape of BambooHR's v1 (`/api/gateway.php/{company}/v1`).

A refusal is explained in the header `X-BambooHR-Error-Message`, as BambooHR does.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from factotum.dev.sandbox import hr_fields
from factotum.dev.sandbox.hr_fields import FieldInvalid
from factotum.dev.sandbox.hr_store import EmailTaken, HrStore, NoSuchEmployee

_BASIC = HTTPBasic(realm="BambooHR")
_PREFIX = "/api/gateway.php/{company}/v1"

Fields = Annotated[dict[str, Any], Body()]


def create_app(store: HrStore, keys: Mapping[str, str], changed: Callable[[str], None]) -> FastAPI:
    """`keys` has each company's API key; `changed(company)` is called after a change is on the disk."""

    async def authorised(company: str, given: Annotated[HTTPBasicCredentials, Depends(_BASIC)]) -> None:
        if company not in keys:
            raise HTTPException(404, f"there is no company {company}")
        # The key is the user name; BambooHR takes any password.
        if not hmac.compare_digest(given.username.encode(), keys[company].encode()):
            raise HTTPException(401, "this takes the company's API key", {"WWW-Authenticate": 'Basic realm="BambooHR"'})

    router = APIRouter(prefix=_PREFIX, dependencies=[Depends(authorised)])

    @router.post("/employees/")
    @router.post("/employees", include_in_schema=False)
    async def create(company: str, given: Fields, request: Request) -> Response:
        fields = hr_fields.writable({"status": "Active", **given})
        hr_fields.complete(fields)
        id = store.create(company, fields)
        changed(company)
        return Response(
            status_code=201,
            headers={
                "Location": f"{request.url.components.scheme}://"
                f"{request.url.netloc}{_PREFIX.format(company=company)}/employees/{id}"
            },
        )

    @router.get("/employees/directory")
    async def directory(company: str) -> dict[str, Any]:
        return {
            "fields": [
                {"id": name, "type": hr_fields.TYPES.get(name, "text"), "name": name} for name in hr_fields.DIRECTORY
            ],
            "employees": [
                {"id": id, **hr_fields.shown(hr_fields.DIRECTORY, fields)} for id, fields in store.all(company)
            ],
        }

    @router.get("/employees/{id}")
    async def read(company: str, id: str, fields: str = "") -> dict[str, Any]:
        names = [name.strip() for name in fields.split(",") if name.strip()]
        return {"id": id, **hr_fields.shown(names, store.read(company, id))}

    @router.post("/employees/{id}")
    async def update(company: str, id: str, given: Fields) -> Response:
        changes = hr_fields.writable(given)
        hr_fields.complete({**store.read(company, id), **changes})
        store.update(company, id, changes)
        changed(company)
        return Response()

    @router.delete("/employees/{id}")
    async def delete(company: str, id: str) -> Response:
        store.delete(company, id)
        changed(company)
        return Response()

    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(router)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.exception_handler(FieldInvalid)
    async def invalid(request: Request, error: FieldInvalid) -> Response:
        return _refusal(400, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        return _refusal(400, "the body is a JSON object of field names and values")

    @app.exception_handler(EmailTaken)
    async def taken(request: Request, error: EmailTaken) -> Response:
        return _refusal(409, str(error))

    @app.exception_handler(NoSuchEmployee)
    async def missing(request: Request, error: NoSuchEmployee) -> Response:
        return _refusal(404, f"there is no employee {error}")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return _refusal(error.status_code, error.detail, error.headers)

    return app


def _refusal(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    # A header is Latin-1 on one line; the field names and values in the words can be anything.
    line = " ".join(words.split()).encode("ascii", "replace").decode()
    return Response(status_code=status, headers={**(headers or {}), "X-BambooHR-Error-Message": line})
