"""The metrics of the monitor: one catalogue says what there is, one recorder counts, the registry is injected."""
