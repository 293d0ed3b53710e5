"""How families and samples are written in the two forms of the page.

Source: Prometheus' text format 0.0.4 (docs/instrumenting/exposition_formats.md) and OpenMetrics 1.0.0.
"""

import math
from collections.abc import Iterable

from spexporter.domain.counting import Exemplar
from spexporter.domain.family import Family
from spexporter.exposition.negotiate import Form

END = b"# EOF\n"  # of OpenMetrics


def escaped(text: str) -> str:
    """Return a label's value as it stands between quotes."""
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text


def number(value: float) -> str:
    """Return a value as both forms spell it."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def labelled(pairs: Iterable[tuple[str, str]]) -> str:
    """Return labels as they stand between braces."""
    return ",".join([f'{name}="{escaped(value)}"' for name, value in pairs])


def base_name(family: Family) -> str:
    """Return the name that OpenMetrics gives a family: a counter's without `_total`."""
    return family.name.removesuffix("_total") if family.type == "counter" else family.name


def header(family: Family, form: Form) -> bytes:
    """Return the lines that begin a family."""
    name = base_name(family) if form is Form.OPENMETRICS else family.name
    return _header(name, family.type, family.help, form)


def created_header(family: Family) -> bytes:
    """Return the lines that begin a family's `_created` series as text, where they are gauges of their own."""
    return _header(f"{base_name(family)}_created", "gauge", family.help, Form.TEXT)


def _header(name: str, kind: str, words: str, form: Form) -> bytes:
    words = words.replace("\\", r"\\").replace("\n", r"\n")
    if form is Form.OPENMETRICS:
        words = words.replace('"', r"\"")
    return f"# HELP {name} {words}\n# TYPE {name} {kind}\n".encode()


def exemplar_text(exemplar: Exemplar | None) -> str:
    """Return what OpenMetrics adds to a sample's line: the job that was counted."""
    if exemplar is None:
        return ""
    return f' # {{job_id="{escaped(exemplar.job_id)}"}} {number(exemplar.value)} {number(exemplar.at_s)}'
