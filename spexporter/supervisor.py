"""What systemd, or whatever else started us with `NOTIFY_SOCKET`, is told of how we do.

Source: sd_notify(3) and sd_watchdog_enabled(3). Without that variable nothing is told, and nothing else differs.
"""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import structlog

from spexporter.clock import Clock
from spexporter.domain.errors import words_of

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# A datagram leaves at once unless nobody takes them any more.
_SENT_WITHIN_S = 0.5
_SIGNS_IN_ITS_TIME = 4


class Supervisor:
    """Tells when we are up, reload and stop, and that the schedulers live.

    `address` is that of a datagram socket, None where nobody listens; `watchdog_s` is how long they may be silent until
    we are restarted, None where nobody looks.
    """

    def __init__(self, clock: Clock, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._clock = clock
        self._address = address
        self._watchdog_s = watchdog_s
        self._up_as = ""

    @classmethod
    def named_by(cls, environ: Mapping[str, str], clock: Clock) -> "Supervisor":
        """Return the one that the environment names; a watchdog that is another process's is none of ours."""
        address = environ.get("NOTIFY_SOCKET", "")
        period = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(period) / 1e6 if ours and period.isdecimal() and int(period) else None
        return cls(clock, address if address.startswith(("/", "@")) else None, watchdog_s)

    def up(self, status: str) -> None:
        """Tell that we serve and poll; `status` is a line for people."""
        self._up_as = status
        self._tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Tell that we were asked to end, and do; nothing is told after that."""
        self._tell("STOPPING=1", "STATUS=stopping")
        self._address = None

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Tell that the configuration is read anew, for as long as the block lasts, and how that ended."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}", "STATUS=reloading")
        status = f"{self._up_as}; the last configuration was refused, the one before goes on"
        try:
            yield
            status = self._up_as
        finally:
            self._tell("READY=1", f"STATUS={status}")

    async def watch(self, silence_s: Callable[[float], float]) -> None:
        """Give the watchdog a sign of life whenever every scheduler has shown one since the last, until cancelled.

        `silence_s` returns for how long the slowest has said nothing, at a monotonic time. A sign is owed to their
        beats, not to this task: while one of them is stuck there is none, however well everything else goes.
        """
        if self._watchdog_s is None:
            return
        told_s = float("-inf")
        while self._address is not None:
            now_s = self._clock.monotonic()
            if now_s - silence_s(now_s) > told_s:
                self._tell("WATCHDOG=1")
                told_s = now_s
            await self._clock.sleep_until(now_s + self._watchdog_s / _SIGNS_IN_ITS_TIME)

    def _tell(self, *facts: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SENT_WITHIN_S)
                sender.sendto("\n".join(facts).encode(), address)
        except OSError as error:
            log.warning("supervisor_unheard", error=words_of(error))
