"""Write the generated reference pages: `make docs`. A test says when a committed page is stale."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import yaml
from typer.core import TyperArgument, TyperOption
from typer.main import get_group
from typer.models import ParameterInfo

from scripts.example_page import example_lines
from spexporter.cli.main import program
from spexporter.config.schema import Schema, file_schema
from spexporter.domain.counting import RUN_BUCKETS_S, RUN_SECONDS
from spexporter.domain.errors import REASONS
from spexporter.domain.family import Family
from spexporter.domain.job import JobState, Operation, Source
from spexporter.domain.result import Outcome
from spexporter.exposition.families import TENANT_FAMILIES
from spexporter.exposition.ownfamilies import OWN_FAMILIES
from spexporter.exposition.samples import UNOBSERVED
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.telemetry import LOG_LEVELS, SKIP_REASONS, STORE_OPS

ROOT = Path(__file__).resolve().parent.parent

_CONFIGURATION_HEAD = """\
# Configuration reference

<!-- Written by `make docs` from the program itself; change the descriptions there. -->

One YAML file, given as `--config.file`, and the files of [tenants](#tenant-files) and [jobs](#job-files) that it names.
`config.example.yaml` shows every key in place. `spexporter check` names every mistake in all of them at once, with
file, line and what would be right; `spexporter schema` prints a JSON Schema of the main file for editors.

## How values are written

Every value is read as text, so an id such as `00017` or `1e5` stays what it is. A key with nothing after it counts as
left out. `${NAME}` stands for an environment variable and `${NAME:-text}` for one or, where it is unset or empty, the
text; both work anywhere in a value and are filled in once. `$$` is a dollar sign. YAML's anchors, aliases and merge
keys (`<<`) work; tags do not.

| written as | means |
|---|---|
| duration | whole numbers and units, the largest first: `500ms`, `10s`, `5m`, `24h`, `7d`, `2w`, `1y`, `1h30m` |
| size | a whole number and one of `B`, `KiB`, `MiB`, `GiB`, at least `1KiB` |
| percentage | `1%` to `100%`, whole |
| identifier | 1 to 64 letters, digits, dots, underscores or hyphens |
| path | a file; a relative path starts at the folder of the file in which it is written |
| path pattern | a path with `*`, `?` and `[…]`, each within one folder; they skip names that begin with a dot |
| date | `2027-01-31` for its first moment, or `2027-01-31T12:00:00Z`; UTC where no offset is written |
| URL | `https://…` without user, query and fragment; `http://…` on loopback and where `allow_http` is true |
| store URL | `sqlite:///file.db` in the working directory, `sqlite:////folder/file.db`, `sqlite://`: memory alone, \
or `postgresql://user:password@host/database` for [several replicas](operations.md#several-replicas) |
| proxy URL | `http://…` or `https://…`, with or without user and password |
"""

_METRICS_HEAD = """\
# Metrics reference

<!-- Written by `make docs` from the program itself; change the descriptions there. -->

`GET /metrics` answers with every family below, from memory: a scrape asks SailPoint nothing. Families that begin with
`spconfig_` are about tenants and their jobs, those with `spexporter_` about the exporter. All times are Unix seconds,
all durations seconds. Absent means not known; 0 means zero. A job's series stay until the job leaves the configuration,
an ended job's until `retention`.

Counters of `spconfig_` families are kept in the store and go on after a restart; those of `spexporter_` families start
at 0. A `spconfig_` counter that appears shows where it stood before for `counters.hold` and at least one whole page,
and only then what came since, so that `increase()` sees all of it; [operations.md](operations.md) tells the rest.
"""

_METRICS_FOOT = """\
## Metrics of the process

`process_*` (CPU seconds, memory, open files and their limit, start time; on Linux) and `python_*` (version, garbage
collection) come from the Prometheus client library for Python.
"""

_TENANT_FILES = """\
## Tenant files

Each file that `tenant_files` names is a list like that under `tenants`, or a mapping with `tenants` alone. It inherits
`defaults` of the main file; a relative path in it starts at its own folder, an inherited one at the main file's. An
empty file has no tenants.

One bad file stops no other. A file with any mistake is not used at all; where it was good before, what it said then
stays in use until it is good again or gone, as far as the present files leave room for it. Files count in the order of
their paths, after the main file: a name, a former name or a rate limit that an earlier tenant has otherwise makes the
later file the bad one. A mistake in the main file concerns all.
"""
_JOB_FILES = """\
## Job files

Each file that a tenant's `job_files` names is a list like that under `jobs`, or a mapping with `jobs` alone. An empty
file has no jobs. An operation and id may stand once in a file; over several files, the first by path holds, and what
stands under `jobs` wins over them all.

The files are looked at all the time. One that is new, changed or gone counts at once; one with a mistake, or one that
cannot be read, keeps what it said when it was good.
"""

# What each value of a label with a closed set of values means; a value without a meaning fails the build of the page.
_STATES = {
    JobState.NOT_STARTED: "accepted, not started yet",
    JobState.IN_PROGRESS: "running",
    JobState.COMPLETE: "ended; an import may have errors all the same, see `spconfig_import_messages`",
    JobState.CANCELLED: "ended, cancelled",
    JobState.FAILED: "ended, failed; an import may have a result all the same",
    JobState.NOT_FOUND: "the tenant answers 404: a wrong id, operation or tenant, or the job has expired; asked again",
    JobState.UNKNOWN: "a word that this version does not know; asked again",
    UNOBSERVED: "only in `spconfig_jobs`: no answer yet",
}
_OUTCOMES = {
    Outcome.COUNTED: "read, and added to the import counters",
    Outcome.PREVIEW: "read; a dry run changes nothing, so nothing is added",
    Outcome.MISSING: "the tenant has none: 404 at each of several tries, or after the job's expiration",
    Outcome.FORBIDDEN: "403, and the job has expired: it will never be read",
    Outcome.MALFORMED: "cannot be read, at each of several tries",
    Outcome.TOO_LARGE: "longer than `max_answer.results`",
}
_REASONS = {
    "unreachable": "no answer: DNS, connection, TLS, or the connection was lost",
    "timeout": "no whole answer within `timeout`",
    "throttled": "429",
    "unauthorized": "the token endpoint refuses the credential, or the API a token that is new",
    "forbidden": "403: a scope, the user level or the user context is missing",
    "not_found": "404",
    "rejected": "another 4xx, or a redirect, which is not followed",
    "malformed": "an answer that cannot be read, or one longer than `max_answer`",
    "server_error": "5xx",
}
_SKIPPED = {
    "budget": "a request waited for a place in the rate limit window",
    "backoff": "the whole tenant is in trouble and left alone for a while",
    "lease": "the lease of the tenant had ended: it may be another replica's",
}
_ENDPOINTS = {
    Endpoint.TOKEN: "`token_url`",
    Endpoint.CONFIG_OBJECTS: "the object types of the tenant; also asked to see whether it is up",
    Endpoint.EXPORT_STATUS: "an export job",
    Endpoint.IMPORT_STATUS: "an import job",
    Endpoint.IMPORT_RESULT: "an ended import's result",
    Endpoint.BACKUPS: "the list of Configuration Hub's backups, with `discover`",
    Endpoint.UPLOADS: "the list of Configuration Hub's uploads, with `discover`",
    Endpoint.DRAFTS: "the list of Configuration Hub's drafts, with `discover`",
    Endpoint.DEPLOYS: "the list of Configuration Hub's deploys, with `discover`",
    Endpoint.PERSONAL_ACCESS_TOKENS: "when the credential itself ends, with `credential_expires: auto`",
}
_OPERATIONS = {
    Operation.EXPORT: "an export job",
    Operation.IMPORT: "an import job, dry runs included",
    Operation.BACKUP: "a Configuration Hub backup",
    Operation.UPLOAD: "a Configuration Hub upload",
    Operation.DRAFT: "a Configuration Hub draft",
    Operation.DEPLOY: "a Configuration Hub deploy",
}
_LEVELS = {"p50": "half of the runs took at most this", "p95": "95 of 100 runs took at most this"}
_STORE_OPS = {"read": "what is known of jobs could not be read", "write": "what has changed could not be written"}
_SOURCES = {
    Source.CONFIG: "the configuration file, or a file of tenants",
    Source.FILE: "a file of jobs",
    Source.API: "handed over while the exporter runs",
    Source.DISCOVERY: "a list of Configuration Hub",
    Source.BACKUP: "the result of an import, which names its backup",
}
_SEVERITIES = {"error": "", "warning": "", "info": ""}
_PREVIEWS = {"true": "a dry run", "false": "not one", "unknown": "only in `spconfig_job_info`: not found out yet"}
_CODES = {"none": "no whole answer came; all other values are HTTP status codes"}

_ALERTS_BEGIN, _ALERTS_END = "<!-- This table is written by `make docs`. -->\n", "<!-- Until here. -->\n"
_PROMETHEUS_RULE_HEAD = """\
# Written by `make docs` from spexporter.rules.yml, which says why each rule is as it is; change the rules there.
"""

_CLI_HEAD = """\
# Command reference

<!-- Written by `make docs` from the program itself; change the descriptions there. -->

`spexporter COMMAND`, or `python -m spexporter COMMAND`. `-h` and `--help` describe the program and each command;
`spexporter --version` prints the version. An address without a host, such as `:9977`, means all addresses of this
machine; `run` serves there unless told otherwise.

Each option may be in the environment instead, under its own name: `--web.listen-address` is
`SPEXPORTER_WEB_LISTEN_ADDRESS`, several values with spaces between; `--web.enable-lifecycle` is
`SPEXPORTER_WEB_ENABLE_LIFECYCLE`, `true` or `false`. An empty variable is none, and the command line wins.

| exit status | means |
|---|---|
| 0 | done as asked; for `run`, `demo` and `simulate`: ended by SIGTERM or SIGINT |
| 1 | it broke, such as a port in use; `healthcheck`: not ready; `status`, `wait`, `track`, `check --live`: see there |
| 2 | wrong usage, or a mistake in the configuration file |
| 3 | `wait` ran out of time |
"""


def configuration() -> str:
    """Return the reference of the configuration file, one table for each of its mappings."""
    schema = file_schema()
    sections = [_CONFIGURATION_HEAD, "## Top level\n", _table(schema)]
    for title, name, introduction in (
        ("`tenants`", "TenantSection", "A list. Each entry inherits from `defaults` what it does not say itself."),
        ("`defaults`", "DefaultsSection", ""),
        ("`rate_limit`", "RateLimitSection", "Tenants with the same `client_id` share one budget and need the same."),
        (
            "`poll`",
            "PollSection",
            "Learned from [how long such jobs take](operations.md#when-a-job-is-looked-at), within these bounds.",
        ),
        (
            "`max_answer`",
            "MaxAnswerSection",
            "They bound what an answer can take: lists are held in memory, long results of imports are only counted.",
        ),
        ("`expect`", "ExpectSection", "An operation that is left out has no rhythm."),
        ("`jobs`", "JobSection", "A list in each tenant; an operation and id may stand there once."),
        ("`store`", "StoreSection", "What must outlive a restart."),
        ("`counters`", "CountersSection", "Prometheus sees an increase only after it has seen where a series starts."),
        ("`limits`", "LimitsSection", "It bounds the size of the page, and with it the memory of Prometheus."),
    ):
        section = schema["$defs"][name]
        if name == "DefaultsSection":
            own = [
                f"`{key}`" for key in schema["$defs"]["TenantSection"]["properties"] if key not in section["properties"]
            ]
            sections += [
                f"## {title}\n",
                f"Every key of a tenant but {', '.join(own)}. Nested mappings are inherited key by key.\n",
            ]
        else:
            sections += [f"## {title}\n", f"{introduction}\n", _table(section)]
    return "\n".join([*sections, _TENANT_FILES, _JOB_FILES.rstrip("\n") + "\n"])


def metrics() -> str:
    """Return the reference of all metric families and of the labels whose values are a closed set."""
    examples = example_lines((*TENANT_FAMILIES, *OWN_FAMILIES))
    sections = [
        _METRICS_HEAD,
        "## Questions about tenants and their jobs\n",
        _questions(TENANT_FAMILIES),
        "## Questions about the exporter itself\n",
        _questions(OWN_FAMILIES),
        "## Tenants and their jobs\n",
        *(_family(family, examples[family.name]) for family in TENANT_FAMILIES),
        "## The exporter itself\n",
        *(_family(family, examples[family.name]) for family in OWN_FAMILIES),
        "## Values of labels\n",
        "Labels that are not listed here have whatever value the configuration or the tenant gives them.\n",
    ]
    for title, values, meanings in (
        ("`state`", (*JobState, UNOBSERVED), _STATES),
        ("`operation`", tuple(Operation), _OPERATIONS),
        ("`outcome`", tuple(Outcome), _OUTCOMES),
        ("`severity`", tuple(_SEVERITIES), _SEVERITIES),
        ("`preview`", tuple(_PREVIEWS), _PREVIEWS),
        ("`source`", tuple(Source), _SOURCES),
        ("`endpoint`", tuple(Endpoint), _ENDPOINTS),
        ("`code`", tuple(_CODES), _CODES),
        ("`reason` of `spexporter_api_errors_total`", REASONS, _REASONS),
        ("`reason` of `spexporter_polls_skipped_total`", SKIP_REASONS, _SKIPPED),
        ("`level` of `spconfig_job_usual_duration_seconds`", tuple(_LEVELS), _LEVELS),
        ("`level` of `spexporter_log_messages_total`", LOG_LEVELS, dict.fromkeys(LOG_LEVELS, "")),
        ("`op`", STORE_OPS, _STORE_OPS),
    ):
        sections += [f"### {title}\n", _values(values, meanings)]
    return "\n".join([*sections, _METRICS_FOOT])


def cli() -> str:
    """Return the reference of all commands: from their objects, because help texts wrap as the terminal likes."""
    sections = [_CLI_HEAD]
    for name, command in get_group(program()).commands.items():
        rows = [_option(command.callback, option) for option in command.params if isinstance(option, TyperOption)]
        table = _rows(("option", "value", "default", "meaning"), rows) if rows else "It has no options.\n"
        arguments = [_argument(command.callback, it) for it in command.params if isinstance(it, TyperArgument)]
        needed = [_rows(("argument", "value", "meaning"), arguments)] if arguments else []
        sections += [f"## `spexporter {name}`\n", f"{command.help}\n", *needed, table]
    return "\n".join(sections)


def runbooks() -> str:
    """Return the runbooks with their table of all alerts, which says of each what its chapter does first."""
    text = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    chapters = dict(re.findall(r"^## (\w+)\n\n\*\*Means\.\*\* (.*?[.:])(?:\s|$)", text, flags=re.MULTILINE | re.DOTALL))
    severities: defaultdict[str, list[str]] = defaultdict(list)
    for rule in (rule for group in _rule_groups() for rule in group["rules"] if "alert" in rule):
        severities[rule["alert"]].append(rule["labels"]["severity"])
    rows = (
        (f"[{alert}](#{alert.lower()})", ", ".join(of_alert), " ".join(chapters[alert].split()).rstrip(".:") + ".")
        for alert, of_alert in severities.items()
    )
    before, begin, rest = text.partition(_ALERTS_BEGIN)
    _, end, after = rest.partition(_ALERTS_END)
    return f"{before}{begin}{_rows(('alert', 'severity', 'means'), rows)}{end}{after}"


def _rule_groups() -> list[dict[str, Any]]:
    rules = (ROOT / "prometheus" / "spexporter.rules.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(rules)["groups"])


def prometheus_rule() -> str:
    """Return the rules for the Prometheus Operator. Long lines stay whole: a folded one would be another text."""
    groups = _rule_groups()
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "spexporter", "labels": {"app.kubernetes.io/name": "spexporter"}},
        "spec": {"groups": groups},
    }
    return _PROMETHEUS_RULE_HEAD + yaml.dump(manifest, Dumper=_Blocks, sort_keys=False, width=10**6, allow_unicode=True)


class _Blocks(yaml.SafeDumper):
    """Writes a text of several lines as a block, and nothing twice by reference."""

    def ignore_aliases(self, _data: Any) -> bool:  # noqa: ANN401 - whatever is dumped
        return True


_Blocks.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _questions(families: Sequence[Family]) -> str:
    return _rows(("question", "answered by"), ((it.question, f"[`{it.name}`](#{it.name})") for it in families))


def _family(family: Family, example: str) -> str:
    facts = [f"{family.type.capitalize()}; labels: {', '.join(f'`{label}`' for label in family.labels) or 'none'}"]
    if family.name == RUN_SECONDS:
        facts.append(f"buckets, in seconds: {', '.join(map(str, RUN_BUCKETS_S))}")
    title = f"### `{family.name}`\n\n**{family.question}**"
    return f"{title}\n\n{family.help}\n\n{'; '.join(facts)}.\n\n```text\n{example}\n```\n"


def _values(values: Iterable[str], meanings: dict[Any, str]) -> str:
    if not any(meanings.values()):
        return ", ".join(f"`{value}`" for value in values) + "\n"
    return _rows(("value", "means"), ((f"`{value}`", meanings[value]) for value in values))


def _option(function: Callable[..., Any] | None, option: TyperOption) -> Sequence[str]:
    annotation = get_type_hints(function, include_extras=True)[str(option.name)]
    if get_origin(annotation) is not Annotated:
        raise TypeError(f"{option.name} is not declared as Annotated[…, typer.Option(…)]")
    default = option.show_default if isinstance(option.show_default, str) else option.default
    shown = f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default else ""
    return f"`{option.opts[0]}`", _kind(*get_args(annotation)), "needed" if option.required else shown, str(option.help)


def _argument(function: Callable[..., Any] | None, argument: TyperArgument) -> Sequence[str]:
    annotation = get_type_hints(function, include_extras=True)[str(argument.name)]
    return f"`{str(argument.name).upper()}`", _kind(*get_args(annotation)), str(argument.help)


def _kind(kind: Any, info: ParameterInfo) -> str:  # noqa: ANN401 - a type, or an optional one
    if any(get_origin(part) is list for part in (kind, *get_args(kind))):
        return "text"
    kind = next(part for part in (*get_args(kind), kind) if part is not type(None))
    if kind is bool:
        return ""
    if issubclass(kind, StrEnum):
        return ", ".join(f"`{word}`" for word in kind)
    bounds = [f"{word} {bound}" for word, bound in (("from", info.min), ("to", info.max)) if bound is not None]
    return " ".join([{int: "whole number", float: "number", Path: "path", str: "text"}[kind], *bounds])


def _table(section: Schema) -> str:
    rows = (
        (f"`{key}`", _written(key, it), f"`{it['default']}`" if "default" in it else "", it["description"])
        for key, it in section["properties"].items()
    )
    return _rows(("key", "written as", "default", "meaning"), rows)


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    texts = [f"| {' | '.join(cells)} |" for cells in lines]
    texts[1] = "|" + "---|" * len(head)
    return "\n".join(texts) + "\n"


def _written(key: str, value: Schema) -> str:
    if "$ref" in value:
        return f"mapping, see [`{key}`](#{key})"
    if value.get("type") == "array" and "title" in value["items"]:
        words = value["items"]["anyOf"][0].get("enum")
        return f"list of {', '.join(f'`{word}`' for word in words)}" if words else f"list of {value['items']['title']}s"
    if value.get("type") == "array":
        return f"list, see [`{key}`](#{key})"
    words = value["anyOf"][0].get("enum")
    return ", ".join(f"`{word}`" for word in words) if words and value["title"] == "choice" else str(value["title"])


# Each page with the function that writes it.
PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "configuration.md": configuration,
    ROOT / "docs" / "metrics.md": metrics,
    ROOT / "docs" / "cli.md": cli,
    ROOT / "docs" / "runbooks.md": runbooks,
    ROOT / "prometheus" / "prometheusrule.yaml": prometheus_rule,
}


def main() -> None:
    """Write all pages."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
