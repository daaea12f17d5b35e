"""``prior="auto"`` as a task: a drive's prior is chosen, or trained, before its first frame."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote
from tqdm import tqdm

from pipeline.datasets import Dataset
from pipeline.models.resolved import settled_prior
from pipeline.storage.locations import Location
from quinr_lidar import Profile
from quinr_lidar.training import FitProgress


def settle_prior(dataset: Dataset, folder: Path, archive: Location, profile: Profile) -> None:
    """Choose the drive's prior, unless that is settled; must be called inside a flow.

    Args:
        dataset: The drive.
        folder: Of its frames.
        archive: Where its packed archive is, or will be.
        profile: Of its frames.

    Raises:
        QuinrError: as :func:`~pipeline.models.resolved.settled_prior` and
            :func:`~pipeline.models.automatic.choose_automatically`.
    """
    if settled_prior(folder, archive) is None:
        _choose_prior(quote(dataset), str(folder), quote(profile))


@task(
    name="choose prior",
    task_run_name="prior of {folder}",
    cache_policy=NO_CACHE,
    persist_result=False,
    tags=["quinr"],
)
def _choose_prior(dataset: Any, folder: str, profile: Any) -> None:
    # What trains is of no use to flows that only code.
    from pipeline.models.automatic import SETTINGS, choose_automatically

    steps = SETTINGS.mask_steps + SETTINGS.range_steps
    with tqdm(total=steps, desc=f"prior of {dataset.name}", unit="step", disable=None) as bar:

        def advance(name: str, step: FitProgress) -> None:
            bar.set_postfix({name: f"{step.loss:.3f} bits"}, refresh=False)
            bar.update()

        choice = choose_automatically(dataset, Path(folder), profile, progress=advance)
    logging.getLogger(__name__).info("%s: prior %s, %s", dataset.name, choice.prior, choice.origin)
