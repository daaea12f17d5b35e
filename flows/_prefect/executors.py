"""Where the jobs of a flow run: worker processes, threads, or the workers of a Dask or Ray cluster.

A flow is the same for all of them. Prefect's own runners of Dask and Ray start a cluster or join
one, but what they are given is jobs, not Prefect's tasks: those would need Prefect, and its server,
in every worker (where none is set up each worker starts one), and would lose a whole chunk with a
worker.
So a chunk is a task in the flow's own process for every executor, and jobs go to the cluster one by
one, with the attempts, limits and progress that worker processes have
(:mod:`pipeline.jobs.workers`). Workers share nothing but the storage.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flows._prefect.cluster import ClusterLimits
from flows._prefect.dask_executors import dask_executors
from flows._prefect.ray_executors import ray_executors
from pipeline.config.archive_config import ExecutorConfig
from pipeline.jobs.executors import Executor, ThreadExecutor
from pipeline.jobs.workers import available_cores
from pipeline.libraries.extras import install_hint
from quinr_lidar.errors import BackendError

_PACKAGES = {"dask": "prefect_dask", "ray": "prefect_ray"}


@contextmanager
def open_executors(
    executor: ExecutorConfig, workers: int | None, limits: ClusterLimits | None = None
) -> Iterator[Sequence[Executor] | None]:
    """Executors for jobs, as long as the context lasts; must be entered inside a flow.

    Args:
        executor: Which kind, and where.
        workers: How many executors; when ``None`` one a core, of this machine or of the whole
            cluster.
        limits: How long to wait for a cluster.

    Yields:
        The executors; ``None`` for worker processes, which need nothing else.

    Raises:
        BackendError: what it needs is not installed, or there is no such cluster.
    """
    if executor.kind == "processes":
        yield None
    elif executor.kind == "threads":
        yield [ThreadExecutor() for _ in range(workers or available_cores())]
    else:
        package = import_cluster_package(executor)
        open_cluster = dask_executors if executor.kind == "dask" else ray_executors
        with open_cluster(
            package, executor.address, workers, limits or ClusterLimits()
        ) as executors:
            yield executors


def import_cluster_package(executor: ExecutorConfig) -> Any:
    """The package that starts or joins a cluster; ``None`` for executors of this machine.

    Raises:
        BackendError: it is not installed.
    """
    if executor.kind not in _PACKAGES:
        return None
    try:
        return importlib.import_module(_PACKAGES[executor.kind])
    except ImportError as error:
        raise BackendError(
            f"executor {executor.kind}: {error.name} is not installed; "
            f"{install_hint(_PACKAGES[executor.kind])}"
        ) from error
