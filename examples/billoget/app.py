"""Billoget's public API: budgets, customers and products of whoever owns the key, and a test of webhooks.

What a key needs stands in each signature, and so in the API's own document, /docs.
"""

import itertools
import os
from collections import defaultdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Security
from keyward import Engine, Verdict
from keyward.fastapi import KeyGuard

engine = Engine.open(os.environ.get("KEYWARD_SNAPSHOT", "keys.kwd"), keyring=os.environ.get("KEYWARD_KEYRING", "keyring.toml"),
                     state=os.environ.get("KEYWARD_STATE"))
engine.watch()
guard = KeyGuard(engine, "billoget", scheme_name="API key")
app = FastAPI(title="Billoget")
guard.install(app)

Rows = dict[int, dict[str, Any]]
# By what it is, whose it is, and whether it is real: `live` and `test` share nothing.
store: defaultdict[tuple[str, str | None, str | None], Rows] = defaultdict(dict)
numbers = itertools.count(1)


def routes(name: str, plural: str) -> APIRouter:
    """Reading and writing one kind of thing."""
    router = APIRouter(prefix=f"/v1/api/public/{plural}", tags=[plural])
    Reader = Annotated[Verdict, Security(guard, scopes=[f"READ_{plural.upper()}"])]
    Writer = Annotated[Verdict, Security(guard, scopes=[f"WRITE_{plural.upper()}"])]
    Thing = Annotated[dict[str, Any] | None, Body()]

    def rows(verdict: Verdict) -> Rows:
        return store[plural, verdict.tenant, verdict.environment]

    @router.get("", summary=f"List {plural}")
    def read(verdict: Reader, page: Annotated[int, Query(ge=1)] = 1, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> dict[str, Any]:
        found = list(rows(verdict).values())
        return {
            "data": found[(page - 1) * limit : page * limit],
            "pagination": {"page": page, "limit": limit, "total": len(found), "hasMore": page * limit < len(found)},
        }

    @router.post("", summary=f"Create a {name}")
    def create(verdict: Writer, thing: Thing = None) -> dict[str, Any]:
        number = next(numbers)
        rows(verdict)[number] = {**(thing or {}), "id": number}
        return rows(verdict)[number]

    @router.put("", summary=f"Change a {name}")
    def change(verdict: Writer, thing: Thing = None, number: Annotated[int | None, Query(alias="id")] = None) -> dict[str, Any]:
        if number is None:
            return {"changed": 0}
        if number not in rows(verdict):
            raise HTTPException(404)
        rows(verdict)[number] |= {**(thing or {}), "id": number}
        return {"changed": 1}

    @router.delete("", summary=f"Delete a {name}")
    def delete(verdict: Writer, number: Annotated[int | None, Query(alias="id")] = None) -> dict[str, Any]:
        return {"deleted": 0 if number is None or rows(verdict).pop(number, None) is None else 1}

    return router


for one, many in (("budget", "budgets"), ("customer", "customers"), ("product", "products")):
    app.include_router(routes(one, many))


@app.post("/v1/api/public/webhooks/test", tags=["webhooks"], summary="Send a webhook to oneself")
def webhook(verdict: Annotated[Verdict, Security(guard, scopes=["WEBHOOKS"])]) -> dict[str, Any]:
    return {"delivered": True, "tenant": verdict.tenant}
