"""What docs/pipeline.md shows is what the program takes."""

import json
import re

import yaml

from spexporter.config.httpclient import AuthorizationSection, HttpClientSection
from spexporter.simulator.orders import Order
from spexporter.simulator.wishes import wish
from tests.support.modules import ROOT

PAGE = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    """Return the page's only code block of a kind."""
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def test_shown_http_configuration_has_every_key() -> None:
    """Those of `authorization` stand in the text below, as they exclude `basic_auth`."""
    shown = yaml.safe_load(block("yaml"))
    section = HttpClientSection.model_validate({**shown, "tls_config": {**shown["tls_config"], **TEXT}})
    assert section.basic_auth
    assert section.tls_config
    given = section.basic_auth.model_fields_set | {"password"} | section.tls_config.model_fields_set
    known = section.basic_auth.fields_by_key().keys() | section.tls_config.fields_by_key().keys()
    assert given == known
    assert all(f"`{key}`" in PAGE for key in ("authorization", *AuthorizationSection.fields_by_key()))


TEXT = {"insecure_skip_verify": "false"}  # our own reader leaves every value the text that it is


def test_shown_import_is_one_that_the_simulator_takes() -> None:
    """It has errors although it completes."""
    order = wish(Order("import"), json.loads(block("json")))
    assert (order.final_state, order.duration_s) == ("COMPLETE", 20)
    assert order.result
    assert order.result.counts()["SOURCE"]["errors"] == 2
