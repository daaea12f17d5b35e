"""Prefect flows: thin. They call pipeline functions and add tasks, retries and artifacts."""

from flows._prefect.settings import apply_defaults

apply_defaults()  # before anything imports Prefect, which reads its settings once
