"""Executors on a Ray cluster."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flows._prefect.cluster import GONE, KILLED, ClusterExecutor, ClusterLimits, unreachable
from pipeline.jobs.executors import (
    AttemptError,
    Executor,
    GaveUpError,
    JobTimeoutError,
    WorkerDiedError,
    reason_of,
)
from pipeline.jobs.remote import apply_remotely
from pipeline.jobs.workers import available_cores
from quinr_lidar.errors import BackendError


@contextmanager
def ray_executors(
    package: Any, address: str | None, workers: int | None, limits: ClusterLimits
) -> Iterator[list[Executor]]:
    """Executors on a Ray cluster, as long as the context lasts.

    Args:
        package: The package that starts or joins a cluster.
        address: Address of a running cluster; one on this machine is started when ``None``.
        workers: Number of executors; one for each core of the cluster when ``None``.
        limits: How long to wait for the cluster.

    Raises:
        BackendError: the cluster does not answer.
    """
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    if address:
        options["address"] = address
    else:
        options |= {"address": "local", "num_cpus": workers or available_cores()}
        options["include_dashboard"] = False
    runner = package.RayTaskRunner(init_kwargs=options)
    try:
        runner.__enter__()
    except (OSError, RuntimeError, ValueError, SystemExit) as error:  # it may end the process
        raise unreachable("ray", address, error) from error
    try:
        count = workers or int(ray.cluster_resources().get("CPU", 0))
        if not count:
            raise BackendError(f"executor ray: {address}: it has no processor for us")
        # Attempts are ours to count.
        remote = ray.remote(apply_remotely).options(num_cpus=1, max_retries=0)
        yield [_RayExecutor(remote, limits) for _ in range(count)]
    finally:
        runner.__exit__(None, None, None)


class _RayExecutor(ClusterExecutor):
    """A worker of Ray, which ends what nobody waits for."""

    def __init__(self, remote: Any, limits: ClusterLimits) -> None:
        super().__init__(limits)
        self._remote = remote

    def _answer(self, call: tuple[Any, ...], limit: float | None) -> Any:
        import ray
        from ray import exceptions

        try:
            self._job = self._remote.remote(*call)
            return ray.get(self._job, timeout=limit)
        except exceptions.GetTimeoutError as error:
            self._cancel()
            raise JobTimeoutError(limit or 0.0) from error
        except exceptions.RayTaskError as error:
            raise AttemptError(reason_of(error.cause)) from error
        except (
            ConnectionError,
            exceptions.LocalRayletDiedError,
            exceptions.RaySystemError,
        ) as error:
            raise GaveUpError(GONE) from error
        except exceptions.RayError as error:
            raise WorkerDiedError(KILLED) from error

    def _cancel(self) -> None:
        import ray

        ray.cancel(self._job, force=True)
