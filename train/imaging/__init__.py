"""From anatomy to CT: rasterising, point spread, slice profile, noise, motion, artefacts."""
