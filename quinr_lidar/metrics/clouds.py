"""Distances between point clouds: pure functions of arrays.

Nearest neighbours are found once in each direction (:func:`match`) and shared by all metrics.
D1 and D2 are those of MPEG's ``pc_error`` (Tian et al., *Geometric distortion metrics for point
cloud compression*, ICIP 2017; ``mpeg-pcc-dmetric`` 0.13): mean squared errors in square metres, the
worse direction counts, and ``PSNR = 10 log10(3 peak^2 / MSE)``. Where several neighbours are
equally near, ``pc_error`` averages over them, and it drops points that coincide; here one neighbour
is taken and all points count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry.neighbours import NeighbourTree
from quinr_lidar.geometry.planes import PLANE_NEIGHBOURS, FloatArray, plane_normals


class Cloud:
    """Points and what metrics derive from them, each once.

    Args:
        points: [N >= 1, 3 or more], metres; columns beyond x, y, z are ignored.

    Attributes:
        points: float64 [N, 3], metres; not to be changed.

    Raises:
        GeometryError: no points, another shape, or a coordinate that is not finite.
    """

    def __init__(self, points: ArrayLike) -> None:
        array = np.asarray(points)
        fits = array.ndim == 2 and array.shape[1] >= 3 and len(array) > 0
        if not fits or array.dtype.kind not in "fiu":
            raise GeometryError(
                f"cloud: expected points [N >= 1, 3], got {array.dtype} {list(array.shape)}"
            )
        array = np.ascontiguousarray(array[:, :3], np.float64)
        if not np.isfinite(array).all():
            raise GeometryError("cloud: expected finite coordinates")
        self.points: FloatArray = array

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def tree(self) -> NeighbourTree:
        """The tree that finds nearest neighbours among the points."""
        return NeighbourTree(self.points)

    @cached_property
    def normals(self) -> FloatArray:
        """Normals of planes through the :data:`PLANE_NEIGHBOURS` points nearest to each point.

        float64 [N, 3]. They look towards the sensor at the origin, so that means of them make
        sense.

        Raises:
            GeometryError: there are fewer than 5 points.
        """
        return plane_normals(self.points, PLANE_NEIGHBOURS)


@dataclass(frozen=True, eq=False)
class Matches:
    """Nearest neighbours of two clouds in both directions.

    Attributes:
        a: The original cloud.
        b: The cloud it is compared with.
        a_distances: Distance of each point of A to the nearest point of B, float64 [N], metres.
        a_nearest: Index of that point in B, int64 [N].
        b_distances: Distance of each point of B to the nearest point of A, float64 [M], metres.
        b_nearest: Index of that point in A, int64 [M].
    """

    a: Cloud
    b: Cloud
    a_distances: FloatArray
    a_nearest: NDArray[np.int64]
    b_distances: FloatArray
    b_nearest: NDArray[np.int64]


@dataclass(frozen=True)
class ChamferDistance:
    """Mean nearest-neighbour distances between clouds A and B, metres (not squared).

    Attributes:
        a_to_b: Mean over A of the distance to the nearest point of B, metres.
        b_to_a: Mean over B of the distance to the nearest point of A, metres.
    """

    a_to_b: float
    b_to_a: float

    @property
    def symmetric(self) -> float:
        """``(a_to_b + b_to_a) / 2``: the mean of the two directed parts, metres."""
        return (self.a_to_b + self.b_to_a) / 2


@dataclass(frozen=True)
class Distortion:
    """Mean squared errors of both directions, square metres.

    Attributes:
        a_to_b: Mean over the original's points.
        b_to_a: Mean over the decoded cloud's points.
    """

    a_to_b: float
    b_to_a: float

    @property
    def mse(self) -> float:
        """The worse of both directions, as ``pc_error`` reports it ("F"), square metres."""
        return max(self.a_to_b, self.b_to_a)

    def psnr(self, peak: float) -> float:
        """``10 log10(3 peak^2 / mse)``, dB; infinite without an error.

        Args:
            peak: Metres, > 0; name it wherever the figure is shown. MPEG takes the side of the
                box that coordinates are quantised in, or the largest distance there is.

        Raises:
            GeometryError: ``peak`` is not positive.

        Example:
            >>> Distortion(3.0, 0.5).psnr(peak=10.0)
            20.0
        """
        if not (math.isfinite(peak) and peak > 0):
            raise GeometryError(f"peak: expected a positive number of metres, got {peak}")
        return math.inf if self.mse == 0 else 10 * math.log10(3 * peak**2 / self.mse)


def match(a: Cloud, b: Cloud) -> Matches:
    """Find the nearest neighbours that all metrics below share.

    Example:
        >>> match(Cloud([[0, 0, 0]]), Cloud([[3, 4, 0], [0, 0, 1]])).b_distances.tolist()
        [5.0, 1.0]
    """
    return Matches(a, b, *b.tree.nearest(a.points), *a.tree.nearest(b.points))


def chamfer_distance(a: ArrayLike, b: ArrayLike) -> ChamferDistance:
    """Chamfer distance of two point clouds: unsquared, means, metres.

    ``a_to_b = mean_i min_j |a_i - b_j|``, ``b_to_a = mean_j min_i |a_i - b_j|`` and
    ``symmetric = (a_to_b + b_to_a) / 2``. Libraries that sum the two parts report twice that;
    those that square the distances report another quantity (square metres).

    Args:
        a: [N, 3] points, metres, N >= 1.
        b: [M, 3] points, metres, M >= 1.

    Returns:
        Both directed parts; ``.symmetric`` is their mean.

    Raises:
        GeometryError: a cloud is empty, has another shape, or is not finite.

    Example:
        >>> chamfer_distance([[0, 0, 0]], [[3, 4, 0], [0, 0, 1]])
        ChamferDistance(a_to_b=1.0, b_to_a=3.0)
    """
    return chamfer(match(Cloud(a), Cloud(b)))


def chamfer(matches: Matches) -> ChamferDistance:
    """As :func:`chamfer_distance`, of neighbours that are known: unsquared means, metres."""
    return ChamferDistance(float(matches.a_distances.mean()), float(matches.b_distances.mean()))


def point_to_point(matches: Matches) -> Distortion:
    """D1: mean squared distances to the nearest point (``pc_error``'s ``c2c``)."""
    return Distortion(
        float(np.square(matches.a_distances).mean()), float(np.square(matches.b_distances).mean())
    )


def point_to_plane(matches: Matches) -> Distortion:
    """D2: errors along normals (``pc_error``'s ``c2p``), the normals being those of A.

    A point of B is compared with its nearest point of A along the latter's normal. From A to B
    the normal is that of the point of B: the mean, not normalised, of the normals of those
    points of A whose nearest it is, or where there is none, its nearest one's (``scaleNormals``).
    """
    a, b = matches.a, matches.b
    normals = carried_normals(matches)
    there = a.points - b.points[matches.a_nearest]
    back = b.points - a.points[matches.b_nearest]
    along = np.einsum("ij,ij->i", there, normals[matches.a_nearest])
    along_back = np.einsum("ij,ij->i", back, a.normals[matches.b_nearest])
    return Distortion(float(np.square(along).mean()), float(np.square(along_back).mean()))


def carried_normals(matches: Matches) -> FloatArray:
    """A's normals at B's points, see :func:`point_to_plane`: float64 [M, 3], of length <= 1."""
    normals, size = matches.a.normals, len(matches.b)
    counts = np.bincount(matches.a_nearest, minlength=size)
    sums = [np.bincount(matches.a_nearest, column, size) for column in normals.T]
    carried = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]
    return np.where((counts > 0)[:, None], carried, normals[matches.b_nearest])


def hausdorff(matches: Matches) -> float:
    """Largest distance of any point to the other cloud, metres."""
    return float(max(matches.a_distances.max(), matches.b_distances.max()))


def percentile(matches: Matches, percent: float) -> float:
    """This percentile of the distances (linear between ranks), the worse direction's, metres."""
    return float(
        max(
            np.percentile(matches.a_distances, percent), np.percentile(matches.b_distances, percent)
        )
    )


def f_score(matches: Matches, threshold: float) -> float:
    """Harmonic mean of the shares of A and of B nearer than a threshold to the other cloud.

    Knapitsch et al., *Tanks and Temples*, 2017, equation 5.

    Args:
        matches: Nearest neighbours of both clouds.
        threshold: Largest distance of a point that counts as near, metres.

    Returns:
        In [0, 1]; 0 where no point is near.
    """
    recall = float(np.mean(matches.a_distances < threshold))
    precision = float(np.mean(matches.b_distances < threshold))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def ring_density(points: ArrayLike, edges: Sequence[float]) -> FloatArray:
    """Points for each square metre of ground, by rings around the sensor.

    Args:
        points: [N, 3 or more], metres, in the sensor's frame, z up.
        edges: Horizontal distances that part the rings, ascending, metres.

    Returns:
        float64 [len(edges) - 1], points for each square metre.

    Raises:
        GeometryError: fewer than two edges, or not ascending from 0 or more.

    Example:
        >>> ring_density([[1, 0, 0], [0, -1.5, 9]], [0, 2]).round(3).tolist()
        [0.159]
    """
    borders = np.asarray(edges, np.float64)
    if borders.ndim != 1 or len(borders) < 2 or borders[0] < 0 or (np.diff(borders) <= 0).any():
        raise GeometryError(f"edges: expected two or more ascending distances, got {edges}")
    array = np.asarray(points, np.float64)
    counts = np.histogram(np.hypot(array[:, 0], array[:, 1]), borders)[0]
    return counts / (np.pi * np.diff(np.square(borders)))
