import pytest

from spexporter.sailpoint.advice import about_forbidden, about_not_found, about_unreachable
from spexporter.sailpoint.auth import Credential, Token
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.wire import Grants

ADMIN = frozenset({"ORG_ADMIN"})


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        (Grants(has_user=False), "no user context"),
        (
            Grants(has_user=True, scopes=frozenset({"sp:config:read"}), authorities=ADMIN),
            "lacks the scope sp:config:manage",
        ),
        (
            Grants(has_user=True, scopes=frozenset({"sp:config:manage"}), authorities=frozenset({"ORG_USER"})),
            "lacks the user level Admin",
        ),
        (
            Grants(has_user=True, scopes=frozenset({"sp:scopes:all"}), authorities=ADMIN),
            "give the personal access token the scope",
        ),
        (Grants(), "give the personal access token the scope"),
    ],
    ids=["API client", "scope", "user level", "all seems right", "nothing shown"],
)
def test_a_403_on_an_import_names_what_the_token_shows_to_be_missing(grants: Grants, words: str) -> None:
    """Where the token shows nothing wrong, both scope and user level are named."""
    assert words in about_forbidden(Endpoint.IMPORT_STATUS, grants)


def test_reading_exports_needs_less() -> None:
    """A token that may manage may also read."""
    managing = Grants(has_user=True, scopes=frozenset({"sp:config:manage"}), authorities=frozenset())
    assert "lacks the user level" in about_forbidden(Endpoint.EXPORT_STATUS, managing)
    other = Grants(has_user=True, scopes=frozenset({"sp:search:read"}), authorities=ADMIN)
    assert "lacks the scope sp:config:read" in about_forbidden(Endpoint.EXPORT_STATUS, other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SSL: CERTIFICATE_VERIFY_FAILED", "ca_file"),
        ("Name or service not known", "DNS"),
        ("Connection refused", "the proxy setting"),
        ("[[SSL: WRONG_VERSION_NUMBER] wrong version number]", "may not speak https"),
    ],
)
def test_a_failed_connection_names_the_setting_to_look_at(text: str, words: str) -> None:
    """Certificates, names and ports are different settings."""
    assert words in about_unreachable(text)


def test_credentials_and_tokens_do_not_show_in_repr() -> None:
    """They end up in tracebacks and debuggers."""
    assert "planted" not in repr(Credential("https://x/oauth/token", "planted-id", lambda: "planted-secret"))
    assert "planted" not in repr(Token("planted-token", 1.0, Grants()))


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        (Endpoint.BACKUPS, "sp:config-backup:read"),
        (Endpoint.UPLOADS, "sp:config-backup:read"),
        (Endpoint.DRAFTS, "sp:config-draft:read"),
        (Endpoint.DEPLOYS, "sp:config-deploy:read"),
        (Endpoint.PERSONAL_ACCESS_TOKENS, "sp:my-personal-access-tokens:read"),
    ],
)
def test_each_list_has_a_scope_of_its_own_and_needs_no_admin(endpoint: Endpoint, scope: str) -> None:
    """Those of SP-Config are not enough; the one to manage what is listed is."""
    sp_config = Grants(has_user=True, scopes=frozenset({"sp:config:manage"}), authorities=ADMIN)
    assert f"lacks the scope {scope}:" in about_forbidden(endpoint, sp_config)
    for enough in (scope, scope.replace(":read", ":manage"), "sp:scopes:all"):
        grants = Grants(has_user=True, scopes=frozenset({enough}), authorities=frozenset({"ORG_USER"}))
        assert about_forbidden(endpoint, grants).startswith(f"give the personal access token the scope {scope},")
    assert "no user context" in about_forbidden(endpoint, Grants(has_user=False))


def test_a_list_that_is_not_there_names_the_setting_that_asks_for_it() -> None:
    """A 404 on a job is about that job, one on a list about the tenant."""
    assert "take deploys out of discover" in about_not_found(Endpoint.DEPLOYS)
    assert "credential_expires" in about_not_found(Endpoint.PERSONAL_ACCESS_TOKENS)
    assert about_not_found(Endpoint.EXPORT_STATUS) == ""
