"""An engine: opening it, keeping it fresh, asking it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar

from keyward._errors import ClosedError
from keyward._library import bytes_of, check, ffi, lib, path_of, text_of
from keyward._native import Handle, Verdict
from keyward._request import Request
from keyward._watch import Watch, exclusive

__all__ = ["Answer", "CredentialHeader", "Engine", "Info"]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
E = TypeVar("E", bound="Engine")

_MODES = {"map": lib.KEYWARD_MODE_MAP, "copy": lib.KEYWARD_MODE_COPY}
_CHECKS = {"fast": lib.KEYWARD_CHECK_FAST, "whole": lib.KEYWARD_CHECK_WHOLE}


class Answer(NamedTuple):
    """What the client is told of a verdict. Text is Latin-1, byte for byte what goes over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """The headers to send, but for the body's: `WWW-Authenticate`, of which there may be several, `Retry-After`."""
    content_type: str | None
    body: bytes | None
    """`None`: there is none, and it is the server's to answer."""


class CredentialHeader(NamedTuple):
    """A header that carries credentials of a realm."""

    name: str
    secret_user: bool
    """Whether a key may stand in it as the user of the Basic scheme, which servers write to their logs otherwise."""


class Info(NamedTuple):
    """What an engine decides from, and how its last reload went. 0 is not known, or none."""

    loaded: bool
    """There is a snapshot to decide from."""
    mapped: bool
    """Its memory is the file's own, shared with other processes."""
    checked: bool
    """All its pages have been checked."""
    damaged: bool
    """A page was found damaged, so that every verdict is `unavailable`."""
    state_shared: bool
    """Limits and usage are counted in memory that processes share."""
    state_failed: bool
    """The state file cannot be used, so that they are counted by this process alone."""
    generation: int
    base_generation: int
    created_ns: int
    """When the generation was made, as `time.time_ns()` has it."""
    since_ns: int
    """When it took over here."""
    age: int
    """How many seconds ago it was made."""
    max_age: int
    """The age past which it is no longer used."""
    keys: int
    realms: int
    bytes: int
    retired: int
    """Generations that are not in use any more and are still held by somebody."""
    limiter_slots: int
    limiter_displaced: int
    """Keys whose rate was forgotten because the limiter had no room. If it grows, it has too few slots."""
    state_created: int
    """When the shared state was made, in seconds."""
    state_displaced: int
    last_error: str
    """The last reload or check that failed, until one succeeds; empty where none did."""
    last_error_at_ns: int


class Engine(Handle):
    """Verifies API keys from a snapshot. Any thread may ask it anything at any time, and so may processes that were
    forked from the one that opened it.

        with Engine.open("keys.kwd", keyring="keyring.toml") as engine:
            if engine.verify_key("billoget", "bk_live_1234567890abcdef"):
                ...
    """

    def __init__(self) -> None:
        raise TypeError("an engine is made with Engine.open() or Engine.open_bytes()")

    @classmethod
    def open(
        cls: type[E],
        path: Path,
        *,
        keyring: Path,
        mode: Literal["map", "copy"] = "map",
        check: Literal["fast", "whole"] = "fast",
        state: Path | None = None,
        state_slots: int = 0,
        limiter_slots: int = 0,
        later: bool = False,
        going_back: bool = False,
        inherited: bool = False,
    ) -> E:
        """Opens the snapshot in a file.

        path           the snapshot; reload() looks there again
        keyring        the keyring, which nobody but its owner may have access to
        mode           "map": the file's own memory, shared by all processes; "copy": private memory
        check          "fast": pages of a large file are checked when they are first read; "whole": all at once
        state          a file in which limits and the use of keys are counted together with all other processes that
                       name it; made where it is not there
        state_slots    keys that a new state has room for: twice as many as are active at one time; 0: 65,536
        limiter_slots  the same for limits that are counted without a state; 0: 131,072
        later          a snapshot that is missing or bad does not keep the engine from opening: every verdict is
                       `unavailable` until a reload finds a good one
        going_back     a reload may go back to an older generation
        inherited      without a state, limits are counted together with the processes that are forked from this one
        """
        options = _options(mode, check, state, state_slots, limiter_slots, later, going_back, inherited)
        snapshot, kept = bytes_of(path_of(path, "path"))
        return cls._opened(lib.keyward_open, snapshot, keyring, options, kept)

    @classmethod
    def open_bytes(
        cls: type[E],
        snapshot: bytes,
        *,
        keyring: Path,
        state: Path | None = None,
        state_slots: int = 0,
        limiter_slots: int = 0,
        going_back: bool = False,
        inherited: bool = False,
    ) -> E:
        """Opens a snapshot in memory, which is copied. The parameters are those of open()."""
        options = _options("map", "fast", state, state_slots, limiter_slots, False, going_back, inherited)
        data, kept = bytes_of(_snapshot(snapshot))
        return cls._opened(lib.keyward_open_bytes, data, keyring, options, kept)

    @classmethod
    def _opened(cls: type[E], call: Any, snapshot: Any, keyring: Path, options: tuple[Any, Any], kept: Any) -> E:
        where, kept_too = bytes_of(path_of(keyring, "keyring"))
        engine, error = ffi.new("keyward_engine **"), ffi.new("keyward_error *")
        status = call(snapshot[0], where[0], options[0], ffi.sizeof(options[0][0]), engine, error, ffi.sizeof(error[0]))
        check(status, error)
        self = cls.__new__(cls)
        self._adopt(int(ffi.cast("uintptr_t", engine[0])))
        return self

    def close(self) -> None:
        """Gives the engine up, after which nothing is verified any more. Calls that are under way are finished."""
        for watch in Watch.of(self):
            watch.stop()
        lib.keyward_release(ffi.cast("keyward_engine *", self._give_up()))

    def __enter__(self: E) -> E:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    def __reduce__(self) -> str:
        raise TypeError("an engine cannot be pickled: open it in each process, or before the fork")

    @contextmanager
    def _held(self) -> Iterator[Any]:
        """The handle, which stays good until the end, whoever closes the engine meanwhile."""
        handle = ffi.cast("keyward_engine *", self._retained())
        try:
            yield handle
        finally:
            lib.keyward_release(handle)

    def answer(self, verdict: Verdict) -> Answer:
        """What the client is told of a verdict, in the words that the realm has now."""
        return Answer(*self._answer(verdict))

    def issue_token(
        self,
        request: Request,
        *,
        credential: str | None = None,
        kid: str | None = None,
        subject: str | None = None,
    ) -> tuple[Verdict, str | None]:
        """Decides a request, and where it is allowed with a key, issues a token that is bound to that key.

        credential  the realm's token credential whose rules hold; left out: its only one
        kid         the id of the key of the keyring that signs; left out: the last one that can
        subject     whom it is about; left out: the id of the key that passed

        The token is `None` where the request was refused, or let in without a key. Signing takes a millisecond with
        an RSA key, and nothing else runs meanwhile: in an event loop, prefer another algorithm.
        """
        return self._issue_token(request, credential, kid, subject)

    def reload(self) -> bool:
        """Takes the newest snapshot from the file, if it has changed. Whether it has.

        Verifying goes on meanwhile, also in other threads. Where the file is not good, the last good generation
        stays, and an exception says why.
        """
        changed, error = ffi.new("uint32_t *"), ffi.new("keyward_error *")
        with self._held() as handle, exclusive:
            status = lib.keyward_reload(handle, changed, error, ffi.sizeof(error[0]))
        check(status, error)
        return bool(changed[0])

    def replace_bytes(self, snapshot: bytes) -> bool:
        """Takes the snapshot in `snapshot`, which is copied. Whether it was a new one. From then on there is no file
        to reload from."""
        data, _kept = bytes_of(_snapshot(snapshot))
        changed, error = ffi.new("uint32_t *"), ffi.new("keyward_error *")
        with self._held() as handle, exclusive:
            status = lib.keyward_replace_bytes(handle, data[0], changed, error, ffi.sizeof(error[0]))
        check(status, error)
        return bool(changed[0])

    def check_pages(self) -> None:
        """Checks every page that was not checked yet. Raises SnapshotError where one is damaged."""
        error = ffi.new("keyward_error *")
        with self._held() as handle, exclusive:
            status = lib.keyward_check_pages(handle, error, ffi.sizeof(error[0]))
        check(status, error)

    def watch(self, interval: float = 0.1) -> Watch:
        """Reloads every `interval` seconds in a thread of its own, until the engine is closed or gone, or stop() is
        called on what is returned.

        A file that is not good is told to the logger `keyward`, once. After a fork, both processes watch.
        """
        if self.closed:
            raise ClosedError("the engine is closed")
        return Watch(self, interval)

    def info(self) -> Info:
        """What it decides from. It waits for a reload that is under way."""
        info = ffi.new("keyward_engine_info *")
        with self._held() as handle, exclusive:
            check(lib.keyward_info(handle, info, ffi.sizeof(info[0])))
        flags = info.flags
        return Info(
            bool(flags & lib.KEYWARD_INFO_LOADED),
            bool(flags & lib.KEYWARD_INFO_MAPPED),
            bool(flags & lib.KEYWARD_INFO_CHECKED),
            bool(flags & lib.KEYWARD_INFO_DAMAGED),
            bool(flags & lib.KEYWARD_INFO_STATE_SHARED),
            bool(flags & lib.KEYWARD_INFO_STATE_FAILED),
            info.generation,
            info.base_generation,
            info.created,
            info.since,
            info.age,
            info.max_age,
            info.keys,
            info.realms,
            info.bytes,
            info.retired,
            info.limiter_slots,
            info.limiter_displaced,
            info.state_created,
            info.state_displaced,
            str(ffi.buffer(info.last_error_message, info.last_error_message_len), "utf-8", "replace"),
            info.last_error_at,
        )

    def counts(self) -> dict[str, int]:
        """How many requests were decided with each reason: by this engine, or where there is a state, by all
        processes since it was made."""
        room = 64
        counts = ffi.new("uint64_t[]", room)
        with self._held() as handle:
            check(lib.keyward_counts(handle, counts, room))
        names = {number: str(ffi.string(lib.keyward_reason_name(number)), "ascii") for number in range(1, room)}
        return {name: counts[number] for number, name in names.items() if name != "unknown"}

    def check_realm(self, realm: str, environment: str | None = None) -> None:
        """Raises ArgumentError where the snapshot lacks the realm, or the realm that environment."""
        text, _kept = bytes_of(text_of(realm, "realm"))
        # What cannot be a name is told before the snapshot is asked.
        name = None if environment is None else bytes_of(text_of(environment, "environment"))
        with self._held() as handle:
            check(lib.keyward_check_realm(handle, text[0]))
            if name is not None:
                check(lib.keyward_check_environment(handle, text[0], name[0][0]))

    def credential_headers(self, realm: str) -> list[CredentialHeader]:
        """The headers that carry credentials of a realm, for a server that does not pass them on."""
        text, _kept = bytes_of(text_of(realm, "realm"))
        room = 1024
        name, flags, found = ffi.new("char[]", room), ffi.new("uint32_t *"), list[CredentialHeader]()
        with self._held() as handle:
            while True:
                status = lib.keyward_credential_header(handle, text[0], len(found), flags, name, room, ffi.NULL)
                if status == lib.KEYWARD_E_END:
                    return found
                check(status)
                secret_user = bool(flags[0] & lib.KEYWARD_HEADER_SECRET_USER)
                found.append(CredentialHeader(str(ffi.string(name), "ascii"), secret_user))


def _snapshot(snapshot: bytes) -> bytes:
    if not isinstance(snapshot, bytes | bytearray | memoryview):
        raise TypeError(f"snapshot has to be bytes, not {type(snapshot).__name__}; Engine.open() takes a path")
    return snapshot


def _options(
    mode: str,
    check: str,
    state: Path | None,
    state_slots: int,
    limiter_slots: int,
    later: bool,
    going_back: bool,
    inherited: bool,
) -> tuple[Any, Any]:
    """A `keyward_options`, and what has to live as long as it."""
    if mode not in _MODES or check not in _CHECKS:
        raise ValueError(f"mode is 'map' or 'copy', and check 'fast' or 'whole': not {mode!r} and {check!r}")
    options = ffi.new("keyward_options *")
    options.mode, options.check = _MODES[mode], _CHECKS[check]
    options.flags = (
        lib.KEYWARD_OPEN_LATER * _flag(later)
        + lib.KEYWARD_GOING_BACK * _flag(going_back)
        + lib.KEYWARD_STATE_INHERITED * _flag(inherited)
    )
    options.state_slots = _slots(state_slots, "state_slots")
    options.limiter_slots = _slots(limiter_slots, "limiter_slots")
    if state is None:
        return options, None
    text, kept = bytes_of(path_of(state, "state"))
    options.state_path = text[0]
    return options, kept


def _flag(value: bool) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"later, going_back and inherited are bool, not {type(value).__name__}")
    return value


def _slots(count: int, what: str) -> int:
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{what} has to be int, not {type(count).__name__}")
    if not 0 <= count < 1 << 64:
        raise ValueError(f"{what} has to be a number of keys, not {count}")
    return count
