"""OneBalance's API on FastAPI, all of it behind the middleware: the realm's routes say what each call needs."""

import os
from typing import Any

from fastapi import FastAPI, Request
from keyward import Engine, Verdict
from keyward.asgi import KEY, KeywardMiddleware

engine = Engine.open(os.environ.get("KEYWARD_SNAPSHOT", "keys.kwd"), keyring=os.environ.get("KEYWARD_KEYRING", "keyring.toml"),
                     state=os.environ.get("KEYWARD_STATE"))
engine.watch()
app = FastAPI(title="OneBalance", docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(KeywardMiddleware, engine=engine, realm="onebalance", hide_credentials=True)

ASSETS = [
    {"aggregatedAssetId": "ob:eth", "symbol": "ETH", "decimals": 18},
    {"aggregatedAssetId": "ob:usdc", "symbol": "USDC", "decimals": 6},
]


@app.get("/api/assets/list")
def assets() -> list[dict[str, Any]]:
    return ASSETS


@app.post("/api/quotes/execute-quote")
def execute(request: Request) -> dict[str, Any]:
    verdict: Verdict = request.scope[KEY]
    return {"success": True, "project": verdict.tenant}
