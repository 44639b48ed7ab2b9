"""The pure core: what a rule means, what was in force when, and what follows; no IO, clock, randomness or logging."""
