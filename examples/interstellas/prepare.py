"""What the sign-in needs: its key pair, of which keyward gets the public half, and a database with a user.

    python prepare.py KEYRING KEYS        makes signin.pem and users.db, and adds to the keyring
"""

import json
import os
import sqlite3
import sys
from pathlib import Path

from argon2 import PasswordHasher
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
BUSINESSES = {"business-north": "North", "business-south": "South"}


def make_signin_key(path: Path) -> str:
    """Writes the private key where only its owner reads it, and gives the public one."""
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private)
    public = pair.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def make_database(path: Path, keys: Path) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.executescript("""
            CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL, password TEXT NOT NULL);
            CREATE TABLE businesses (id TEXT PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE members (user INTEGER REFERENCES users, business TEXT REFERENCES businesses);
            CREATE TABLE secret_keys (id TEXT PRIMARY KEY, business TEXT NOT NULL, environment TEXT NOT NULL);
        """)
        # The hash says how it was made: $argon2id$v=19$m=…
        database.execute("INSERT INTO users VALUES (1, ?, ?)", (EMAIL, PasswordHasher().hash(PASSWORD)))
        database.executemany("INSERT INTO businesses VALUES (?, ?)", BUSINESSES.items())
        database.executemany("INSERT INTO members VALUES (1, ?)", ((business,) for business in BUSINESSES))
        records = [json.loads(line) for line in keys.read_text().splitlines()]
        database.executemany("INSERT INTO secret_keys VALUES (?, ?, ?)",
                             ((record["id"], record["tenant"], record["environment"]) for record in records))


def main(keyring: Path, keys: Path) -> None:
    public = make_signin_key(Path("signin.pem"))
    with keyring.open("a") as file:
        file.write(f'\n[[token_key]]\nrealm = "interstellas"\nkid = "signin-1"\nalg = "RS256"\npublic_key = """\n{public}"""\n')
    make_database(Path("users.db"), keys)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
