"""From a stack of files to findings: the one path that the node and the command line share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.definition import DEFAULT_PROFILE, UnsupportedKvpError
from model.lesions import Lesion
from model.preprocess import OrientationError
from model.reader import Reader, Reading
from model.volume import CtVolume
from node.dicom.scored_mask import CtContext
from node.dicom.volumes import VolumeOf, read_volume
from node.domain.eligibility import ContentFacts, judge_content
from node.domain.errors import Malformed, Permanent, Retryable, Unreadable
from node.domain.findings import Findings, LesionFinding, ModelIdentity, RegionScore, ScoreDefinition
from node.domain.grouping import SliceGroup
from node.domain.human_read import StudyKey
from node.domain.policy import Policy
from node.domain.reading_json import Declined
from node.domain.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadStack:
    """A read stack: what was found, where (uint8 labels on the grid of the volume), and the volume itself.

    ``planes`` are the SOP Instance UID and frame number (from 1) of each slice, in order.
    """

    findings: Findings
    labels: NDArray[np.uint8]
    volume: CtVolume
    planes: tuple[tuple[str, int], ...]


def paths_of(group: SliceGroup, paths: Mapping[str, Path]) -> list[Path]:
    """The files of a stack in order of position, each once; ``paths`` is by SOP Instance UID."""
    uids = dict.fromkeys(placed.instance.sop_uid for placed in group.slices)
    return [paths[uid] for uid in uids]


@contextmanager
def received_files() -> Iterator[None]:
    """Say what a file that cannot be opened means, which is nothing about the scan itself.

    Raises
    ------
    Permanent
        A file is gone; a person has to bring it back.
    Retryable
        The disk or the network it is on does not answer.

    """
    try:
        yield
    except FileNotFoundError as error:
        raise Permanent("a received file is missing: have the series sent again, then retry") from error
    except OSError as error:
        raise Retryable(f"a received file cannot be read now: {error.strerror or type(error).__name__}") from error


def volume_of(group: SliceGroup, paths: Mapping[str, Path], policy: Policy) -> VolumeOf:
    """The volume of a stack.

    Raises
    ------
    Unreadable, Malformed
        With every reason.
    Permanent, Retryable
        As :func:`received_files`.

    """
    only = {(placed.instance.sop_uid, placed.frame + 1) for placed in group.slices}
    with received_files():
        loaded = read_volume(paths_of(group, paths), only=only)
    if loaded.volume.kvp is None and policy.assume_kvp is not None:
        return replace(loaded, volume=replace(loaded.volume, kvp=policy.assume_kvp))
    return loaded


def context_of(group: SliceGroup, loaded: VolumeOf, profile: str = DEFAULT_PROFILE) -> CtContext:
    """What marks that a human has drawn on a stack are laid on; ``profile`` is by which rules they are scored."""
    first = group.slices[0].instance
    return CtContext(
        volume=loaded.volume,
        planes=tuple(zip(loaded.sop_uids, loaded.frames, strict=True)),
        study=StudyKey(study_uid=first.study_uid, series_uid=first.series_uid),
        frame_of_reference_uid=first.acquisition.frame_of_reference_uid,
        profile=profile,
    )


def read_stack(verdict: Verdict, paths: Mapping[str, Path], reader: Reader, policy: Policy) -> ReadStack | Declined:
    """Read the stack that ``verdict`` chose; a scan that cannot be answered for is declined with every reason."""
    group = verdict.chosen
    if group is None:
        raise ValueError("only an eligible series has a stack to read")
    first = group.slices[0].instance
    declined = Declined(study_uid=first.study_uid, series_uid=first.series_uid, reasons=("",))
    started = time.perf_counter()
    try:
        loaded = volume_of(group, paths, policy)
        decoded = time.perf_counter()
        reading = reader.read(loaded.volume)
    except (Unreadable, Malformed, UnsupportedKvpError, OrientationError) as error:
        return replace(declined, reasons=(str(error),), notes=verdict.note_texts)
    content = judge_content(_facts(reading), policy)
    notes = (*_worth_saying(verdict), *loaded.notes, *content.note_texts)
    if not content.eligible:
        return replace(declined, reasons=content.reason_texts, notes=notes)
    findings = _findings(reading, loaded.volume, study_uid=first.study_uid, series_uid=first.series_uid)
    return ReadStack(
        findings=replace(
            findings,
            notes=tuple(dict.fromkeys((*_beside_doubts(reading), *notes))),
            timings_ms={"decode": (decoded - started) * 1000, **findings.timings_ms},
        ),
        labels=reading.mask.labels,
        volume=loaded.volume,
        planes=tuple(zip(loaded.sop_uids, loaded.frames, strict=True)),
    )


def _worth_saying(verdict: Verdict) -> tuple[str, ...]:
    """What was noticed of the headers, without what only speaks for the series."""
    return tuple(finding.text for finding in verdict.notes if finding.weight >= 0)


def _beside_doubts(reading: Reading) -> tuple[str, ...]:
    """The reader's notes without its doubts of quality: those are judged by the site's own limits."""
    return tuple(note for note in reading.notes if note not in reading.quality.doubts)


def _facts(reading: Reading) -> ContentFacts:
    quality = reading.quality
    return ContentFacts(
        heart_found=reading.heart.found,
        heart_truncated=bool(quality.truncated),
        blood_pool_hu=quality.blood_pool_hu,
        noise_hu=quality.noise_sd_hu,
        metal=any(doubt.startswith("metal") for doubt in quality.doubts),
    )


def _findings(reading: Reading, volume: CtVolume, *, study_uid: str, series_uid: str) -> Findings:
    return Findings(
        study_uid=study_uid,
        series_uid=series_uid,
        scores={
            region: RegionScore(
                agatston=score.agatston, volume_mm3=score.volume_mm3, mass_mg=score.mass_mg, lesions=score.lesions
            )
            for region, score in reading.scores.regions.items()
        },
        category=reading.category,
        cac_drs=reading.cac_drs,
        interval=reading.interval,
        lesions=tuple(_lesion(lesion) for lesion in reading.lesions),
        quality=_quality(reading, volume),
        definition=_definition(reading, volume),
        model=ModelIdentity(
            name=reading.model.name,
            version=reading.model.version,
            sha256=reading.model.sha256,
            trained_on=reading.model.trained_on,
        ),
        timings_ms=dict(reading.timings_ms),
    )


def _lesion(lesion: Lesion) -> LesionFinding:
    return LesionFinding(
        vessel=str(lesion.vessel),
        agatston=lesion.agatston,
        volume_mm3=lesion.volume_mm3,
        mass_mg=lesion.mass_mg,
        peak_hu=lesion.peak_hu,
        centroid_lps_mm=lesion.centroid_lps_mm,
        slices=lesion.slices,
        probability=lesion.probability,
    )


def _quality(reading: Reading, volume: CtVolume) -> dict[str, object]:
    quality = reading.quality
    return {
        "noise_sd_hu": quality.noise_sd_hu,
        "blood_pool_hu": quality.blood_pool_hu,
        "truncated": list(quality.truncated),
        "metal_mm3": quality.metal_mm3,
        "step_mm": quality.step_mm,
        "doubts": list(quality.doubts),
        "heart_centre_lps_mm": None if reading.heart.centre_lps_mm is None else list(reading.heart.centre_lps_mm),
        "slices": volume.grid.shape[0],
        "slice_spacing_mm": volume.grid.slice_spacing_mm,
    }


def _definition(reading: Reading, volume: CtVolume) -> ScoreDefinition:
    definition = reading.definition
    return ScoreDefinition(
        profile=definition.profile,
        connectivity=definition.connectivity,
        minimum_area=definition.minimum_area_text,
        threshold_hu=definition.threshold_hu,
        weight_limits_hu=definition.weight_limits_hu,
        kvp=definition.kvp,
        kvp_adapted=definition.kvp_adapted,
        mass_factor=volume.mass_factor,
    )
