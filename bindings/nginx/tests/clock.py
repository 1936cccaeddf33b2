"""A clock for nginx that tests set."""

from pathlib import Path

FAKETIME = next(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)


class Clock:
    """What nginx takes for the time: a file that libfaketime reads at every look at the clock.

    It stands still while the monotonic clock goes on, so that the library's clock, where two threads read it just as it is
    set, takes it for one that was set back, and goes on by the other. So nginx wants `keyward_reload off` with it: then a
    worker has one thread.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.set(1764000000)

    def set(self, now: int | float | str) -> None:
        seconds, _, fraction = str(now).partition(".")
        # Half a nanosecond more: libfaketime cuts a binary fraction, which may lie just below the decimal one.
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{seconds}.{fraction:0<9}5\n")
        fresh.rename(self.path)

    def directives(self) -> str:
        """What has workers keep that environment."""
        return "".join(f"env {name};\n" for name in self.environment())

    def environment(self) -> dict[str, str]:
        if FAKETIME is None:
            raise FileNotFoundError("libfaketime.so.1, which gives nginx its clock: scripts/setup.sh installs it")
        return {
            "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_FMT": "%s", "TZ": "UTC",
            "FAKETIME_NO_CACHE": "1",
            # Timers must go on: only what time it is stands still.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
