"""The only room that speaks SQL and lays out files: no row object leaves it."""
