"""A certificate for the simulator, made on the spot by an authority that is forgotten at once."""

import ssl
from pathlib import Path


class MissingTrustmeError(Exception):
    """The package `trustme` is not installed; it is no part of what the exporter needs."""


def make_certificate(host: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for `host` and this machine's own names; write its authority into `folder`.

    Returns:
        What a server needs, and the path of the authority's PEM file for its clients.

    Raises:
        MissingTrustmeError: say what to install.
    """
    try:
        import trustme  # noqa: PLC0415 - only --tls needs it
    except ImportError as error:
        raise MissingTrustmeError("--tls needs the package trustme: pip install 'spexporter[simulator]'") from error
    authority = trustme.CA(organization_name="spexporter simulator")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*dict.fromkeys((host, "localhost", "127.0.0.1", "::1"))).configure_cert(context)
    ca_file = folder / "simulator-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    return context, ca_file
