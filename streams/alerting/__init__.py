"""Alerts: violations in groups, what is told of them and when, and one file for each kind of receiver."""
