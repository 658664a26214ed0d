"""Whom a message is entrusted to: certificates are always verified."""

from __future__ import annotations

import ssl
from pathlib import Path


def tls_context(authority: Path | None = None) -> ssl.SSLContext:
    """Verifies certificate and host name, by the system's authorities and by those in the file ``authority``.

    Raises
    ------
    ValueError
        The file cannot be read, or holds no certificate.

    """
    context = ssl.create_default_context()
    if authority is not None:
        try:
            context.load_verify_locations(cafile=authority)
        except ssl.SSLError:
            raise ValueError(f"{authority} holds no certificate (PEM)") from None
        except OSError as error:
            raise ValueError(f"cannot read the certificates in {authority}: {error.strerror}") from None
    return context
