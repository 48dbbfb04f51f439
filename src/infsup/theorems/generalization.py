"""Learning from samples: bounds that hold with a stated probability."""
