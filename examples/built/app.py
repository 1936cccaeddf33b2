"""Built's API on Flask, behind the middleware for WSGI: invoices of the business that a token is for.

The host says whether it is staging or production, and a token of one is nobody in the other.
"""

import os
from collections import defaultdict
from typing import Any

from flask import Flask, Response, jsonify, request
from keyward import Engine, Verdict
from keyward.wsgi import KEY, KeywardMiddleware

# gunicorn --preload opens it once, and each worker goes on from there: `inherited` has them count together.
state = os.environ.get("KEYWARD_STATE")
engine = Engine.open(os.environ.get("KEYWARD_SNAPSHOT", "keys.kwd"), keyring=os.environ.get("KEYWARD_KEYRING", "keyring.toml"),
                     state=state, inherited=state is None)
engine.watch()
app = Flask("built")
app.wsgi_app = KeywardMiddleware(app.wsgi_app, engine=engine, realm="built", hide_credentials=True)  # type: ignore[method-assign]

# By business and environment. Of this worker: a real server has a database.
invoices: defaultdict[tuple[str | None, str | None], list[Any]] = defaultdict(list)


def mine() -> list[Any]:
    verdict: Verdict = request.environ[KEY]
    return invoices[verdict.tenant, verdict.environment]


@app.get("/api/invoices")
def read() -> Response:
    verdict: Verdict = request.environ[KEY]
    return jsonify(business=verdict.tenant, environment=verdict.environment, invoices=mine())


@app.post("/api/invoices")
def create() -> tuple[Response, int]:
    mine().append(request.get_json())
    return jsonify(mine()[-1]), 201
