"""Certificate authorities and certificates of made-up hosts, by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.dicom.tls import OwnCertificate

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed: no certificates can be made")
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass(frozen=True)
class Authority:
    """An authority with its files in a folder."""

    folder: Path
    name: str = "hospital"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _openssl(
            *("req", "-x509", *_EC, "-nodes", "-days", "3650", "-subj", f"/CN={self.name} authority"),
            *("-keyout", self._key, "-out", self.certificate),
        )

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def _key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def issue(
        self, common: str, *, names: str = "IP:127.0.0.1", days: int = 365, password: str | None = None
    ) -> OwnCertificate:
        """A certificate; ``days`` of -1 has expired."""
        stem = self.folder / f"{self.name}-{common}"
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        made = OwnCertificate(certificate=stem.with_suffix(".pem"), key=stem.with_suffix(".key"), password=password)
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n", encoding="ascii")
        sealed = ("-nodes",) if password is None else ("-passout", f"pass:{password}")
        _openssl("req", *_EC, *sealed, "-subj", f"/CN={common}", "-keyout", made.key, "-out", request)
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial"),
            *("-days", str(days), "-extfile", extensions, "-out", made.certificate),
        )
        return made


def fingerprint(certificate: Path) -> str:
    """As openssl prints it."""
    said = _openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
    return said.partition("=")[2].strip()


def _openssl(*arguments: str | Path) -> str:
    assert OPENSSL is not None
    done = subprocess.run([OPENSSL, *arguments], capture_output=True, check=False, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
