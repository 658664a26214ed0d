"""The definition and the model that made-up readings are said to come from."""

from __future__ import annotations

from typing import Final

from node.domain.findings import ModelIdentity, ScoreDefinition

DEFINITION: Final = ScoreDefinition(
    profile="agatston-1990",
    connectivity=8,
    minimum_area="1 mm2",
    threshold_hu=130.0,
    weight_limits_hu=(200.0, 300.0, 400.0),
    kvp=120.0,
    kvp_adapted=False,
    mass_factor=None,
)
MODEL: Final = ModelIdentity(name="plain", version="1", sha256="0" * 64, trained_on="phantoms")
