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
    """Size, place and shape of the heart relative to the atlas (a normal adult).

    Three real hearts with their fat (two LIDC-IDRI masks, one TotalSegmentator mask; 669 to 918 mL, 114-129 mm high,
    105-117 mm deep, 126-147 mm wide) lie within what is drawn.
    """

    scale: Range = (0.73, 0.97)
    axis_scale: Range = (0.93, 1.07)
    depth: float = 0.92  # from front to back the atlas is deeper than most hearts
    rotation_sd_deg: tuple[float, float, float] = (5.0, 5.0, 5.0)  # with everything around it; about x, y, z
    turn_mean_deg: tuple[float, float, float] = (-10.0, 0.0, 0.0)  # of the heart alone, about z, y, x: the atlas' apex
    turn_sd_deg: tuple[float, float, float] = (7.0, 9.0, 5.0)  # points further to the front than most
    carina_mm: float = 46.0  # height of the carina above the atlas origin
    carina_below_top_mm: Range = (-12.0, 16.0)
    in_plane_offset_mm: tuple[float, float] = (-6.0, 2.0)
    in_plane_sd_mm: tuple[float, float] = (9.0, 9.0)
    warp_mm: Range = (1.5, 4.5)
    warp_cell_mm: float = 48.0
    fine_warp_mm: Range = (0.0, 1.2)
    fine_warp_cell_mm: float = 20.0
    swelling: Range = (-0.14, 0.14)  # of each chamber on its own, beside what disease does to several
    remodelling: float = 1.0  # gain on what disease and age do
    slabs: float = 0.35  # share of scans put together from slabs of different heart beats
    slab_step_sd_mm: float = 0.9
    lv_wall_scale: Range = (0.8, 1.3)
    inflate_mm: Range = (-1.2, 1.2)
    ascending_mm: Range = (28.0, 46.0)  # diameters of root and ascending aorta are kept within
    root_stretch: Range = (-0.2, 0.25)
    epicardial_fat_mm: Range = (0.5, 6.5)  # over the whole heart; low is drawn for lean, high for stout bodies
    groove_fat_mm: Range = (2.5, 14.0)  # at most, in the grooves

    @classmethod
    def unseen(cls) -> HeartRanges:
        """Anatomy that training never draws from: other warps, wider turns and proportions; harder, still plausible."""
        return cls(
            scale=(0.67, 1.02), axis_scale=(0.89, 1.11), rotation_sd_deg=(6.0, 6.0, 6.0),
            turn_mean_deg=(-8.0, 0.0, 0.0), turn_sd_deg=(10.0, 12.0, 7.0), warp_mm=(2.5, 5.0), warp_cell_mm=36.0,
            fine_warp_mm=(0.6, 1.6), fine_warp_cell_mm=15.0, swelling=(-0.18, 0.2), remodelling=1.3,
            slabs=0.5, slab_step_sd_mm=1.2, lv_wall_scale=(0.75, 1.45), ascending_mm=(26.0, 50.0),
            epicardial_fat_mm=(0.2, 7.5), groove_fat_mm=(1.5, 15.0),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CoronaryRanges:
    """Variants of the coronary tree; lengths in atlas mm."""

    right_dominant: float = 0.82
    codominant: float = 0.08
    ramus: float = 0.23
    diagonals: tuple[float, float, float, float] = (0.06, 0.34, 0.42, 0.18)  # odds of 0 to 3
    marginals: tuple[float, float, float, float] = (0.08, 0.42, 0.37, 0.13)
    acute_marginal: float = 0.75
    conus: float = 0.4
    bridge: float = 0.12  # part of the LAD under a little muscle
    ectasia: float = 0.04
    high_take_off: float = 0.03
    main_stem_mm: Range = (2.0, 22.0)  # mostly 5 to 14
    stem_turn_sd_deg: float = 20.0
    bifurcation_deg: Range = (40.0, 115.0)
    ostium_sd_mm: float = 2.0  # clipped at twice that
    drift_mm: Range = (1.0, 6.0)  # how far at most a course strays from its groove along the surface
    depth_mm: Range = (0.3, 5.0)  # of fat between muscle and the vessel's wall
    wiggle_mm: Range = (0.3, 1.8)
    proximal_radius_mm: Range = (1.3, 2.3)

    @classmethod
    def unseen(cls) -> CoronaryRanges:
        """Trees that training never draws from: rarer variants more often, courses further off the grooves."""
        return cls(
            right_dominant=0.68, codominant=0.14, ramus=0.4, diagonals=(0.1, 0.25, 0.35, 0.3),
            marginals=(0.12, 0.3, 0.33, 0.25), conus=0.6, bridge=0.25, ectasia=0.1, high_take_off=0.1,
            main_stem_mm=(1.5, 26.0), stem_turn_sd_deg=26.0, bifurcation_deg=(30.0, 130.0), ostium_sd_mm=2.6,
            drift_mm=(3.0, 8.0), depth_mm=(0.0, 6.5), wiggle_mm=(0.8, 2.4), proximal_radius_mm=(1.1, 2.5),
        )  # fmt: skip


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
    def of_patients(cls) -> Self:
        """About the rates of middle-aged and older adults; the plain ones are higher, to be learned from.

        Mitral annulus: 9 % in MESA (Kanjanauthai et al. 2010), more with age. The others are estimates.
        """
        return cls(
            mitral_annulus=0.12, curtain=0.03, papillary=0.02, pericardial=0.01, nodes=0.15, ligament=0.04,
            bronchi=0.04, granuloma=0.15, stent=0.02, lead=0.02, line=0.005, sternal_wires=0.02, clips=0.01,
            electrodes=0.4, valve_prosthesis=0.01,
        )  # fmt: skip

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
