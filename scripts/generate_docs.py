#!/usr/bin/env python3
"""Write the generated reference pages: `make docs`. A test says when a committed page is stale."""

from collections.abc import Callable
from pathlib import Path

from spexporter.config.schema import Schema, file_schema

ROOT = Path(__file__).resolve().parent.parent

_CONFIGURATION_HEAD = """\
# Configuration reference

<!-- Written by `make docs` from the program itself; change the descriptions there. -->

One YAML file, given as `--config.file`. `config.example.yaml` shows every key in place. `spexporter check` names every
mistake in a file at once, with its line and what would be right; `spexporter schema` prints a JSON Schema for editors.

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
| path | a file; a relative path starts at the folder of the configuration file |
| URL | `https://…` without user, query and fragment; `http://…` on loopback and where `allow_http` is true |
| proxy URL | `http://…` or `https://…`, with or without user and password |
"""


def configuration() -> str:
    """Return the reference of the configuration file, one table for each of its mappings."""
    schema = file_schema()
    sections = [_CONFIGURATION_HEAD, "## Top level\n", _table(schema)]
    for title, name, introduction in (
        ("`tenants`", "TenantSection", "A list. Each entry inherits from `defaults` what it does not say itself."),
        ("`defaults`", "DefaultsSection", ""),
        ("`rate_limit`", "RateLimitSection", "Tenants with the same `client_id` share one budget and need the same."),
        ("`poll`", "PollSection", "A job is looked at often when its end is likely, and rarely when it is not."),
        ("`max_answer`", "MaxAnswerSection", "They bound the memory that an answer can take."),
        ("`jobs`", "JobSection", "A list in each tenant; an operation and id may stand there once."),
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
    return "\n".join(sections)


def _table(section: Schema) -> str:
    rows = ["| key | written as | default | meaning |", "|---|---|---|---|"]
    for key, value in section["properties"].items():
        default = f"`{value['default']}`" if "default" in value else ""
        rows.append(f"| `{key}` | {_written(key, value)} | {default} | {value['description']} |")
    return "\n".join(rows) + "\n"


def _written(key: str, value: Schema) -> str:
    if "$ref" in value:
        return f"mapping, see [`{key}`](#{key})"
    if value.get("type") == "array":
        return f"list, see [`{key}`](#{key})"
    words = value["anyOf"][0].get("enum")
    return ", ".join(f"`{word}`" for word in words) if words and value["title"] == "choice" else str(value["title"])


# Each page with the function that writes it.
PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "docs" / "configuration.md": configuration,
}


def main() -> None:
    """Write all pages."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
