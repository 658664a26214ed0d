"""From label volume to CT: point spread, slice profile, noise, motion, artefacts."""
