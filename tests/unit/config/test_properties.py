"""What must hold for every file."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spexporter.config import load, parse_jobs
from spexporter.domain.errors import ConfigError

MARK = "hunter2"

KEYS = st.sampled_from(
    [
        *("defaults", "tenants", "name", "org", "base_url", "token_url", "client_id", "client_secret"),
        *("client_secret_file", "api_version", "rate_limit", "requests", "per", "use", "poll", "fastest", "slowest"),
        *("probe", "timeout", "max_answer", "results", "other", "proxy", "ca_file", "allow_http", "jobs", "id"),
        *("operation", "max_age", "preview", "<<", "", "odd key", "retention", "count_new_within", "expect"),
        *("import", "backup", "former_names", "store", "url", "remember_counted", "counters", "hold", "created"),
        *("job_files", "tenant_files", "discover", "follow_backups", "credential_expires", "limits"),
    ]
)
VALUES = st.sampled_from(
    [
        "",
        "a",
        "acme",
        "10s",
        "80%",
        "1KiB",
        "true",
        "export",
        "https://a.example",
        "sqlite://",
        "none.d/*.yaml",
        "2027-01-31",
        "drafts",
        "'",
        "*a",
        "&a",
        "!a",
        "${A}",
        "$",
        "|",
    ]
)
SOUP = st.lists(
    st.sampled_from(
        [": ", "- ", "  ", "\n", "{", "}", "[", "]", ", ", "#", "? ", '"', "\t", "---\n", "%YAML 1.", "\\U"]
    )
    | KEYS
    | VALUES,
    max_size=60,
).map("".join)
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=5).map(
            lambda pairs: f"{{{', '.join(f'{key}: {value}' for key, value in pairs)}}}"
        ),
    ),
    max_leaves=20,
).map(lambda tree: f"tenants: [{tree}]\ndefaults: {tree}\nstore: {tree}\ncounters: {tree}\n")

# What follows a line break stands under another key.
ONE_LINE = st.text(
    st.sampled_from(" :-{}[]?,#&*!|>@`'\"%\\$\t")
    | st.characters(codec="utf-8", exclude_characters="\n\r\x85\u2028\u2029"),
    max_size=6,
)
TENANT = """\
tenants:
  - name: {name}
    org: acme
    {secret}
    {field}: {value}
"""
MORE = "tenant_files: [more.yaml]\n"
LITERAL_FIELDS = st.sampled_from(
    ["client_id", "client_secret", "client_secret_file", "base_url", "token_url", "proxy", "token"]
)
ANY_FIELD = st.sampled_from(
    [
        *("client_id", "client_secret", "client_secret_file", "base_url", "token_url", "proxy", "org", "name"),
        *("api_version", "rate_limit", "poll", "timeout", "max_answer", "ca_file", "allow_http", "jobs", "retention"),
        *("count_new_within", "expect", "former_names", "discover", "job_files", "follow_backups"),
        *("credential_expires", "token"),
    ]
)


def told(text: str | bytes, environ: dict[str, str]) -> str:
    """All that an operator could see of a file: its problems, or its configuration's repr."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spexporter.yml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            return repr(load(file, environ))
        except ConfigError as error:
            return str(error)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(SOUP, TREES, st.text(max_size=200)))
def test_no_text_raises_anything_but_config_error(text: str) -> None:
    """Whatever stands in a file, the operator gets a configuration or at least one problem."""
    assert told(text, {})


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_but_config_error(content: bytes) -> None:
    """A file need not even be text."""
    assert told(content, {})


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.one_of(SOUP, TREES, st.text(max_size=200)).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_file_of_tenants_stops_the_main_file(content: bytes) -> None:
    """Whatever stands in it, its tenants are used or it is a bad file with at least one problem."""
    with tempfile.TemporaryDirectory() as folder:
        main, file = Path(folder) / "main.yaml", Path(folder) / "more.yaml"
        main.write_text(f"{TENANT.format(name='acme', secret='client_id: a', field='client_secret', value='a')}{MORE}")
        file.write_bytes(content)
        config = load(main, {})
    assert config.tenants[0].name == "acme"
    assert [bad.path for bad in config.bad_files if bad.problems] + [it.path for it in config.tenant_files] == [file]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary(max_size=100) | st.one_of(SOUP, TREES).map(str.encode))
def test_no_file_of_jobs_raises_anything_but_config_error(content: bytes) -> None:
    """Whatever stands in it, there are jobs or at least one problem."""
    try:
        parse_jobs(Path("jobs.yaml"), content, {})
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - jobs are as good


@settings(max_examples=100, deadline=None)
@given(LITERAL_FIELDS, ONE_LINE, ONE_LINE)
def test_secret_in_a_file_of_tenants_is_never_shown(field: str, before: str, after: str) -> None:
    """Nor one that stands in a file of jobs by mistake."""
    text = f"- {{name: a, org: a}}\n- {field}: {before}{MARK}{after}\n"
    with tempfile.TemporaryDirectory() as folder:
        main, file = Path(folder) / "main.yaml", Path(folder) / "more.yaml"
        main.write_text(MORE)
        file.write_text(text)
        assert MARK not in repr(load(main, {}))
    try:
        assert MARK not in repr(parse_jobs(Path("jobs.yaml"), text.encode(), {}))
    except ConfigError as error:
        assert MARK not in str(error)  # noqa: PT017 - jobs are as good


@settings(max_examples=100, deadline=None)
@given(LITERAL_FIELDS, ONE_LINE, ONE_LINE)
def test_secret_in_the_file_is_never_shown(field: str, before: str, after: str) -> None:
    """However it is written, quoted or not, what stands under a secret's key is in no problem and no repr."""
    secret = f"{before}{MARK}{after}"
    for value in (secret, f"'{secret}'", f'"{secret}"'):
        assert MARK not in told(TENANT.format(name="acme", secret="", field=field, value=value), {})


@settings(deadline=None)
@given(ANY_FIELD, st.text(max_size=6), st.text(max_size=6))
def test_value_of_a_variable_is_never_shown(field: str, before: str, after: str) -> None:
    """What comes from the environment is in no problem, whatever key it was given to by mistake."""
    text = TENANT.format(name="acme", secret="client_secret: ${SECRET}", field=field, value="x${SECRET}")
    assert MARK not in told(text, {"SECRET": f"{before}{MARK}{after}"})


@settings(deadline=None)
@given(st.sampled_from(["url", "remember_counted", "hold", "created", "urls"]), st.text(max_size=6))
def test_value_of_a_variable_is_never_shown_beside_the_tenants(field: str, before: str) -> None:
    """The same for the keys that hold for the whole program."""
    section = "counters" if field in ("hold", "created") else "store"
    text = f"{section}: {{{field}: 'x${{SECRET}}'}}\n" + TENANT.format(
        name="acme", secret="", field="timeout", value="1s"
    )
    assert MARK not in told(text, {"SECRET": f"{before}{MARK}"})


@settings(deadline=None)
@given(
    st.sampled_from(["postgresql://u:{}@a/b", "sqlite://u:{}@a/b", "mysql://{}", "sqlite:///a?key={}", "sqlite:///{}/"])
)
def test_password_in_a_store_url_is_never_shown(url: str) -> None:
    """Nor in the address of a database that this version cannot use."""
    text = f"store: {{url: '{url.format(MARK)}'}}\n" + TENANT.format(
        name="acme", secret="", field="timeout", value="1s"
    )
    assert MARK not in told(text, {})


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=1, max_size=3),
    st.lists(st.integers(1, 500), min_size=3, max_size=3),
    st.integers(1, 500),
)
def test_good_configuration_keeps_what_its_rules_promise(
    former: list[list[str]], retentions_d: list[int], remembered_d: int
) -> None:
    """A former name belongs to one tenant and to none of today's, and no job is shown longer than it is remembered."""
    names = "abcd"[: len(former)]
    entries = [
        f"  - {{name: {name}, org: a, client_id: a, client_secret: a,"
        f" retention: {days}d, former_names: [{', '.join(its)}]}}\n"
        for name, its, days in zip(names, former, retentions_d, strict=False)
    ]
    claimed = [name for its in former for name in its]
    sound = len({*claimed, *names}) == len(claimed) + len(names)
    sound = sound and remembered_d >= max(retentions_d[: len(former)])
    text = f"store: {{remember_counted: {remembered_d}d}}\ntenants:\n{''.join(entries)}"
    assert told(text, {}).startswith("Config(") == sound


@settings(deadline=None)
@given(st.sampled_from(["http://{}@a.example", "https://u:{}@a.example:1/x", "u:{}@a.example", "socks5://u:{}@a"]))
def test_password_in_a_url_is_never_shown(url: str) -> None:
    """A password in an address stays secret, whether the address is right or wrong."""
    for key in ("base_url", "token_url", "proxy"):
        assert MARK not in told(TENANT.format(name="acme", secret="", field=key, value=url.format(MARK)), {})
