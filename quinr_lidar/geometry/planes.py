"""Planes through the neighbourhoods of points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.errors import GeometryError
from quinr_lidar.geometry.neighbours import FloatArray, IndexArray, NeighbourTree

PLANE_NEIGHBOURS = 12
"""k, the points, itself among them, to which the plane at a point is fitted."""

_FLAT = 1e-6
"""Gap of the two smallest eigenvalues, relative to their spread, that the closed form resolves."""

_BLOCK = 4096
"""Points at a time: what is computed of so many stays in the cache, three times as fast."""


class _Symmetric(NamedTuple):
    """Symmetric matrices [N, 3, 3], an array [N] an element."""

    xx: FloatArray
    xy: FloatArray
    xz: FloatArray
    yy: FloatArray
    yz: FloatArray
    zz: FloatArray

    def minus(self, diagonal: FloatArray) -> _Symmetric:
        """Less so much of the identity, [N]."""
        return self._replace(xx=self.xx - diagonal, yy=self.yy - diagonal, zz=self.zz - diagonal)

    def determinants(self) -> FloatArray:
        """float64 [N]."""
        xx, xy, xz, yy, yz, zz = self
        return xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)

    def crossed_rows(self) -> FloatArray:
        """Cross products of rows 1 and 2, 1 and 3, 2 and 3: float64 [3 products, 3, N]."""
        xx, xy, xz, yy, yz, zz = self
        return np.array(
            [
                [xy * yz - xz * yy, xz * xy - xx * yz, xx * yy - xy * xy],
                [xy * zz - xz * yz, xz * xz - xx * zz, xx * yz - xy * xz],
                [yy * zz - yz * yz, yz * xz - xy * zz, xy * yz - yy * xz],
            ]
        )

    def full(self, which: NDArray[np.bool_]) -> FloatArray:
        """Some of them as float64 [M, 3, 3]."""
        xx, xy, xz, yy, yz, zz = (element[which] for element in self)
        return np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], axis=1).reshape(-1, 3, 3)


def plane_normals(
    points: FloatArray, tree: NeighbourTree, neighbours: int = PLANE_NEIGHBOURS
) -> FloatArray:
    """Normals of planes fitted by least squares to every point's nearest neighbours.

    Args:
        points: float64 [N, 3], metres, in the sensor's frame: normals look towards the origin.
        tree: Of these points.
        neighbours: k, points of a plane with the point itself, at least 3.

    Returns:
        float64 [N, 3], unit vectors. Where neighbours lie on a line, or coincide, one of the
        directions across it.

    Raises:
        GeometryError: there are fewer than 3 points, or ``neighbours`` is below 3.
    """
    if neighbours < 3 or len(points) < 3:
        raise GeometryError(
            f"planes: expected 3 points or more, got {len(points)} points and k = {neighbours}"
        )
    nearest = tree.nearest_few(points, neighbours)
    columns = np.ascontiguousarray(points.T)
    normals = np.empty(points.shape)
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        normals[block] = _smallest_eigenvectors(_scatter(columns, block, nearest[block].T)).T
    away = np.einsum("ij,ij->i", normals, points) > 0
    return np.where(away[:, None], -normals, normals)


def _scatter(columns: FloatArray, block: slice, nearest: IndexArray) -> _Symmetric:
    """Covariances of neighbours: coordinates [3, N], some points, their neighbours [k, M]."""
    # Relative to the point: differences of large squares would lose the small eigenvalue.
    offsets = [column[nearest] - column[block] for column in columns]
    means = [offset.mean(axis=0) for offset in offsets]
    return _Symmetric(
        *(
            np.einsum("kn,kn->n", offsets[row], offsets[column]) / len(nearest)
            - means[row] * means[column]
            for row in range(3)
            for column in range(row, 3)
        )
    )


def _smallest_eigenvectors(matrices: _Symmetric) -> FloatArray:
    """Unit eigenvectors of the smallest eigenvalues: float64 [3, N].

    By Smith's closed form (1961), many times as fast as LAPACK, which takes over where the two
    smallest eigenvalues are close.
    """
    centred = matrices.minus((matrices.xx + matrices.yy + matrices.zz) / 3)
    squares = [element * element for element in centred]
    diagonal, beside = squares[0] + squares[3] + squares[5], squares[1] + squares[2] + squares[4]
    scale = np.sqrt((diagonal + 2 * beside) / 6)
    cosine = centred.determinants() / np.maximum(2 * scale**3, np.finfo(float).tiny)
    angle = np.arccos(cosine.clip(-1, 1)) / 3
    low, middle = (2 * scale * np.cos(angle + turn * np.pi / 3) for turn in (2, 4))
    crossed = centred.minus(low).crossed_rows()
    lengths = np.square(crossed).sum(axis=1)
    best = lengths.argmax(axis=0)
    longest = np.take_along_axis(lengths, best[None], axis=0)[0]
    vectors = np.take_along_axis(crossed, best[None, None], axis=0)[0]
    clear = (middle - low > _FLAT * scale) & (scale > 0) & (longest > 0)
    vectors /= np.sqrt(np.where(clear, longest, 1))
    if not clear.all():
        vectors[:, ~clear] = np.linalg.eigh(matrices.full(~clear))[1][:, :, 0].T
    return vectors
