"""Which form of the page a scraper wants, and whether compressed.

Pure reading of two request headers; nothing here knows a web framework.

Source: RFC 9110, sections 5.6 (lists, quoted strings, parameters), 12.4 (weights), 12.5.1 (Accept) and
12.5.3 (Accept-Encoding).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

# The closing quote may be missing, and the rest of the header is then quoted: were it asked for, each open quote would
# be tried anew to the end, in time that grows with the square of what a client sends.
_QUOTED = r'"(?:[^"\\]|\\.)*"?'
_ELEMENTS = re.compile(rf'(?:[^",]|{_QUOTED})+', re.DOTALL)
_PARTS = re.compile(rf'(?:[^";]|{_QUOTED})+', re.DOTALL)

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_WORD})=(?:({_WORD})|"((?:[^"\\]|\\.)*)")', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# The grammar allows three decimals; clients that divide send more, and their meaning is plain.
_WEIGHT = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
_WHITESPACE = " \t"


class Form(Enum):
    """The two forms of the page; each value is the Content-Type that we answer with."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def content_type(self) -> str:
        """The whole Content-Type header of an answer in this form."""
        return self.value


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One element of a list header: what is named, its parameters but `q`, and its weight from 0 to 1."""

    name: str
    parameters: Mapping[str, str]
    weight: float


def choose_form(accept: str | None) -> Form:
    """Tell which form answers a request with this Accept header; None when it sent none.

    OpenMetrics only where it weighs more than text. On a tie it is text, and so it is where the header refuses both or
    cannot be read: RFC 9110 (12.5.1) leaves the choice between 406 and an answer to us, and a page that the scraper
    can probably read serves it better than a gap in all its series.

    Several lines of the header are one list: join them with commas before.
    """
    wanted = list(_elements(accept)) if accept is not None else []
    return Form.OPENMETRICS if _weight(Form.OPENMETRICS, wanted) > _weight(Form.TEXT, wanted) else Form.TEXT


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Tell whether a request with this Accept-Encoding header is answered with gzip; None when it sent none.

    gzip is taken where it is acceptable and weighs no less than the plain page. A plain page that is not spoken of
    yields to anything that is, and is sent all the same where nothing else is left, even if refused by `identity;q=0`.
    Without the header everything is acceptable, but such clients are mostly those that cannot decompress.
    """
    if accept_encoding is None:
        return False
    weights: dict[str, float] = {}
    for element in _elements(accept_encoding):
        coding = "gzip" if element.name == "x-gzip" else element.name
        weights[coding] = max(element.weight, weights.get(coding, 0.0))
    others = weights.get("*", 0.0)
    gzip = weights.get("gzip", others)
    return gzip > 0 and gzip >= weights.get("identity", others)


def _weight(form: Form, wanted: list[_Wanted]) -> float:
    """Weight of a form: that of the most specific range it falls in, of equally specific ones the highest; else 0."""
    offered = next(_elements(form.content_type))
    fits = [(rank, element.weight) for element in wanted if (rank := _specificity(element, offered)) is not None]
    return max(fits, default=((0, 0), 0.0))[1]


def _specificity(element: _Wanted, offered: _Wanted) -> tuple[int, int] | None:
    """Rank a media range among those that match what we offer, higher is more specific; None where it does not match.

    A parameter that our Content-Type has must have the same value: `version=0.0.1` is an OpenMetrics we do not speak.
    Others do not prevent a match: `escaping`, which Prometheus 3 sends, says which metric names it could bear, and
    ours are plain ASCII that reads the same under every escaping.
    """
    kind = offered.name.partition("/")[0]
    ranges = ("*/*", f"{kind}/*", offered.name)
    if element.name not in ranges:
        return None
    named = [
        (value, offered.parameters[name]) for name, value in element.parameters.items() if name in offered.parameters
    ]
    if any(asked.lower() != ours for asked, ours in named):
        return None
    return ranges.index(element.name), len(named)


def _elements(header: str) -> Iterator[_Wanted]:
    """Read a list header, in its order; elements that break the grammar say nothing certain and are passed over."""
    for text in _ELEMENTS.findall(header):
        name, _, rest = text.partition(";")
        parameters = _parameters(rest)
        if parameters is None:
            continue
        weight = parameters.pop("q", "1")
        if _WEIGHT.fullmatch(weight):
            yield _Wanted(name.strip(_WHITESPACE).lower(), parameters, float(weight))


def _parameters(text: str) -> dict[str, str] | None:
    """Read `name=value;…`, names in lower case and values unquoted; None where one is malformed or there twice.

    `q` counts as the weight wherever it stands, as RFC 9110 (12.5.1) asks of recipients.
    """
    parameters: dict[str, str] = {}
    for part in filter(None, (part.strip(_WHITESPACE) for part in _PARTS.findall(text))):
        match = _PARAMETER.fullmatch(part)
        if match is None or match[1].lower() in parameters:
            return None
        parameters[match[1].lower()] = match[2] if match[2] is not None else _ESCAPED.sub(r"\1", match[3])
    return parameters
