"""Ranges anatomy is drawn from. A pair is (low, high) of a uniform draw unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

Range = tuple[float, float]


class Cohort(StrEnum):
    """Which population's calcium burden is drawn."""

    HIGH = "high"  # referred patients: CAC 0 / 1-99 / 100-399 / >= 400 in 11 / 11 / 24 / 53 %
    LOW = "low"  # screening: 45 / 33 / 14 / 8 %
    MIXED = "mixed"  # half of each
    NONE = "none"  # no calcium that is scored


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartRanges:
    """Size, place and shape of the heart relative to the atlas (a normal adult)."""

    scale: Range = (0.72, 1.06)
    axis_scale: Range = (0.92, 1.08)
    rotation_sd_deg: tuple[float, float, float] = (8.0, 7.0, 7.0)
    carina_mm: float = 46.0  # height of the carina above the atlas origin
    carina_below_top_mm: Range = (-12.0, 16.0)
    in_plane_offset_mm: tuple[float, float] = (-6.0, 2.0)
    in_plane_sd_mm: tuple[float, float] = (9.0, 9.0)
    warp_mm: Range = (1.5, 4.5)
    warp_cell_mm: float = 48.0
    fine_warp_mm: Range = (0.0, 1.2)
    fine_warp_cell_mm: float = 20.0
    swelling: Range = (-0.18, 0.22)
    slabs: float = 0.35  # share of scans put together from slabs of different heart beats
    slab_step_sd_mm: float = 0.9
    lv_wall_scale: Range = (0.75, 1.4)
    inflate_mm: Range = (-1.5, 1.5)
    epicardial_fat_mm: Range = (0.5, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoronaryRanges:
    """Variants of the coronary tree."""

    right_dominant: float = 0.82
    codominant: float = 0.08
    ramus: float = 0.25
    branch_present: float = 0.75
    main_stem_mm: Range = (3.0, 16.0)
    wiggle_mm: Range = (0.3, 1.8)
    proximal_radius_mm: Range = (1.4, 2.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRanges:
    """The thorax around the heart: tissues in HU, sizes in mm, and how often (0..1) a finding is there."""

    fat_hu: Range = (-118.0, -86.0)
    muscle_hu: Range = (38.0, 62.0)
    blood_hu: Range = (30.0, 60.0)
    lung_hu: Range = (-910.0, -710.0)
    trabecular_hu: Range = (70.0, 260.0)
    cortical_hu: Range = (320.0, 950.0)
    subcutaneous_mm: Range = (4.0, 42.0)
    wall_mm: Range = (10.0, 20.0)
    liver_hu: Range = (30.0, 72.0)
    spurs: float = 0.35
    spur_mm: Range = (2.0, 10.0)
    spur_gap_mm: Range = (0.0, 3.0)  # between spurs and the aorta's wall
    calcified_ligament: float = 0.12
    sclerotic_plates: float = 0.3
    pleural_fluid: float = 0.12
    dependent_lung: float = 0.3
    pericardial_fluid: float = 0.15
    hernia: float = 0.08
    dense_gullet: float = 0.06
    dense_stomach: float = 0.1

    @classmethod
    def unseen(cls) -> Self:
        """Harder ranges for cases that are only tested on."""
        return cls(
            blood_hu=(26.0, 66.0), lung_hu=(-940.0, -660.0), cortical_hu=(260.0, 1200.0), spurs=0.7,
            spur_mm=(5.0, 14.0), spur_gap_mm=(0.0, 1.5), calcified_ligament=0.3, sclerotic_plates=0.5,
            pleural_fluid=0.25, dependent_lung=0.5, pericardial_fluid=0.3, hernia=0.2, dense_gullet=0.15,
            dense_stomach=0.25,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfuserRanges:
    """How often a case carries what must not be scored."""

    mitral_annulus: float = 0.3
    curtain: float = 0.08  # between aortic and mitral valve
    papillary: float = 0.1
    pericardial: float = 0.08
    nodes: float = 0.35
    ligament: float = 0.06  # arteriosum
    bronchi: float = 0.1
    granuloma: float = 0.3
    stent: float = 0.06
    lead: float = 0.08
    line: float = 0.06
    sternal_wires: float = 0.08
    clips: float = 0.06
    electrodes: float = 0.2
    valve_prosthesis: float = 0.05

    @classmethod
    def unseen(cls) -> Self:
        """Higher rates, for cases that are only tested on."""
        return cls(
            mitral_annulus=0.6, curtain=0.25, papillary=0.25, pericardial=0.25, nodes=0.7, ligament=0.2, bronchi=0.25,
            granuloma=0.5, stent=0.15, lead=0.25, line=0.2, sternal_wires=0.2, clips=0.2, electrodes=0.4,
            valve_prosthesis=0.12,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AnatomyRanges:
    """Everything a scene is drawn from."""

    heart: HeartRanges = field(default_factory=HeartRanges)
    coronaries: CoronaryRanges = field(default_factory=CoronaryRanges)
    body: BodyRanges = field(default_factory=BodyRanges)
    confusers: ConfuserRanges = field(default_factory=ConfuserRanges)
    cohort: Cohort = Cohort.MIXED
