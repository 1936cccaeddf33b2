"""New generations of a large snapshot, fast: deltas on it, and whole files.

Building a million keys takes a second or more of both processors, so ten builds a second are out of reach here. A delta
is `keyward build --delta-on`, as operators run it. A whole file that differs in one key's status differs in one page, that
page's hash, two hashes of sections, and the header: so the first is built by `keyward build`, and each later one is
copied with those bytes changed, by docs/FORMAT.md, and renamed into place, as `keyward build` renames its own. Servers see
no difference.
"""

import json
import os
import struct
import subprocess
import time
from pathlib import Path

from blake3 import blake3
from harness import CLI

PAGE, HASH = 4096, 32
SECTION_TABLE, SECTION_ENTRY = 160, 64
PAGE_HASHES, INDEX = 1, 8
RECORD, STATUS = 64, 63
GENERATION, HEADER_HASH = 40, 3040
REVOKED = 3


class Deltas:
    """Owns what lies beside the snapshot at `path` from here on."""

    def __init__(self, path: Path, configuration: Path, keyring: Path, realm: str) -> None:
        self.beside, self.realm, self.generation = path.with_name(path.name + ".delta"), realm, 1
        self.changes = path.with_name("changes.jsonl")
        self.changes.write_text("")
        self.command = [CLI, "build", "--config", configuration, "--keyring", keyring, "--keys", self.changes,
                        "--delta-on", path]

    def revoke(self, id: str, key: str) -> None:
        with self.changes.open("a") as lines:
            lines.write(json.dumps({"realm": self.realm, "id": id, "key": key, "status": "revoked"}) + "\n")

    def publish(self) -> float:
        """Puts the next generation in place. Returns when it was there, by the monotonic clock."""
        subprocess.run(self.command, check=True, capture_output=True)
        self.generation += 1
        # The rename changed the file's status; what the command does after that is nobody's delay.
        return time.monotonic() - (time.time() - self.beside.stat().st_ctime)

    def size(self) -> int:
        return self.beside.stat().st_size


class WholeFiles:
    """Owns the snapshot at `path` from here on."""

    def __init__(self, path: Path, pepper: bytes, realm: str, credential: str) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        (self.generation,) = struct.unpack_from("<Q", self.data, GENERATION)
        (self.capacity,) = struct.unpack_from("<Q", self.data, 80)
        material = pepper + b"".join(struct.pack("<I", len(name)) + name for name in (realm.encode(), credential.encode()))
        self.digest_key = blake3(material, derive_key_context="keyward 2026-11-22 digest key v1").digest()
        self.entries, self.sections = {}, {}
        (sections,) = struct.unpack_from("<I", self.data, 112)
        for at in range(SECTION_TABLE, SECTION_TABLE + sections * SECTION_ENTRY, SECTION_ENTRY):
            kind, _, offset, length = struct.unpack_from("<IIQQ", self.data, at)
            self.entries[kind], self.sections[kind] = at, (offset, length)
        # Hashes stand for the pages from here on, in order.
        offset, length = self.sections[PAGE_HASHES]
        self.first_hashed = offset + -(-length // PAGE) * PAGE

    def slot(self, presented: bytes) -> int:
        """Where the record of that key starts in the file."""
        digest = blake3(presented, key=self.digest_key).digest()
        offset, length = self.sections[INDEX]
        at = offset + (int.from_bytes(digest[:8], "big") * self.capacity >> 64) * RECORD
        while at < offset + length and self.data[at:at + HASH] < digest and any(self.data[at:at + RECORD]):
            at += RECORD
        if self.data[at:at + HASH] != digest:
            raise KeyError("no such key in the snapshot")
        return at

    def revoke(self, id: str, key: str) -> None:
        at = self.slot(key.encode())
        self.data[at + STATUS] = REVOKED
        page = at - at % PAGE
        hashes, length = self.sections[PAGE_HASHES]
        place = hashes + (page - self.first_hashed) // PAGE * HASH
        self.data[place:place + HASH] = blake3(self.data[page:page + PAGE]).digest()
        index, index_length = self.sections[INDEX]
        first = hashes + (index - self.first_hashed) // PAGE * HASH
        last = first + -(-index_length // PAGE) * HASH
        for kind, part in ((INDEX, self.data[first:last]), (PAGE_HASHES, self.data[hashes:hashes + length])):
            entry = self.entries[kind] + 32
            self.data[entry:entry + HASH] = blake3(part).digest()

    def publish(self) -> float:
        """Puts the next generation in place. Returns when it was there, by the monotonic clock."""
        self.generation += 1
        struct.pack_into("<Q", self.data, GENERATION, self.generation)
        self.data[HEADER_HASH:HEADER_HASH + HASH] = blake3(self.data[:HEADER_HASH]).digest()
        fresh = self.path.with_name(f".{self.path.name}.tmp")
        fresh.unlink(missing_ok=True)
        with fresh.open("xb") as file:
            file.write(self.data)
        fresh.chmod(0o444)
        os.rename(fresh, self.path)
        return time.monotonic()

    def size(self) -> int:
        return len(self.data)
