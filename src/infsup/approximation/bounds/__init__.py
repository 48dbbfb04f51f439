"""How far a network is from the function that it approximates."""
