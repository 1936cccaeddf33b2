"""A second reader of snapshots, written from docs/FORMAT.md alone: it shares nothing with src/."""

import json
import struct
from ipaddress import ip_address

from blake3 import blake3

PAGE = 4096
MAGIC = b"KEYWARD\0"
NEVER = 2**40 - 1
SIGNED = 1
NAMES = ["page hashes", "realms", "peppers", "scope names", "tenants", "scope sets", "address sets",
         "index", "id places", "ids", "id index"]
STATUSES = {1: "active", 2: "suspended", 3: "revoked", 4: "pending"}
REMOVED = 5
DELTA = 2
NEEDS_DELTA = 4


class Refused(Exception):
    """The bytes are not a snapshot that this reader takes."""


def expect(condition, what):
    if not condition:
        raise Refused(what)


def number(data):
    return int.from_bytes(data, "little")


def home(eight_bytes, capacity):
    return int.from_bytes(eight_bytes, "big") * capacity >> 64


class Finder:
    def find_presented(self, pepper, realm, credential, presented):
        """Looks up what a client sent, hashed first where the credential's keys may be SHA-256 digests."""
        parts = [part for name in (realm, credential) for part in (struct.pack("<I", len(name.encode())), name.encode())]
        key = blake3(pepper + b"".join(parts), derive_key_context="keyward 2026-11-22 digest key v1").digest()
        return self.find(blake3(presented, key=key).digest())


class Snapshot(Finder):
    def __init__(self, data):
        self.data = data
        expect(data[:8] == MAGIC, "magic")
        (major, self.minor, suite, self.compatible, incompatible, length, self.generation, self.base_generation,
         self.created, self.max_age, self.records, self.capacity, self.displacement, self.id_capacity,
         self.id_displacement, sections) = struct.unpack_from("<HHI12QI", data, 8) if len(data) >= PAGE else [0] * 16
        expect(major == 1, "major version")
        expect(incompatible & ~(SIGNED | DELTA | NEEDS_DELTA) == 0, "incompatible features")
        expect(blake3(data[:3040]).digest() == data[3040:3072], "hash of the header")
        expect(suite == 1 and self.generation >= 1, "digest suite or generation")
        self.hash, self.base_hash, self.keys = data[3040:3072], data[120:152], number(data[152:160])
        self.is_delta = incompatible & DELTA != 0
        self.needs_delta = incompatible & NEEDS_DELTA != 0
        expect(not (self.is_delta and self.needs_delta), "a delta that needs another")
        if self.is_delta:
            expect(0 < self.base_generation < self.generation, "base generation")
        else:
            expect(self.base_generation == 0 and not any(data[120:160]), "a base of a full snapshot")
            self.keys = self.records
        expect(length == len(data), "length of the file")
        expect(sections <= 44 and max(self.displacement, self.id_displacement) <= 4096, "limits")
        reserved = data[116:120], data[160 + 64 * sections:3040]
        expect(not any(map(any, reserved)), "reserved bytes of the header")
        self.read_signatures(incompatible & SIGNED != 0)
        self.read_sections([struct.unpack_from("<II3Q32s", data, 160 + 64 * i) for i in range(sections)])
        self.read_contents()

    def read_signatures(self, signed):
        count, reserved = struct.unpack_from("<II", self.data, 3072)
        end = 3080 + 96 * count
        expect(count <= 10 and (count > 0) == signed, "number of signatures")
        expect(reserved == 0 and not any(self.data[end:PAGE]), "reserved bytes behind the signatures")
        # Of whom there is one; whether it is good is for who knows the keys.
        self.signed_by = [self.data[at:at + 32] for at in range(3080, end, 96)]
        expect(all(a < b for a, b in zip(self.signed_by, self.signed_by[1:])), "order of signatures")

    def read_sections(self, entries):
        end, kinds, hashes = PAGE, [], b""
        self.sections = {}
        for kind, reserved, offset, length, items, digest in entries:
            expect(reserved == 0 and offset == end, "place of a section")
            end = offset + -(-length // PAGE) * PAGE
            part, padding = self.data[offset:offset + length], self.data[offset + length:end]
            expect(len(part) == length and not any(padding), "padding of a section")
            if kind == 1:
                own = hashes = part
            else:
                pages = [self.data[at:at + PAGE] for at in range(offset, end, PAGE)]
                own, hashes = hashes[:32 * len(pages)], hashes[32 * len(pages):]
                expect(own == b"".join(blake3(page).digest() for page in pages), "hash of a page")
            expect(blake3(own).digest() == digest, "hash of a section")
            kinds.append(kind)
            self.sections[kind] = part, items
        expect(kinds == sorted(set(kinds)) and kinds[:11] == list(range(1, 12)), "kinds of sections")
        expect(end == len(self.data) and hashes == b"", "end of the file")

    def section(self, name):
        return self.sections[NAMES.index(name) + 1]

    def read_contents(self):
        text, items = self.section("realms")
        self.realms = json.loads(text)["realms"]
        expect(items == len(self.realms), "number of realms")
        expect([r["name"] for r in self.realms] == sorted(r["name"] for r in self.realms), "order of realms")
        self.credentials = [(realm, credential) for realm in self.realms for credential in realm["credentials"]]
        data, items = self.section("peppers")
        expect(len(data) == 40 * items, "peppers")
        self.peppers = [struct.unpack_from("<II32s", data, 40 * i) for i in range(items)]
        self.scope_names = [item.decode() for item in self.table("scope names", 1)]
        self.tenants = [item.decode() for item in self.table("tenants", 1)]
        self.scope_sets = [[self.scope_names[i] for i, in struct.iter_unpack("<I", item)]
                           for item in self.table("scope sets", 4)]
        self.address_sets = [self.ranges(item) for item in self.table("address sets", 8)]
        self.index, self.slots = self.section("index")
        expect(len(self.index) == 64 * self.slots and self.slots >= self.capacity, "index")
        self.id_places, groups = self.section("id places")
        expect(len(self.id_places) == 24 * groups and groups == -(-self.slots // 16), "id places")
        self.ids = self.section("ids")[0]
        self.id_index = [i for i, in struct.iter_unpack("<I", self.section("id index")[0])]

    def table(self, name, unit):
        data, items = self.section(name)
        if items == 0:
            expect(data == b"", "empty table")
            return []
        start = -(-4 * (items + 1) // unit) * unit
        bounds = [start + unit * bound for bound in struct.unpack_from(f"<{items + 1}I", data)]
        found = [data[first:last] for first, last in zip(bounds, bounds[1:])]
        expect(bounds[0] == start and bounds[-1] == len(data), f"bounds of {name}")
        expect(all(a < b for a, b in zip(found, found[1:])), f"order of {name}")
        return found

    @staticmethod
    def ranges(item):
        n4, n6 = struct.unpack_from("<II", item)
        expect(len(item) == 8 + 8 * n4 + 32 * n6, "length of an address set")
        numbers = [number(item[at:at + 4]) for at in range(8, 8 + 8 * n4, 4)]
        numbers += [number(item[at:at + 16]) for at in range(8 + 8 * n4, len(item), 16)]
        versions = [4] * n4 + [6] * n6
        return list(zip(versions, numbers[::2], numbers[1::2]))

    def record(self, slot):
        """The record in that slot; None where it is free. That of a key that is gone says no more than that."""
        data = self.index[64 * slot:64 * slot + 64]
        if not any(data):
            return None
        start, length = self.id_place(slot)
        if self.is_delta and data[63] == REMOVED:
            expect(not any(data[32:63]) and length == 0, "record of a removed key")
            return {"digest": data[:32], "slot": slot, "status": "removed"}
        expect(length > 0, "length of an id")
        realm, credential = self.credentials[number(data[60:62])]
        pick = lambda one_more, items: items[one_more - 1] if one_more else None
        return {
            "digest": data[:32], "slot": slot, "realm": realm["name"], "credential": credential["name"],
            "id": self.ids[start:start + length].decode(), "id_tag": number(data[32:38]),
            "tenant": pick(number(data[38:42]), self.tenants),
            "scopes": pick(number(data[42:45]), self.scope_sets) or [],
            "addresses": pick(number(data[45:48]), self.address_sets),
            "not_before": number(data[48:53]), "expires_at": number(data[53:58]),
            "rate_limit": pick(number(data[58:60]), [rate["name"] for rate in realm["rate_limits"]]),
            "environment": pick(data[62], realm["environments"]), "status": STATUSES[data[63]],
        }

    def id_place(self, slot):
        """Where the id of that slot's record starts in the ids, or would, and its length."""
        group = self.id_places[24 * (slot // 16):24 * (slot // 16) + 24]
        return number(group[:8]) + sum(group[8:8 + slot % 16]), group[8 + slot % 16]

    def find(self, digest):
        start = home(digest[:8], self.capacity)
        for slot in range(start, min(start + self.displacement + 1, self.slots)):
            found = self.index[64 * slot:64 * slot + 32]
            if not any(self.index[64 * slot:64 * slot + 64]) or found > digest:
                return None
            if found == digest:
                return self.record(slot)
        return None

    def find_id(self, realm, key_id):
        number_of_realm = [known["name"] for known in self.realms].index(realm)
        start = home(blake3(struct.pack("<I", number_of_realm) + key_id.encode()).digest()[:8], self.id_capacity)
        for entry in self.id_index[start:start + self.id_displacement + 1]:
            if entry == 0:
                return None
            record = self.record(entry - 1)
            if (record["realm"], record["id"]) == (realm, key_id):
                return record
        return None

    @staticmethod
    def allows(record, address):
        address = ip_address(address)
        return record["addresses"] is None or any(
            version == address.version and first <= int(address) <= last for version, first, last in record["addresses"])


class Layers(Finder):
    """A full snapshot with a delta over it."""

    def __init__(self, base, delta):
        expect(delta.is_delta and not base.is_delta, "a delta on a full snapshot")
        expect((delta.base_generation, delta.base_hash) == (base.generation, base.hash), "another base")
        for name in ("realms", "peppers"):
            expect(base.section(name) == delta.section(name), f"other {name}")
        self.base, self.delta = base, delta
        self.realms, self.peppers, self.records = base.realms, base.peppers, delta.keys

    def find(self, digest):
        found = self.delta.find(digest)
        if found is None:
            return self.base.find(digest)
        return None if found["status"] == "removed" else found

    def find_id(self, realm, key_id):
        found = self.delta.find_id(realm, key_id)
        if found is None:
            found = self.base.find_id(realm, key_id)
            if found and self.delta.find(found["digest"]):
                return None
        return found


def pepper_check(pepper):
    return blake3(pepper, derive_key_context="keyward 2026-11-22 pepper check v1").digest()
