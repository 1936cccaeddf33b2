"""Interstellas' API: sign-in with e-mail and password, then the session's token, SECRET_KEY and businessId together.

Passwords are this server's own business: argon2id in its own database. keyward never sees them; it checks the token that
the sign-in issues, with the public key of the pair in signin.pem, and that token, key and business belong together.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import FastAPI, HTTPException, Request
from keyward import Engine, Verdict
from keyward.asgi import KEY, KeywardMiddleware
from pydantic import BaseModel

DATABASE = os.environ.get("INTERSTELLAS_DATABASE", "users.db")
SIGNIN_KEY = Path(os.environ.get("INTERSTELLAS_SIGNIN_KEY", "signin.pem")).read_text()
SESSION = 3600

engine = Engine.open(os.environ.get("KEYWARD_SNAPSHOT", "keys.kwd"), keyring=os.environ.get("KEYWARD_KEYRING", "keyring.toml"),
                     state=os.environ.get("KEYWARD_STATE"))
engine.watch()
app = FastAPI(title="Interstellas", docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(KeywardMiddleware, engine=engine, realm="interstellas",
                   environment=os.environ.get("INTERSTELLAS_ENVIRONMENT", "production"))

hasher = PasswordHasher()  # argon2id
# What a sign-in of nobody is checked against, so that it takes as long as anybody's.
NOBODY = hasher.hash("nobody's password")


class Credentials(BaseModel):
    email: str
    password: str


@app.post("/auth/signin")
def signin(given: Credentials) -> dict[str, Any]:
    """Public in the realm: nobody has a token yet. Hashing takes its time, in a thread of FastAPI's pool."""
    with closing(sqlite3.connect(DATABASE)) as database:
        user = database.execute("SELECT id, password FROM users WHERE email = ?", (given.email.lower(),)).fetchone()
        try:
            hasher.verify(user[1] if user else NOBODY, given.password)
        except VerifyMismatchError:
            user = None
        if user is None:
            raise HTTPException(401, "Wrong e-mail or password")
        businesses = database.execute(
            "SELECT businesses.id, name FROM businesses JOIN members ON business = businesses.id WHERE user = ? ORDER BY 1", user[:1]
        ).fetchall()
    now = int(time.time())
    claims = {
        "iss": "https://signin.interstellas.example/", "aud": "interstellas", "sub": given.email.lower(), "iat": now,
        "exp": now + SESSION, "businesses": [business for business, _ in businesses], "scope": "keys:read",
    }
    return {
        "accessToken": jwt.encode(claims, SIGNIN_KEY, algorithm="RS256", headers={"kid": "signin-1"}),
        "expiresIn": SESSION,
        "businesses": [{"id": business, "name": name} for business, name in businesses],
    }


@app.get("/settings/keys")
def keys(request: Request) -> dict[str, Any]:
    """Token and businessId are enough here: the realm has made sure that the business is one of the token's. Which keys
    there are, not the keys: those are kept nowhere in the clear."""
    verdict: Verdict = request.scope[KEY]
    business = request.headers["businessId"]
    with closing(sqlite3.connect(DATABASE)) as database:
        found = database.execute("SELECT id, environment FROM secret_keys WHERE business = ? ORDER BY 1", (business,)).fetchall()
    return {"user": verdict.subject, "business": business, "keys": [{"id": id, "environment": where} for id, where in found]}


@app.get("/wallets")
def wallets(request: Request) -> dict[str, Any]:
    verdict: Verdict = request.scope[KEY]
    return {"user": verdict.subject, "business": verdict.tenant, "environment": verdict.environment, "wallets": []}


@app.post("/transfers")
def transfer(request: Request) -> dict[str, Any]:
    verdict: Verdict = request.scope[KEY]
    return {"business": verdict.tenant, "by": verdict.subject, "with": verdict.key_id, "status": "pending"}
