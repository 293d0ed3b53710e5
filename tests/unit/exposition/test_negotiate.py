from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.exposition.negotiate import Form, accepts_gzip, choose_form

TEXT, OPENMETRICS = Form.TEXT, Form.OPENMETRICS

PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_53 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_5 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
FIREFOX = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8"
)
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
VICTORIAMETRICS = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
OURS = "application/openmetrics-text;version=1.0.0"

# What headers are made of, so that random ones come near to being right.
SCRAPS = st.sampled_from([*',;="\\/* \t', "q", "q=", "0", "1", ".5", "*/*", "text", "plain", "gzip", "identity", OURS])
HEADERS = st.one_of(st.text(), st.lists(SCRAPS, max_size=12).map("".join))
WEIGHTS = st.integers(0, 1000).map(lambda thousandths: f"{thousandths / 1000:.3f}")
RANGES = st.sampled_from(
    [
        "*/*",
        "text/*",
        "application/*",
        "text/plain",
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0",
        "text/plain;charset=utf-8;version=0.0.4",
        "text/html",
        "application/openmetrics-text",
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;charset=utf-8",
    ]
)
ACCEPTS = st.lists(st.tuples(RANGES, WEIGHTS), max_size=5)
CODINGS = st.lists(st.tuples(st.sampled_from(["gzip", "x-gzip", "identity", "*", "br"]), WEIGHTS), max_size=5)


def header(elements: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name};q={weight}" for name, weight in elements)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        pytest.param(PROMETHEUS_2_42, OPENMETRICS, id="prometheus-2.42"),
        pytest.param(PROMETHEUS_2_53, OPENMETRICS, id="prometheus-2.53"),
        pytest.param(PROMETHEUS_3_5, OPENMETRICS, id="prometheus-3.5"),
        pytest.param(VICTORIAMETRICS, TEXT, id="victoriametrics"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param(FIREFOX, TEXT, id="firefox"),
        pytest.param(CHROME, TEXT, id="chrome"),
    ],
)
def test_real_clients_get_the_form_they_prefer(accept: str, form: Form) -> None:
    """Each known client is answered in the form that its header puts first among those we speak."""
    assert choose_form(accept) is form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        pytest.param(None, TEXT, id="no-header"),
        pytest.param("", TEXT, id="empty"),
        pytest.param("application/json", TEXT, id="nothing-of-ours"),
        pytest.param("text/plain;q=0, application/openmetrics-text;q=0", TEXT, id="both-refused"),
        pytest.param("text/plain, application/openmetrics-text", TEXT, id="tie"),
        pytest.param("application/openmetrics-text, text/plain;q=0.999", OPENMETRICS, id="just-above"),
        pytest.param("application/openmetrics-text;q=0.5, text/plain", TEXT, id="just-below"),
        pytest.param("application/openmetrics-text;q=0.001", OPENMETRICS, id="text-not-acceptable"),
        pytest.param("text/plain;q=0, */*;q=0.1", OPENMETRICS, id="text-refused-by-name"),
        pytest.param("application/openmetrics-text;q=0, */*", TEXT, id="openmetrics-refused-by-name"),
        pytest.param("application/*", OPENMETRICS, id="type-range"),
        pytest.param("application/*;q=0.2, */*;q=0.9", TEXT, id="type-range-beats-star"),
        pytest.param(
            "application/openmetrics-text;q=0.2, application/*, text/*;q=0.5", TEXT, id="name-beats-type-range"
        ),
        pytest.param(f"{OURS};q=0.2, application/openmetrics-text, text/plain;q=0.5", TEXT, id="version-beats-name"),
        pytest.param(f"{OURS};charset=utf-8;q=0.2, {OURS}, text/plain;q=0.5", TEXT, id="two-parameters-beat-one"),
        pytest.param("application/openmetrics-text;version=0.0.1", TEXT, id="only-old-openmetrics"),
        pytest.param("application/openmetrics-text;version=0.0.1, text/*;q=0.1", TEXT, id="old-openmetrics-first"),
        pytest.param("application/openmetrics-text;version=0.0.1;q=0, */*", TEXT, id="old-openmetrics-refused"),
        pytest.param("application/openmetrics-text;q=0.5, text/plain;version=1.0.0", OPENMETRICS, id="newer-text"),
        pytest.param("application/openmetrics-text;q=0.5, text/plain;version=0.0.4", TEXT, id="our-text"),
        pytest.param(f"{OURS};escaping=allow-utf-8, text/plain;q=0.9", OPENMETRICS, id="unknown-parameter"),
        pytest.param(f"{OURS};charset=iso-8859-1", TEXT, id="other-charset"),
        pytest.param("application/openmetrics-text;charset=UTF-8", OPENMETRICS, id="value-in-capitals"),
        pytest.param("APPLICATION/OpenMetrics-Text;Version=1.0.0;Q=0.9, text/plain;q=0.8", OPENMETRICS, id="capitals"),
        pytest.param('application/openmetrics-text;version="1.0.0"', OPENMETRICS, id="quoted"),
        pytest.param(r'application/openmetrics-text;version="1\.0.\0"', OPENMETRICS, id="quoted-with-escapes"),
        pytest.param(f'text/plain;note="a,b;c\\",";q=0.3, {OURS};q=0.2', TEXT, id="quoted-separators"),
        pytest.param("application/openmetrics-text \t; version=1.0.0\t;\tq=0.5 ,, ", OPENMETRICS, id="white-space"),
        pytest.param("application/openmetrics-text;;version=1.0.0;", OPENMETRICS, id="empty-parameters"),
        pytest.param("application/openmetrics-text;q=0.2;version=1.0.0, text/plain;q=0.3", TEXT, id="q-is-not-last"),
        pytest.param("application/openmetrics-text;q=0.33333, text/plain;q=0.33332", OPENMETRICS, id="long-weight"),
        pytest.param("application/openmetrics-text;q=1., text/plain;q=0.", OPENMETRICS, id="weight-with-bare-dot"),
    ],
)
def test_form_follows_weight_and_specificity(accept: str | None, form: Form) -> None:
    """OpenMetrics answers where the most specific range it falls in weighs more than that of text; else text does."""
    assert choose_form(accept) is form


@pytest.mark.parametrize(
    "element",
    [
        pytest.param(f"{OURS};q=2", id="weight-above-1"),
        pytest.param(f"{OURS};q=-1", id="weight-below-0"),
        pytest.param(f"{OURS};q=nan", id="weight-not-a-number"),
        pytest.param(f"{OURS};q=", id="weight-empty"),
        pytest.param(f"{OURS};q=1x", id="weight-with-a-tail"),
        pytest.param(f"{OURS};q=1;q=0.5", id="weight-twice"),
        pytest.param(f"{OURS};q=\N{ARABIC-INDIC DIGIT ONE}", id="weight-in-other-digits"),
        pytest.param(f"{OURS};q = 1", id="white-space-around-equals"),
        pytest.param(f"{OURS};version=1.0.0", id="parameter-twice"),
        pytest.param(f"{OURS};lonely", id="parameter-without-value"),
        pytest.param(f'{OURS};note="never closed', id="open-quote"),
        pytest.param(f'{OURS};note="never closed\\', id="open-quote-and-escape"),
        pytest.param("application/openmetrics-text/1.0.0", id="two-slashes"),
        pytest.param("*/openmetrics-text", id="star-with-a-subtype"),
        pytest.param("application openmetrics-text", id="no-slash"),
        pytest.param(f";{OURS}", id="no-name"),
    ],
)
def test_malformed_element_is_passed_over(element: str) -> None:
    """An element that breaks the grammar neither wins nor spoils the elements before it."""
    assert choose_form(element) is TEXT
    assert choose_form(f"{OURS};q=0.5, text/plain;q=0.1, {element}") is OPENMETRICS
    assert choose_form(f"text/plain;q=0.1, {element}") is TEXT


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        pytest.param(None, False, id="no-header"),
        pytest.param("", False, id="empty"),
        pytest.param("gzip", True, id="prometheus-and-victoriametrics"),
        pytest.param("deflate, gzip, br, zstd", True, id="curl--compressed"),
        pytest.param("gzip, deflate, br, zstd", True, id="browsers"),
        pytest.param("identity", False, id="wget"),
        pytest.param("br, zstd", False, id="only-others"),
        pytest.param("GZip;Q=0.5", True, id="capitals"),
        pytest.param("x-gzip", True, id="alias"),
        pytest.param("x-gzip;q=0", False, id="alias-refused"),
        pytest.param("gzip;q=0", False, id="refused"),
        pytest.param("gzip;q=0.000", False, id="refused-with-decimals"),
        pytest.param("gzip;q=0, *", False, id="refused-by-name"),
        pytest.param("gzip;q=0.001", True, id="plain-not-named"),
        pytest.param("gzip;q=0.5, identity;q=0.5", True, id="tie"),
        pytest.param("gzip;q=0.4, identity;q=0.5", False, id="plain-preferred"),
        pytest.param("gzip;q=0.5, identity;q=0.4", True, id="gzip-preferred"),
        pytest.param("gzip;q=0.4, *;q=0.5", False, id="star-stands-for-plain"),
        pytest.param("*", True, id="star"),
        pytest.param("*;q=0", False, id="everything-refused"),
        pytest.param("*;q=0.3, identity;q=0.2", True, id="star-stands-for-gzip"),
        pytest.param("*;q=0.2, identity;q=0.3", False, id="star-below-plain"),
        pytest.param("identity;q=0", False, id="plain-refused-and-nothing-else-named"),
        pytest.param("identity;q=0, *;q=0.1", True, id="plain-refused"),
        pytest.param("gzip;q=nonsense", False, id="malformed-weight"),
        pytest.param("gzip ; q=0.7 , br", True, id="white-space"),
        pytest.param(";gzip", False, id="no-name"),
    ],
)
def test_gzip_follows_weight_against_the_plain_page(accept_encoding: str | None, compressed: bool) -> None:  # noqa: FBT001 - a column of the table
    """Gzip is used where it is acceptable and weighs no less than the plain page."""
    assert accepts_gzip(accept_encoding) is compressed


@given(value=HEADERS)
def test_any_text_is_answered(value: str) -> None:
    """Whatever stands in the headers, a form is chosen, and gzip only where the header could have meant it."""
    assert choose_form(value) in Form
    assert not accepts_gzip(value) or "gzip" in value.lower() or "*" in value


@given(elements=st.lists(st.tuples(RANGES, WEIGHTS), max_size=4))
def test_order_of_elements_says_nothing(elements: list[tuple[str, str]]) -> None:
    """Only weights and specificity decide, even among elements that contradict each other."""
    assert len({choose_form(header(list(order))) for order in permutations(elements)}) == 1


@given(elements=CODINGS)
def test_order_of_codings_says_nothing(elements: list[tuple[str, str]]) -> None:
    """Only weights decide, even where gzip is named twice."""
    assert accepts_gzip(header(elements)) is accepts_gzip(header(elements[::-1]))


@given(elements=st.lists(st.tuples(RANGES, WEIGHTS, WEIGHTS), max_size=5))
def test_less_weight_never_makes_openmetrics_win(elements: list[tuple[str, str, str]]) -> None:
    """Where text is chosen it stays so when ranges of OpenMetrics lose weight and ranges of text gain some."""
    before, after = [], []
    for name, *weights in elements:
        low, high = sorted(weights)
        is_text, is_ours = name.startswith("text/"), name.startswith("application/")
        before.append((name, high if is_ours else low))
        after.append((name, high if is_text else low))
    assert choose_form(header(before)) is OPENMETRICS or choose_form(header(after)) is TEXT


@given(elements=CODINGS, weight=WEIGHTS)
def test_less_weight_never_makes_gzip_win(elements: list[tuple[str, str]], weight: str) -> None:
    """Where the plain page is chosen it stays so when every weight of gzip falls."""
    lowered = [(name, min(weight, old) if name.endswith("gzip") else old) for name, old in elements]
    assert accepts_gzip(header(elements)) or not accepts_gzip(header(lowered))


@given(elements=ACCEPTS)
def test_only_the_ratio_of_weights_counts(elements: list[tuple[str, str]]) -> None:
    """Halving all weights changes nothing."""
    halved = [(name, f"{float(weight) / 2:.4f}") for name, weight in elements]
    assert choose_form(header(halved)) is choose_form(header(elements))


@given(elements=ACCEPTS)
def test_letter_case_white_space_and_quotes_say_nothing(elements: list[tuple[str, str]]) -> None:
    """The same header in capitals, with blanks around its separators and values quoted, gets the same form."""
    plain = header(elements)
    quoted = plain.replace("=1.0.0", '="1.0.0"').replace("=0.0.4", '="0\\.0.4"')
    for other in (plain.upper(), plain.replace(";", " ;\t").replace(",", "\t ,,"), quoted):
        assert choose_form(other) is choose_form(plain)


@pytest.mark.parametrize("scrap", ['"', '\\"', '"\\', '";', ',"', "a=", ';a="b"'])
def test_long_header_is_read_in_linear_time(scrap: str) -> None:
    """A hostile header of some hundred kilobytes is passed over at once instead of stopping the program for minutes."""
    assert choose_form(f"text/html;{scrap * 50_000}") is TEXT
