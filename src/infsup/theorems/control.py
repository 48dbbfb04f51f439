"""Control: verification, dual bounds, Riccati."""
