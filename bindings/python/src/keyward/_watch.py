"""Threads that reload engines, and what a fork does to them.

A process that is forked while a thread is in a reload has a lock that nobody gives back. So before a fork the threads
are ended and other reloads are waited for, and after it both processes start their threads again.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from types import TracebackType
from typing import TYPE_CHECKING

from keyward._errors import ClosedError, Error

if TYPE_CHECKING:
    from keyward._engine import Engine

__all__ = ["Watch", "exclusive"]

_log = logging.getLogger("keyward")

exclusive = threading.RLock()
"""Held by whoever is in a call that waits for a reload, and while the process forks."""

_registry = threading.RLock()
_watches: set[Watch] = set()


class Watch:
    """A thread that reloads an engine. See `Engine.watch`."""

    def __init__(self, engine: Engine, interval: float) -> None:
        if isinstance(interval, bool) or not isinstance(interval, int | float):
            raise TypeError(f"interval has to be seconds, not {type(interval).__name__}")
        # What a thread cannot wait for would end it, and the engine would grow old in silence.
        if not 0.01 <= interval <= threading.TIMEOUT_MAX:
            raise ValueError(f"interval has to be 0.01 to {threading.TIMEOUT_MAX:.0f} seconds, not {interval}")
        self.interval = interval
        self.error: Error | None = None
        """Why the last reload failed; `None` where it went well."""
        # Not the engine itself: whoever drops the last reference to one that is watched has it collected.
        self._engine = weakref.ref(engine)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        with _registry:
            _watches.add(self)
            self._start()

    def _start(self) -> None:
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._wake,), name="keyward-watch", daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            self._thread = None

    def stop(self) -> None:
        """Ends the thread. The engine goes on with what it has."""
        with _registry:
            _watches.discard(self)
        self._end()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def of(engine: Engine) -> list[Watch]:
        """The watches of an engine."""
        with _registry:
            return [watch for watch in _watches if watch._engine() is engine]

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(self.interval):
            if not self._look():
                break
        # Where there is no engine any more, nobody is to start it again after a fork. Without the lock, which whoever
        # forks holds while waiting for this thread.
        if self._engine() is None:
            _watches.discard(self)

    def _look(self) -> bool:
        engine = self._engine()
        if engine is None:
            return False
        try:
            changed = engine.reload()
        except ClosedError:
            return False
        except Error as error:
            if self.error is None or str(self.error) != str(error):
                _log.warning("the last good generation goes on: %s", error)
            self.error = error
        else:
            self.error = None
            if changed:
                _log.info("generation %d took over", engine.info().generation)
        return True


def _before_fork() -> None:
    _registry.acquire()
    for watch in list(_watches):
        watch._end()
    exclusive.acquire()


def _after_fork() -> None:
    exclusive.release()
    for watch in list(_watches):
        if watch._thread is None:
            watch._start()
    _registry.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


@atexit.register
def _stop_all() -> None:
    with _registry:
        watches = list(_watches)
    for watch in watches:
        watch.stop()
