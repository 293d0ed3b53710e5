"""What configuration files can say, key by key; the JSON Schema and the reference page come from here.

Each field is read from text. Rules that look at several keys are in `rules`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from spexporter.config import convert, urls
from spexporter.domain.job import SP_CONFIG_OPERATIONS, Operation

API_VERSIONS = ("auto", "v1", "v2026", "v2025", "v2024", "beta")
# Configuration Hub's lists, in the order in which `Tenant.discover` has them.
LISTS = ("backups", "uploads", "drafts", "deploys")

_T = TypeVar("_T")

# A variable may stand anywhere in a value, so an editor cannot judge a text that has one.
_VARIABLE = {"type": "string", "pattern": r"\$\{"}


def read_by(parse: Callable[[str], _T]) -> PlainValidator:
    """Return what lets pydantic read a value with `parse`, whose `ValueError` says what would be right."""

    def convert_text(value: object) -> _T:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "not a text")
        return parse(value)

    return PlainValidator(convert_text)


def choice(*words: str) -> Callable[[str], str]:
    """Return what takes one of the `words` and nothing else."""

    def choose(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return choose


def _secret(text: str) -> SecretStr:
    return SecretStr(convert.filled(text))


def _operation(text: str) -> Operation:
    return Operation(choice(*SP_CONFIG_OPERATIONS)(text))


def _schema(kind: str, *alternatives: dict[str, object]) -> WithJsonSchema:
    """Describe a value for editors: its `kind` in words, then all that YAML may make of the text."""
    return WithJsonSchema({"title": kind, "anyOf": [*alternatives, _VARIABLE]})


def _matching(pattern: str) -> dict[str, object]:
    return {"type": "string", "pattern": f"^({pattern})$"}


_ANY_TEXT: dict[str, object] = {"type": ["string", "number", "boolean"], "minLength": 1}
_URL: dict[str, object] = {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}
_DURATION = _schema("duration", _matching(convert.DURATION_PATTERN))

Duration = Annotated[float, read_by(convert.duration), _DURATION]
DurationOrZero = Annotated[float, read_by(convert.duration_or_zero), _DURATION]
PollPause = Annotated[float, read_by(convert.poll_pause), _DURATION]
Size = Annotated[int, read_by(convert.size), _schema("size", _matching(convert.SIZE_PATTERN))]
Percent = Annotated[float, read_by(convert.percent), _schema("percentage", _matching(convert.PERCENT_PATTERN))]
Whole = Annotated[
    int,
    read_by(convert.whole),
    _schema("whole number", {"type": "integer", "minimum": 1}, _matching(convert.WHOLE_PATTERN)),
]
Boolean = Annotated[
    bool, read_by(convert.boolean), _schema("true or false", {"type": "boolean"}, {"enum": ["true", "false"]})
]
Identifier = Annotated[
    str, read_by(convert.identifier), _schema("identifier", {"type": "number"}, _matching(convert.IDENTIFIER_PATTERN))
]
Org = Annotated[str, read_by(convert.org), _schema("org name", {"type": "number"}, _matching(convert.ORG_PATTERN))]
FreeText = Annotated[str, read_by(convert.filled), _schema("text", _ANY_TEXT)]
PathPattern = Annotated[str, read_by(convert.pattern), _schema("path pattern", _ANY_TEXT)]
AutoOrTime = Annotated[
    Literal["auto"] | float,
    read_by(convert.auto_or_time),
    _schema("`auto` or date", {"enum": ["auto"]}, _matching(convert.TIME_PATTERN)),
]
FilePath = Annotated[str, read_by(convert.filled), _schema("path", _ANY_TEXT)]
Hidden = Annotated[SecretStr, read_by(_secret), _schema("text, never shown", _ANY_TEXT)]
ApiUrl = Annotated[str, read_by(urls.api_url), _schema("URL", _URL)]
ProxyUrl = Annotated[str, read_by(urls.proxy_url), _schema("proxy URL", _URL)]
StoreUrl = Annotated[
    Path | SecretStr | None, read_by(urls.store_place), _schema("store URL", _matching(urls.STORE_PATTERN))
]
Lease = Annotated[float, read_by(convert.lease), _DURATION]
ApiVersion = Annotated[str, read_by(choice(*API_VERSIONS)), _schema("choice", {"enum": list(API_VERSIONS)})]
ListName = Annotated[str, read_by(choice(*LISTS)), _schema("choice", {"enum": list(LISTS)})]
JobOperation = Annotated[Operation, read_by(_operation), _schema("choice", {"enum": list(SP_CONFIG_OPERATIONS)})]


def _key(meaning: str, default: str | None = None, *, spelled: str | None = None) -> Any:  # noqa: ANN401 - the default is text as in a file, read by pydantic
    return Field(default=default, validate_default=True, description=meaning, alias=spelled)


class Section(BaseModel):
    """A mapping of the file; a key that it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        # An unknown key is a mistake even with nothing after it.
        known = cls.fields_by_key()
        return {key: value for key, value in values.items() if value is not None or key not in known}

    @classmethod
    def fields_by_key(cls) -> dict[str, FieldInfo]:
        """Return the fields under their keys in a file, in order."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


_ONE_HOST: JsonDict = {"oneOf": [{"required": ["org"]}, {"required": ["base_url"]}]}
_SOME_TENANT: JsonDict = {
    "anyOf": [
        {"required": ["tenants"], "properties": {"tenants": {"minItems": 1}}},
        {"required": ["tenant_files"], "properties": {"tenant_files": {"minItems": 1}}},
    ]
}
_ONE_SECRET: JsonDict = {"not": {"required": ["client_secret", "client_secret_file"]}}


class RateLimitSection(Section):
    """`rate_limit`; times in seconds, `use` from 0.01 to 1."""

    requests: Whole = _key("Requests that SailPoint allows a client in each `per`", "100")
    per: Duration = _key("Length of the window", "10s")
    use: Percent = _key("The share of the limit that the exporter allows itself", "80%")

    @model_validator(mode="after")
    def _leaves_a_request(self) -> Self:
        if self.requests * self.use < 1:
            raise ValueError("leaves less than one request in each `per`; raise `requests` or `use`")
        return self


class PollSection(Section):
    """`poll`; times in seconds."""

    fastest: PollPause = _key("The shortest pause between two looks at a job; at least 100ms", "2s")
    slowest: PollPause = _key("The longest pause between two looks at a job that has not ended", "60s")
    probe: PollPause = _key("How often a tenant with nothing due is asked for `config-objects`", "5m")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.fastest > self.slowest:
            slowest, fastest = convert.show_duration(self.slowest), convert.show_duration(self.fastest)
            raise ValueError(f"`fastest` must be at most `slowest` ({slowest}), got {fastest}")
        return self


class MaxAnswerSection(Section):
    """`max_answer`; sizes in bytes."""

    results: Size = _key("The largest import result", "64MiB")
    other: Size = _key("The largest other answer", "1MiB")


class ExpectSection(Section):
    """`expect`; times in seconds."""

    export: Duration | None = _key("The longest time between two successful exports")
    import_: Duration | None = _key("The same for imports without errors", spelled="import")
    backup: Duration | None = _key("The same for backups")
    upload: Duration | None = _key("The same for uploads")
    draft: Duration | None = _key("The same for drafts")
    deploy: Duration | None = _key("The same for deploys")


class JobSection(Section):
    """One entry of `jobs`; `max_age` in seconds."""

    id: Identifier = Field(description="Needed: the job's id, as SailPoint gave it when the job was started")
    operation: JobOperation = Field(description="Needed: what the job does")
    name: FreeText | None = _key("A name for people, shown in `spconfig_job_info`")
    max_age: Duration | None = _key("A job that still runs after this is stuck")
    preview: Boolean | None = _key("Whether the import is a dry run; by default found out from its result")


class DefaultsSection(Section):
    """What tenants inherit, key by key; times in seconds."""

    model_config = ConfigDict(json_schema_extra=_ONE_SECRET)

    client_id: Hidden | None = _key("The id of the personal access token; needed, in the tenant or in `defaults`")
    client_secret: Hidden | None = _key("Its secret; needed, this or `client_secret_file`")
    client_secret_file: FilePath | None = _key(
        "A file with the secret, read again at each renewal of the token; a line break at its end is dropped"
    )
    credential_expires: AutoOrTime | None = _key(
        "When the personal access token ends, or `auto` to ask the API, where the token's scopes allow it; by default"
        " nobody asks. A date in `defaults` holds for tenants without a `client_id` of their own"
    )
    api_version: ApiVersion = _key("Which version of the API to ask; `auto` looks for one that answers", "auto")
    rate_limit: RateLimitSection = Field(
        default=RateLimitSection(), description="The published limit of the API, and our share of it"
    )
    poll: PollSection = Field(default=PollSection(), description="How often to look")
    timeout: Duration = _key("The longest time for one HTTP exchange", "10s")
    max_staleness: Duration = _key(
        "After this long without a good answer the series of the tenant's unfinished jobs leave the page", "1h"
    )
    max_answer: MaxAnswerSection = Field(default=MaxAnswerSection(), description="Larger answers are refused")
    retention: Duration = _key(
        "How long an ended job keeps its own series, from when the exporter first saw its end", "7d"
    )
    count_new_within: Duration = _key(
        "A job that had ended longer ago than this when its id was given counts, but not as an increase", "1h"
    )
    expect: ExpectSection = Field(default=ExpectSection(), description="How often each operation should succeed")
    discover: tuple[ListName, ...] = Field(
        default=(), description="Lists of Configuration Hub whose jobs to watch; `beta` has none"
    )
    follow_backups: Boolean = _key(
        "Also watch the export job that an import's result names as its backup (`exportJobId`)", "true"
    )
    proxy: ProxyUrl | None = _key("Ask through this proxy; `HTTPS_PROXY` and `NO_PROXY` are honoured too")
    ca_file: FilePath | None = _key("PEM certificates to trust beside the system's authorities")
    allow_http: Boolean = _key("Allow URLs without TLS to hosts other than this one", "false")


class _Identity(Section):
    name: Identifier = Field(description="Needed and unique: the label `tenant`")
    org: Org | None = _key("The tenant at `https://{org}.api.identitynow.com`; needed, this or `base_url`")
    base_url: ApiUrl | None = _key("The API's address, where `org` does not lead to it")
    token_url: ApiUrl | None = _key("Where tokens are fetched; by default `{base_url}/oauth/token`")


class TenantSection(DefaultsSection, _Identity):
    """One entry of `tenants`."""

    model_config = ConfigDict(json_schema_extra={**_ONE_HOST, **_ONE_SECRET})

    former_names: tuple[Identifier, ...] = Field(
        default=(), description="Names that the tenant had before; their counters and jobs become its own"
    )
    jobs: tuple[JobSection, ...] = Field(default=(), description="The jobs to watch")
    job_files: tuple[PathPattern, ...] = Field(
        default=(), description="Files with more jobs, read again whenever they change; see [job files](#job-files)"
    )


class StoreSection(Section):
    """`store`; `url` as the path of a file, a database's URL, or None for memory alone; times in seconds."""

    url: StoreUrl = _key(
        "Where counters and ended jobs are kept over restarts; a PostgreSQL database is shared by several replicas",
        "sqlite:///spexporter.db",
    )
    lease: Lease = _key(
        "With PostgreSQL: how long a replica that is gone or cut off still counts as the one that watches its tenants",
        "15s",
    )
    remember_counted: Duration = _key(
        "How long a counted job is known, since its id was last configured, listed or asked for;"
        " at least the longest `retention`",
        "400d",
    )


class CountersSection(Section):
    """`counters`; times in seconds."""

    hold: DurationOrZero = _key(
        "How long a new series shows where it starts before it shows an increase; `0s`: on one whole page", "2m"
    )
    created: Boolean = _key("Add a `_created` series to every counter and histogram", "false")


class LimitsSection(Section):
    """`limits`."""

    max_series: Whole = _key("The most series about tenants on the page; above it those of single jobs go", "250000")
    max_jobs_per_tenant: Whole = _key("The most jobs of one tenant, of those that have not ended", "1000")


class TenantFileSection(Section):
    """A file of tenants, with the main file's `defaults` already inherited when it is read."""

    tenants: tuple[TenantSection, ...] = ()


class JobFileSection(Section):
    """A file of jobs."""

    jobs: tuple[JobSection, ...] = ()


class FileSection(Section):
    """The whole main file, with `defaults` already inherited by `tenants` when it is read."""

    model_config = ConfigDict(json_schema_extra=_SOME_TENANT)

    defaults: DefaultsSection | None = _key("What all tenants inherit, key by key; a tenant's own keys win")
    tenants: tuple[TenantSection, ...] = Field(
        default=(), description="The tenants to watch; needed, at least one, unless there are `tenant_files`"
    )
    tenant_files: tuple[PathPattern, ...] = Field(
        default=(), description="Files with more tenants; see [tenant files](#tenant-files)"
    )
    store: StoreSection = Field(default=StoreSection(), description="What is kept over restarts, and where")
    counters: CountersSection = Field(default=CountersSection(), description="How counters are shown")
    limits: LimitsSection = Field(default=LimitsSection(), description="What bounds the size of the page")
    per_job_metrics: Boolean = _key("Show series of single jobs; `false`: only what sums up over jobs", "true")
