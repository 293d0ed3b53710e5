from spexporter.board import LatestViews
from spexporter.domain.view import TenantHealth, TenantState, TenantView


def view(version: int) -> TenantView:
    return TenantView("acme", version, TenantState(), TenantHealth("https://acme.example"))


def test_a_page_that_ends_after_its_tenant_has_left_keeps_nothing_of_it() -> None:
    board = LatestViews()
    board.put(view(500))
    versions = {it.tenant: it.version for it in board.begin_page()}
    board.drop("acme")
    board.served(versions, 1.0)
    assert (board.served_version("acme"), board.shown("acme")) == (0, None)


def test_what_is_not_ours_any_more_is_on_no_page() -> None:
    """A replica that stood still has views that another one may show now."""
    ours = True
    board = LatestViews(ours=lambda: ours)
    board.put(view(1))
    assert [shown.version for shown in board.begin_page()] == [1]
    ours = False
    board.put(view(2))
    assert (board.begin_page(), board.begin_page("acme"), board.snapshot()) == ([], [], [])
    shown = board.shown("acme")
    assert shown
    assert shown.version == 1
