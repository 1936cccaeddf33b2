"""The applications whose throughput is compared: FastAPI as it is, with the middleware, and with the dependency."""

import os
from typing import Annotated

import keyward
from fastapi import Depends, FastAPI
from keyward.asgi import KeywardMiddleware
from keyward.fastapi import KeyGuard


def items(number: int) -> dict[str, int]:
    return {"id": number}


async def item(number: int) -> dict[str, int]:
    return items(number)


def made() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.get("/v1/items/{number}")(item)
    return app


plain, middleware, dependency = made(), made(), FastAPI(openapi_url=None)

if "KEYWARD_SNAPSHOT" in os.environ:
    engine = keyward.Engine.open(os.environ["KEYWARD_SNAPSHOT"], keyring=os.environ["KEYWARD_KEYRING"])
    middleware.add_middleware(KeywardMiddleware, engine=engine, realm="bench")
    guard = KeyGuard(engine, "bench")

    @dependency.get("/v1/items/{number}")
    async def guarded(number: int, verdict: Annotated[keyward.Verdict, Depends(guard)]) -> dict[str, int]:
        return items(number)
