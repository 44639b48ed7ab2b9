"""Judging what lies in files or in a past range of the logs, by the same core as the live worker."""
