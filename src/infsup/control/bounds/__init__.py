"""The bounds of the control pillar, one file each."""
