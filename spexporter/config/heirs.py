"""What the tenants of any file inherit from `defaults` of the main file."""

from spexporter.config.model import DefaultsSection
from spexporter.config.nodes import Block, Items, Node, Text, inherit
from spexporter.domain.values import replace

_SECRETS = frozenset({"client_secret", "client_secret_file"})


def inherited(root: Block, defaults: Node | None) -> Block:
    """Return a file with `defaults` filled into each tenant; mistakes keep the place where they were written."""
    tenants = root.entries.get("tenants")
    if not isinstance(defaults, Block) or not isinstance(tenants, Items):
        return root
    filled = tuple(_inheriting(node, defaults) if isinstance(node, Block) else node for node in tenants.nodes)
    return replace(root, entries={**root.entries, "tenants": replace(tenants, nodes=filled)})


def _inheriting(tenant: Block, defaults: Block) -> Block:
    unwanted: frozenset[str] = frozenset()
    if tenant.entries.keys() & _SECRETS:
        # A tenant that names a secret of its own, in either form, does not want the other form from `defaults`.
        unwanted = _SECRETS
    expires = defaults.entries.get("credential_expires")
    if "client_id" in tenant.entries and isinstance(expires, Text) and expires.text != "auto":
        # The date is that of another token.
        unwanted |= {"credential_expires"}
    wanted = {
        key: node
        for key, node in defaults.entries.items()
        if key in DefaultsSection.fields_by_key() and key not in unwanted
    }
    return inherit(tenant, replace(defaults, entries=wanted))
