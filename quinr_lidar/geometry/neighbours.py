"""Nearest neighbours in clouds, exact: a k-d tree on one core.

small_gicp's tree answers in less than half the time of SciPy's. Where several neighbours are
equally near, any of them is taken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int64]


class NeighbourTree:
    """A k-d tree.

    Args:
        points: float64 [N >= 1, 3], metres, finite.
    """

    def __init__(self, points: FloatArray) -> None:
        # Not part of the base install, and needed by nothing but distances.
        import small_gicp

        self._tree = small_gicp.KdTree(points, num_threads=1)

    def nearest(self, points: FloatArray) -> tuple[FloatArray, IndexArray]:
        """The nearest point of the tree to each of others.

        Args:
            points: float64 [M, 3], metres, finite.

        Returns:
            Distances float64 [M], metres, and which points they are, int64 [M].
        """
        if not len(points):
            return np.empty(0), np.empty(0, np.int64)
        indices, squares = self._tree.batch_nearest_neighbor_search(points, num_threads=1)
        return np.sqrt(squares), np.asarray(indices, np.int64)
