"""``entropy_model="auto"``: a task chooses or trains a drive's model before its first frame."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote
from tqdm import tqdm

from pipeline.archive.chosen_model import resolved_model
from pipeline.archive.target import ArchiveTarget
from quinr_lidar.training import FitProgress


def resolve_model(target: ArchiveTarget) -> None:
    """Choose a drive's entropy model, unless that was done before; must be called inside a flow.

    Args:
        target: The drive, with provisional settings.

    Raises:
        QuinrError: as :func:`~pipeline.archive.chosen_model.resolved_model` and
            :func:`~pipeline.models.automatic.choose_automatically`.
    """
    if resolved_model(target.folder, target.packed) is None:
        _choose_model(quote(target.dataset), str(target.folder), quote(target.settings))


@task(
    name="choose entropy model",
    task_run_name="entropy model of {folder}",
    cache_policy=NO_CACHE,
    persist_result=False,
    tags=["quinr"],
)
def _choose_model(dataset: Any, folder: str, settings: Any) -> None:
    # What trains is of no use to flows that only code.
    from pipeline.models.automatic import SETTINGS, choose_automatically

    steps = SETTINGS.mask_steps + SETTINGS.range_steps
    with tqdm(
        total=steps, desc=f"entropy model of {dataset.name}", unit="step", disable=None
    ) as bar:

        def advance(name: str, step: FitProgress) -> None:
            bar.set_postfix({name: f"{step.loss:.3f} bits"}, refresh=False)
            bar.update()

        choice = choose_automatically(dataset, Path(folder), settings, progress=advance)
    logging.getLogger(__name__).info(
        "%s: entropy model %s, %s", dataset.name, choice.entropy_model, choice.origin
    )
