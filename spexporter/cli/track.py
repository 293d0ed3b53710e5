"""`spexporter track`: hand a job to a running exporter, for a pipeline that started it."""

from typing import Annotated

import typer

from spexporter.cli import loop, show
from spexporter.cli.exporters import HttpConfigOption, access_of, exporter_url, parsed, talking, tenant_name
from spexporter.cli.wait import WaitOperation
from spexporter.config import convert
from spexporter.config.httpclient import HttpAccess
from spexporter.direct.looks import Sight
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.remote.exporter import Refused, Unavailable


def track(
    *,
    tenant: Annotated[str, typer.Argument(help="The tenant's name in the exporter's configuration.")],
    operation: Annotated[WaitOperation, typer.Argument(help="What the job does.")],
    job_id: Annotated[str, typer.Argument(help="The id that SailPoint answered when the job was started.")],
    url: Annotated[str, typer.Option(help="Where the exporter serves, such as http://localhost:9977.")],
    http_config: HttpConfigOption = None,
    name: Annotated[str | None, typer.Option(help="A name for people, shown with the job.", show_default=False)] = None,
    max_age: Annotated[
        str | None,
        typer.Option("--max-age", help="A job that still runs after this, such as 30m, is stuck.", show_default=False),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="The import is a dry run; by default found out from its result.")
    ] = False,
    output: show.OutputOption = show.Output.TEXT,
) -> None:
    """Hand the id of a job to a running exporter, which watches it from now on, over restarts, too.

    The exporter must run with `--web.enable-lifecycle`. Handing over a job again changes at most what is said of it.
    Exit status 1 when the exporter refuses the job, with its reason, or cannot be asked.
    """
    watched = WatchedJob(
        JobKey(tenant_name(tenant), Operation(operation.value), parsed(convert.identifier, job_id, "JOB_ID")),
        Source.API,
        "" if name is None else parsed(convert.filled, name, "--name"),
        None if max_age is None else parsed(convert.duration, max_age, "--max-age"),
        preview=preview or None,
    )
    try:
        new, sight = loop.run(_hand_over(exporter_url(url), access_of(http_config), watched))
    except (Refused, Unavailable) as error:
        raise _failed(watched.key, error, output) from None
    if output is show.Output.JSON:
        show.say_json({**_key_json(watched.key), "watched": True, "new": new, "state": sight.job.state, "error": None})
    else:
        show.say(f"{watched.key}:", "watched from now on" if new else "already watched")


async def _hand_over(url: str, access: HttpAccess, watched: WatchedJob) -> tuple[bool, Sight]:
    async with talking(url, access) as exporter:
        return await exporter.track(watched)


def _failed(key: JobKey, error: Refused | Unavailable, output: show.Output) -> typer.Exit:
    if output is show.Output.JSON:
        watched = False if isinstance(error, Refused) else None
        show.say_json({**_key_json(key), "watched": watched, "new": None, "state": None, "error": str(error)})
    else:
        show.say(f"{key}:", error, err=True)
    return typer.Exit(1)


def _key_json(key: JobKey) -> dict[str, object]:
    return {"tenant": key.tenant, "operation": key.operation, "id": key.job_id}
