"""Every error that spexporter raises on purpose.

```text
SpexporterError
- ConfigError             the operator edits the file; exit status 2; carries every problem
- StartError              the program cannot start here (a port in use …); exit status 1
- StoreError              the ledger's store cannot be read or written now; polling goes on without it
- WatchError              a job cannot be handed to us, or taken back, as things are
  + UnknownTenant           no such tenant here; carries those that there are
  + TenantElsewhere         another replica looks after the tenant now
  + TooManyJobs             the tenant has as many jobs that have not ended as `limits` allows
  + UnknownJob              nobody has named the job
  + NamedElsewhere          a source other than our API names the job
- LeaseEnded              another replica may look after the tenant now: nothing is asked of it
- TenantError             one exchange failed; its `reason` is the label value; polling goes on
  + TenantUnreachable       no answer: DNS, connect, TLS, connection lost
  + TenantTimeout           no whole answer in time
  + TenantThrottled         429; carries the pause
  + TenantUnauthorized      the token endpoint refuses us, or a second 401
  + TenantForbidden         403: scope, user level or user context
  + TenantNotFound          404
  + TenantRejected          another 3xx or 4xx: our request or our address is wrong
  + TenantServerError       5xx
  + TenantMalformed         an answer that we cannot read
    * AnswerTooLarge          longer than `max_answer`
```
"""

import os
import ssl
from dataclasses import dataclass
from typing import ClassVar


class SpexporterError(Exception):
    """Root of the tree."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration file: where it is, what is wrong and what would be right.

    `line` 0 means the file as a whole; `path` is empty where no key is concerned.
    """

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(SpexporterError):
    """A configuration that cannot be used; `problems` in file order, never empty."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StartError(SpexporterError):
    """The program cannot start; the message says which flag or file to change."""


class StoreError(SpexporterError):
    """The store cannot be read or written; `cure` says what an operator can do about it."""

    def __init__(self, message: str, *, cure: str) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure


class WatchError(SpexporterError):
    """A job cannot be handed to us, or taken back; the text says why and what helps."""


class UnknownTenant(WatchError):
    """No such tenant is configured; `known` are those that are, in file order."""

    def __init__(self, tenant: str, known: tuple[str, ...]) -> None:
        super().__init__(f"there is no tenant {tenant}")
        self.tenant = tenant
        self.known = known


class TenantElsewhere(WatchError):
    """Another replica looks after the tenant now."""


class TooManyJobs(WatchError):
    """The tenant has as many jobs that have not ended as the configuration allows."""


class UnknownJob(WatchError):
    """Nobody has named the job."""


class NamedElsewhere(WatchError):
    """A source other than our API names the job, so it can be taken back only there."""


class LeaseEnded(SpexporterError):
    """This process may not ask the tenant any more: its lease has ended."""


class TenantError(SpexporterError):
    """One exchange with a tenant failed.

    `endpoint` is from the closed list of `spexporter.sailpoint.client`; `cure` says what an operator can do, empty
    where only waiting helps; `tracking_id` is what SailPoint's support asks for.
    """

    reason: ClassVar[str]

    def __init__(self, message: str, *, endpoint: str, cure: str = "", tracking_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint
        self.cure = cure
        self.tracking_id = tracking_id


class TenantUnreachable(TenantError):
    """No answer arrived."""

    reason = "unreachable"


class TenantTimeout(TenantError):
    """No whole answer arrived in time."""

    reason = "timeout"


class TenantThrottled(TenantError):
    """The rate limit was hit; `pause_s` is how long no request starts from then on."""

    reason = "throttled"

    def __init__(self, message: str, *, endpoint: str, pause_s: float) -> None:
        super().__init__(message, endpoint=endpoint)
        self.pause_s = pause_s


class TenantUnauthorized(TenantError):
    """The credential was refused."""

    reason = "unauthorized"


class TenantForbidden(TenantError):
    """The credential is good but may not do this."""

    reason = "forbidden"


class TenantNotFound(TenantError):
    """There is nothing at this path."""

    reason = "not_found"


class TenantRejected(TenantError):
    """An answer that says our request or our address is wrong."""

    reason = "rejected"


class TenantServerError(TenantError):
    """The tenant or its gateway broke."""

    reason = "server_error"


class TenantMalformed(TenantError):
    """An answer that cannot be read."""

    reason = "malformed"


class AnswerTooLarge(TenantMalformed):
    """An answer longer than `max_answer` allows."""


# The values of the label `reason`, in the order in which they are documented.
REASONS = (
    "unreachable",
    "timeout",
    "throttled",
    "unauthorized",
    "forbidden",
    "not_found",
    "rejected",
    "malformed",
    "server_error",
)


def words_of(error: OSError) -> str:
    """Return what the operating system, a name server or TLS says of a failure.

    The words of asyncio, which name the address once more, give way to those of the error's number. Numbers of name
    servers are negative and those of TLS its own, so that both have words of theirs alone.
    """
    if not error.errno or error.errno < 0 or isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return os.strerror(error.errno)
