"""Builds snapshots with the command `keyward` and reads them with the reader that FORMAT.md was enough for."""

import hashlib
import json
import random
import subprocess
import tempfile
import tomllib
import unittest
from ipaddress import ip_network
from pathlib import Path

import reader
import xxhash

ROOT = Path(__file__).resolve().parent.parent


def keyward(*arguments):
    command = ["cargo", "run", "--quiet", "--locked", "--package", "keyward-cli", "--", *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def random_keys(count):
    """So many keys that some records are pushed from their homes."""
    source = random.Random(20261122)
    for at in range(count):
        record = {"realm": "many", "id": f"key-{at}", "key": f"k_{source.randbytes(16).hex()}",
                  "scopes": source.sample(["a", "b", "c", "d"], at % 4),
                  "status": source.choice(["active", "suspended", "revoked", "pending"])}
        if at % 3:
            record["tenant"] = f"tenant-{source.randrange(100)}-ü"
        if at % 5 == 0:
            record["allow_ips"] = source.sample(
                ["203.0.113.0/24", "203.0.114.0/23", "2001:db8::/32", "198.51.100.7", "::1", "10.0.0.0/8", "10.128.0.0/9"], 1 + at % 6)
        if at % 7 == 0:
            record["not_before"], record["expires_at"] = at, 2**40 - 2 - at
        yield record


MANY = """
[realm.many]
[realm.many.credential.key]
kind = "key"
source = "header:X-Key"
digests = ["blake3", "sha256"]
[realm.none]
[realm.none.credential.key]
kind = "key"
source = "bearer"
"""


TOKENS = """
[realm.many.credential.token]
kind = "token"
source = "bearer"
issuer = "many"
audience = "many"
"""


def presented(record):
    if "basic" in record:
        return f"{record['basic']['id']}:{record['basic']['secret']}".encode()
    return record["key"].encode()


def ranges(allow_ips):
    """The addresses of a record's list as single numbers' ranges, joined."""
    joined = []
    for network in sorted(map(ip_network, allow_ips), key=lambda n: (n.version, int(n.network_address))):
        first, last = int(network.network_address), int(network.broadcast_address)
        if joined and joined[-1][0] == network.version and first <= joined[-1][2] + 1:
            joined[-1] = network.version, joined[-1][1], max(last, joined[-1][2])
        else:
            joined.append((network.version, first, last))
    return joined or None


class Reader(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.folder = Path(folder)
        cls.keyring = cls.folder / "keyring.toml"
        keyward("keyring", "new", "-o", cls.keyring)
        cls.pepper = bytes.fromhex(tomllib.loads(cls.keyring.read_text())["pepper"][-1]["key"])

    def build(self, configuration, keys):
        """The snapshot of these keys, and its bytes."""
        output = self.folder / f"{self.id()}.kwd"
        keyward("build", "--config", configuration, "--keyring", self.keyring, "--keys", keys, "-o", output)
        return reader.Snapshot(output.read_bytes())

    def build_delta(self, configuration, changes, base):
        """The delta of these changes on what [`build`] built last."""
        output = self.folder / f"{self.id()}.kwd"
        keyward("build", "--config", configuration, "--keyring", self.keyring, "--keys", changes, "--delta-on", output)
        delta = reader.Snapshot(output.with_name(output.name + ".delta").read_bytes())
        return delta, reader.Layers(base, delta)

    def check(self, snapshot, records):
        """Every key is found and says what its line says; nothing else is."""
        self.assertEqual(snapshot.records, len(records))
        self.assertEqual([check for _, _, check in snapshot.peppers], [reader.pepper_check(self.pepper)])
        slots = set()
        for record in records:
            realm, credential = self.credential(snapshot, record)
            hashed = bytes.fromhex(record["digest"]["hex"]) if "digest" in record else presented(record)
            if "digest" not in record and self.rules(credential)["sha256"]:
                hashed = hashlib.sha256(hashed).digest()
            found = snapshot.find_presented(self.pepper, realm["name"], credential["name"], hashed)
            self.assertIsNotNone(found, record["id"])
            expected = {
                "realm": record["realm"], "credential": credential["name"], "id": record["id"],
                "tenant": record.get("tenant"), "scopes": sorted(set(record.get("scopes", []))),
                "addresses": ranges(record.get("allow_ips", [])),
                "not_before": record.get("not_before", 0), "expires_at": record.get("expires_at", reader.NEVER),
                "rate_limit": record.get("rate_limit", realm["default_rate_limit"]),
                "environment": record.get("environment"), "status": record.get("status", "active"),
                "id_tag": xxhash.xxh3_64_intdigest(f"{record['realm']}\0{record['id']}".encode()) >> 16,
            }
            self.assertEqual(expected, {name: found[name] for name in expected})
            slots.add(found["slot"])
            for wrong in (hashed + b"x", hashed[:-1], b"", hashed.swapcase() + b"0"):
                self.assertIsNone(snapshot.find_presented(self.pepper, realm["name"], credential["name"], wrong))
            self.assertIsNone(snapshot.find_presented(bytes(32), realm["name"], credential["name"], hashed))
            self.assertIsNone(snapshot.find_presented(self.pepper, realm["name"] + "x", credential["name"], hashed))
            by_id = snapshot.find_id(record["realm"], record["id"])
            has_tokens = any("token" in known["kind"] for known in realm["credentials"])
            self.assertEqual(by_id, found if has_tokens else None)
            self.assertIsNone(snapshot.find_id(record["realm"], record["id"] + "x"))
        if isinstance(snapshot, reader.Snapshot):
            self.check_order(snapshot, slots)

    def check_order(self, snapshot, slots):
        """Records ascend, each in the first free slot at or after its home; no other slot is taken."""
        previous, free, longest, ids = b"", 0, 0, ""
        for slot in range(snapshot.slots):
            record = snapshot.record(slot)
            self.assertEqual(record is not None, slot in slots)
            start, length = snapshot.id_place(slot)
            self.assertEqual((start, length), (len(ids.encode()), len(record["id"].encode()) if record else 0))
            if record:
                place = reader.home(record["digest"][:8], snapshot.capacity)
                self.assertEqual(slot, max(place, free))
                self.assertLess(previous, record["digest"])
                previous, free, longest = record["digest"], slot + 1, max(longest, slot - place)
                ids += record["id"]
        self.assertEqual((longest, ids.encode()), (snapshot.displacement, snapshot.ids))

    @staticmethod
    def rules(credential):
        return {} if credential["kind"] == "tenant" else next(iter(credential["kind"].values()))

    def credential(self, snapshot, record):
        realm = next(realm for realm in snapshot.realms if realm["name"] == record["realm"])
        form = "basic" if "basic" in record else "key"
        fits = [c for c in realm["credentials"] if c["name"] == record.get("credential", c["name"])
                and c["kind"] != "tenant" and form in c["kind"]]
        self.assertEqual(len(fits), 1, record["id"])
        return realm, fits[0]

    def test_profiles(self):
        profiles = sorted(ROOT.glob("profiles/*/keyward.toml"))
        self.assertEqual(len(profiles), 5)
        for profile in profiles:
            with self.subTest(profile.parent.name):
                keys = profile.with_name("keys.jsonl")
                records = [json.loads(line) for line in keys.read_text().splitlines()]
                self.check(self.build(profile, keys), records)

    def test_many_keys(self):
        configuration, keys = self.folder / "many.toml", self.folder / "many.jsonl"
        configuration.write_text(MANY)
        records = list(random_keys(3000))
        for record in records[::10]:
            digest = hashlib.sha256(record.pop("key").encode()).hexdigest()
            record["digest"] = {"alg": "sha256", "hex": digest}
        keys.write_text("".join(json.dumps(record) + "\n" for record in records))
        snapshot = self.build(configuration, keys)
        self.check(snapshot, records)
        self.assertGreater(snapshot.displacement, 2)
        by_id = {record["id"]: record for record in map(snapshot.record, range(snapshot.slots)) if record}
        self.assertEqual(snapshot.allows(by_id["key-0"], "192.0.2.1"), "allow_ips" not in records[0])
        everything = {"203.0.113.255": 0, "203.0.115.255": 0, "2001:db8:ffff::1": 0, "10.200.0.1": 0, "192.0.2.1": 0}
        for record in records:
            networks = list(map(ip_network, record.get("allow_ips", [])))
            for address in everything:
                expected = not networks or any(reader.ip_address(address) in network for network in networks)
                self.assertEqual(snapshot.allows(by_id[record["id"]], address), expected)

    def test_deltas(self):
        """Of every key something is done: nothing, another status, another secret, removed, added."""
        realm = MANY.replace("[realm.many]\n", '[realm.many]\ndefault_require = ["key"]\n')
        realm = realm.replace("[realm.none]", TOKENS + "[realm.none]")
        configuration, keys, changes = (self.folder / name for name in ("delta.toml", "delta.jsonl", "changes.jsonl"))
        configuration.write_text(realm)
        before = list(random_keys(600))
        keys.write_text("".join(json.dumps(record) + "\n" for record in before))
        base = self.build(configuration, keys)
        now, changed = [], []
        for at, record in enumerate(before):
            gone = {**record, "status": "removed"}
            new = {**record, "status": "revoked" if at % 2 else "active", "tenant": f"later-{at % 7}", "scopes": ["z", "a"][:at % 3]}
            if at % 10 == 3:
                changed.append(new)
            elif at % 10 == 4:
                new["key"] = record["key"] + "0"
                changed += [new, gone]
            elif at % 10 == 5:
                changed.append(gone)
                continue
            elif at % 10 == 6:
                added = {**new, "id": f"added-{at}", "key": record["key"] + "1"}
                changed.append(added)
                now.append(added)
                new = record
            else:
                new = record
            now.append(new)
        for shuffled in range(2):
            random.Random(shuffled).shuffle(changed)
            changes.write_text("".join(json.dumps(record) + "\n" for record in changed))
            delta, layers = self.build_delta(configuration, changes, base)
            self.assertEqual((delta.generation, delta.base_generation), (shuffled + 2, 1))
            self.check(layers, now)
            for record in before:
                if record["id"] not in {known["id"] for known in now}:
                    hashed = hashlib.sha256(presented(record)).digest()
                    self.assertIsNone(layers.find_presented(self.pepper, "many", "key", hashed))
                    self.assertIsNone(layers.find_id("many", record["id"]))
            slots = {slot for slot in range(delta.slots) if delta.record(slot)}
            self.assertEqual(len(slots), delta.records)
            self.assertEqual(sum(delta.record(slot)["status"] == "removed" for slot in slots), 120)
        self.refuse_damage(delta.data)
        with self.assertRaises(reader.Refused):
            reader.Layers(delta, delta)
        with self.assertRaises(reader.Refused):
            reader.Layers(self.build(configuration, keys), delta)

    def test_no_keys(self):
        configuration, keys = self.folder / "none.toml", self.folder / "none.jsonl"
        configuration.write_text(MANY)
        keys.write_text("")
        snapshot = self.build(configuration, keys)
        self.assertEqual((snapshot.records, snapshot.slots, snapshot.id_index), (0, 0, []))
        self.assertIsNone(snapshot.find_presented(self.pepper, "many", "key", b"anything"))

    def test_damage(self):
        profile = ROOT / "profiles/aver/keyward.toml"
        good = self.build(profile, profile.with_name("keys.jsonl")).data
        self.refuse_damage(good)

    def refuse_damage(self, good):
        source = random.Random(7)
        signatures = range(3080, 3080 + 96 * int.from_bytes(good[3072:3076], "little"))
        for at in [*range(0, 200), 3039, 3040, 3072, 4095, *source.sample(range(len(good)), 500), len(good) - 1]:
            if at in signatures:
                continue  # those are for readers that were given public keys
            bad = bytearray(good)
            bad[at] ^= 1 << source.randrange(8)
            with self.assertRaises(reader.Refused):
                reader.Snapshot(bytes(bad))
        for length in (0, 7, 8, 4095, 4096, len(good) - 1, len(good) - 4096):
            with self.assertRaises(reader.Refused):
                reader.Snapshot(good[:length])
        with self.assertRaises(reader.Refused):
            reader.Snapshot(good + bytes(4096))


if __name__ == "__main__":
    unittest.main()
