"""Files that hold secrets or patients, and whether everybody on this machine may read or change them."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr

from node.setting_sources import PREFIX
from node.settings import Settings
from node.tls_settings import CertificateSettings

_SECRET_FILES: Final = ("password_file", "secret_file", "key_password_file", "key")


def private_files(settings: Settings, config: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """(what, file) of everything that is nobody else's business, the storage root included."""
    for name, value in environ.items():
        if name.upper().startswith(PREFIX) and name.upper().endswith("_FILE"):
            yield name, Path(value)
    inline = False
    for part in _parts(settings):
        inline = inline or any(isinstance(value, SecretStr) for _, value in part)
        yield from ((name, value) for name, value in part if name in _SECRET_FILES and isinstance(value, Path))
        if isinstance(part, CertificateSettings) and part.certificate is not None and part.key is None:
            yield "key", part.certificate
    if inline and config is not None:
        yield "settings with secrets", config
    yield "storage", settings.storage.root


def exposed(file: Path) -> tuple[str, bool] | None:
    """What everybody may do with a file or folder, and whether the node can be run so; None if they may do nothing."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return None  # a missing one is told where it is read
    if mode & stat.S_IWOTH:
        return f"{file} can be changed by everybody on this machine (mode {mode & 0o777:o})", False
    if mode & (stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH):
        return f"WARNING: {file} can be read by everybody on this machine (mode {mode & 0o777:o})", True
    return None


def exposures(settings: Settings, config: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """(what, in words, whether it is bearable) of every such file that others may get at; a line if there is none."""
    files = dict.fromkeys(private_files(settings, config, environ))
    found = [(name, said) for name, file in files if (said := exposed(file)) is not None]
    for name, (words, fine) in found:
        yield f"private files, {name}", words, fine
    if not found:
        yield "private files", f"{len(files)}, none open to everybody", True


def _parts(part: BaseModel) -> Iterator[BaseModel]:
    yield part
    for _, value in part:
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel):
                yield from _parts(one)
