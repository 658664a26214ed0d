"""Reads every eligible series under a path, without a network and without a ledger: the node's own stages, in order."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

from model.definition import definition_for
from model.reader import Reader
from model.scoring import Candidate, candidates
from node.dicom.answers import build_answers
from node.dicom.headers import read_file_instance
from node.dicom.references import read_source
from node.dicom.request import NodeIdentity, Request, Role
from node.dicom.summary import render_summary
from node.domain.eligibility import judge
from node.domain.errors import Malformed, Unreadable
from node.domain.findings import Findings
from node.domain.grouping import group_slices
from node.domain.policy import Policy
from node.domain.ranking import Candidate as Reconstruction
from node.domain.ranking import choose_reconstruction
from node.domain.reading_json import Declined, dumps
from node.domain.series import Instance
from node.domain.verdict import Verdict
from node.stages.reading import ReadStack, paths_of, read_stack, volume_of

_FILE_NAMES = {Role.SEG: "seg.dcm", Role.SR: "sr.dcm"}
_WRITTEN = ("reading.json", *_FILE_NAMES.values(), "summary.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSeries:
    """A series found under a path: its instances, the file of each by SOP Instance UID, and the verdict on it."""

    instances: tuple[Instance, ...]
    paths: Mapping[str, Path]
    verdict: Verdict

    @property
    def series_uid(self) -> str:
        """Series Instance UID."""
        return self.instances[0].series_uid


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that is no DICOM, or that contradicts another one, and why it was left out."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineReader:
    """What reading without a node needs; without a ``reader`` every series must be declined by its headers."""

    reader: Reader | None
    policy: Policy
    identity: NodeIdentity
    settings_sha256: str

    def answer(self, found: FoundSeries, folder: Path | None, now: datetime) -> Findings | Declined:
        """Read one series and write ``reading.json`` and the objects into ``folder``, if one is given.

        Raises
        ------
        OSError
            The folder cannot be written.

        """
        started = time.perf_counter()
        if found.verdict.chosen is None or self.reader is None:
            first = found.instances[0]
            result: ReadStack | Declined = Declined(
                study_uid=first.study_uid, series_uid=first.series_uid, reasons=found.verdict.reason_texts
            )
        else:
            result = read_stack(found.verdict, found.paths, self.reader, self.policy)
        if isinstance(result, Declined):
            if folder is not None:
                _clear(folder)
                _write(folder, {"reading.json": dumps(result).encode("utf-8")})
            return result
        return self._write_answers(found, result, folder, now, started)

    def _write_answers(
        self, found: FoundSeries, read: ReadStack, folder: Path | None, now: datetime, started: float
    ) -> Findings:
        if folder is None or found.verdict.chosen is None:
            return _timed(read.findings, {"total": _since(started)})
        answering = time.perf_counter()
        request = Request(
            findings=read.findings,
            labels=read.labels,
            hu=read.volume.hu,
            source=read_source(paths_of(found.verdict.chosen, found.paths), read.planes),
            identity=self.identity,
            settings_sha256=self.settings_sha256,
            made_at=now,
        )
        files = {_FILE_NAMES[made.role]: made.data for made in build_answers(request, tuple(_FILE_NAMES))}
        answers_ms, drawing = _since(answering), time.perf_counter()
        files["summary.png"] = _png(request)
        summary_ms, writing = _since(drawing), time.perf_counter()
        _clear(folder)
        _write(folder, files)
        parts = {"answers": answers_ms, "summary": summary_ms, "write": _since(writing), "total": _since(started)}
        findings = _timed(read.findings, parts)
        _write(folder, {"reading.json": dumps(findings).encode("utf-8")})
        return findings


def files_under(path: Path) -> list[Path]:
    """The file, or every file below the folder, sorted. Hidden files and folders are left alone."""
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def search(files: Iterable[Path], policy: Policy) -> tuple[tuple[FoundSeries, ...], tuple[Skipped, ...]]:
    """Group DICOM files by series and judge each, beside the others of its study; and what was left out."""
    series: dict[str, dict[str, tuple[Instance, Path]]] = {}
    skipped: list[Skipped] = []
    for file in files:
        try:
            instance = read_file_instance(file)
        except Malformed as error:
            skipped.append(Skipped(path=file, why=str(error)))
        except OSError as error:
            skipped.append(Skipped(path=file, why=error.strerror or type(error).__name__))
        else:
            members = series.setdefault(instance.series_uid, {})
            _, first = members.setdefault(instance.sop_uid, (instance, file))
            if first != file and first.read_bytes() != file.read_bytes():
                skipped.append(Skipped(path=file, why=f"the same instance as {first.name}, with other content"))
    verdicts = _verdicts([[one for one, _ in members.values()] for members in series.values()], policy)
    found = tuple(
        FoundSeries(
            instances=tuple(instance for instance, _ in members.values()),
            paths={sop_uid: file for sop_uid, (_, file) in members.items()},
            verdict=verdicts[uid],
        )
        for uid, members in series.items()
    )
    return found, tuple(skipped)


def candidates_of(found: FoundSeries, profile: str, policy: Policy) -> tuple[Candidate, ...]:
    """Every 2D component that the area rule keeps, whatever it belongs to; no network is involved.

    Works on any stack that a volume can be made of, eligible or not: phantoms are measured this way.

    Raises
    ------
    Unreadable, Malformed
        No volume can be made of the series.

    """
    group = found.verdict.chosen or next(iter(group_slices(found.instances)), None)
    if group is None:
        raise Unreadable("the series holds no cross-sectional images")
    volume = volume_of(group, found.paths, policy).volume
    return candidates(volume, definition_for(profile, volume.kvp))


def _verdicts(series: Sequence[Sequence[Instance]], policy: Policy) -> dict[str, Verdict]:
    studies: dict[str, list[Reconstruction]] = {}
    for instances in series:
        reconstruction = Reconstruction(series_uid=instances[0].series_uid, verdict=judge(instances, policy))
        studies.setdefault(instances[0].study_uid, []).append(reconstruction)
    verdicts: dict[str, Verdict] = {}
    for members in studies.values():
        verdicts |= choose_reconstruction(members, policy)
    return verdicts


def _png(request: Request) -> bytes:
    buffer = BytesIO()
    render_summary(request).save(buffer, format="PNG")
    return buffer.getvalue()


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _timed(findings: Findings, parts_ms: Mapping[str, float]) -> Findings:
    """Findings with more timings; the reader's own total becomes "read", beside the whole chain's."""
    read = {("read" if name == "total" else name): ms for name, ms in findings.timings_ms.items()}
    return replace(findings, timings_ms={**read, **parts_ms})


def _clear(folder: Path) -> None:
    """Take away what an earlier reading left: its objects must not stand beside this one's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _WRITTEN:
        (folder / name).unlink(missing_ok=True)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
