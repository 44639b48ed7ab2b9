"""A seeded world that knows its verdicts, the faults it suffers, and a broker for demos and tests."""
