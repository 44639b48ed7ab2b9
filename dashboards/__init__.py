"""Grafana dashboards as code: the builder and its committed output come with a later issue."""
