"""Clouds to pixels without graphics hardware: perspective, depth buffer, shading by depth.

Open3D's OffscreenRenderer needs Vulkan, which a machine without a display usually lacks
("Failed to load vulkan library!"), so this room draws by itself.

Points become squares whose size falls with the distance. Edges are darkened where a pixel lies
behind its neighbours (eye-dome lighting, Boucheny 2009), which makes shapes readable that have no
normals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BACKGROUND = (17, 20, 24)

_SUPERSAMPLING = 2
"""Pixels are drawn twice as fine and averaged: smooth edges."""
_NEAR = 0.5
"""Distance from the eye, in units of the camera's scale; nearer points are not drawn."""
_POINT = 0.07
"""Side of a point, in units of the camera's scale."""
_LARGEST = 4
"""Fine pixels from a point's centre to its edge at most; 1 at least."""
_SHADE = 6.0
_SHADE_REACH = 2


@dataclass(frozen=True)
class Camera:
    """A pinhole camera behind and above the sensor, which looks forward and down.

    Attributes:
        scale: 1 for the surroundings of a car; distances grow with it.
        field_of_view: From left to right, degrees.
    """

    scale: float = 1.0
    field_of_view: float = 58.0

    @property
    def eye(self) -> NDArray[np.float64]:
        """Position, float64 [3], metres."""
        return self.scale * np.array([-17.0, 0.0, 12.0])

    @property
    def target(self) -> NDArray[np.float64]:
        """The place in the middle of the image, float64 [3], metres."""
        return self.scale * np.array([10.0, 0.0, -0.5])

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows: to the right, down, and forward; float64 [3, 3]."""
        forward = self.target - self.eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(forward, right), forward])


def camera_for(points: NDArray[np.floating]) -> Camera:
    """A camera that shows the sensor's surroundings: a street for a car, a room for a robot."""
    if not len(points):
        return Camera()
    reach = float(np.percentile(np.linalg.norm(points, axis=1), 75))
    return Camera(scale=float(np.clip(reach / 17.0, 0.02, 4.0)))


def render(
    points: NDArray[np.floating],
    colours: NDArray[np.uint8],
    camera: Camera,
    width: int,
    height: int,
) -> NDArray[np.uint8]:
    """An image of a cloud.

    Args:
        points: [N, 3], finite, metres.
        colours: uint8 [N, 3].
        camera: Looks at them.
        width: Pixels.
        height: Pixels.

    Returns:
        uint8 [height, width, 3]. What is nearer hides what is behind, in any order of points.
    """
    fine = (height * _SUPERSAMPLING, width * _SUPERSAMPLING)
    depth, painted = _splat(points, colours, camera, fine)
    lit = painted * _eye_dome(depth)[..., None]
    lit[~np.isfinite(depth)] = BACKGROUND
    shape = (height, _SUPERSAMPLING, width, _SUPERSAMPLING, 3)
    return lit.reshape(shape).mean(axis=(1, 3)).round().astype(np.uint8)


def _splat(
    points: NDArray[np.floating],
    colours: NDArray[np.uint8],
    camera: Camera,
    shape: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Depth (infinite where nothing is) and colour of every pixel."""
    height, width = shape
    depth = np.full(height * width, np.inf, np.float32)
    painted = np.zeros((height * width, 3), np.float32)
    seen = (points.astype(np.float64) - camera.eye) @ camera.axes.T
    before = seen[:, 2] > _NEAR * camera.scale
    seen, colours = seen[before], colours[before]
    far_to_near = np.argsort(-seen[:, 2], kind="stable")
    seen, colours = seen[far_to_near], colours[far_to_near]
    focal = width / 2 / np.tan(np.radians(camera.field_of_view) / 2)
    column = np.floor(width / 2 + focal * seen[:, 0] / seen[:, 2]).astype(np.int64)
    row = np.floor(height / 2 + focal * seen[:, 1] / seen[:, 2]).astype(np.int64)
    half = np.clip(focal * _POINT * camera.scale / seen[:, 2] / 2, 1, _LARGEST).round()
    # The nearer a point, the larger: sizes come in the order of drawing, so that of all that
    # fall on a pixel the last one drawn is the nearest.
    for size in np.unique(half):
        chosen = half == size
        offset = np.arange(-int(size), int(size) + 1)
        rows = row[chosen, None, None] + offset[:, None]
        columns = column[chosen, None, None] + offset
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        pixel = (rows * width + columns)[inside]
        owner = np.broadcast_to(np.flatnonzero(chosen)[:, None, None], inside.shape)[inside]
        depth[pixel] = seen[owner, 2]
        painted[pixel] = colours[owner]
    return depth.reshape(shape), painted.reshape(*shape, 3)


def _eye_dome(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Brightness of every pixel, 0 to 1: darker where neighbours are much nearer."""
    known = np.isfinite(depth)
    far = np.log2(np.where(known, depth, np.float32(1)))
    height, width = depth.shape
    reach = _SHADE_REACH
    padded = np.pad(np.where(known, far, np.float32(np.inf)), reach, constant_values=np.inf)
    hidden = np.zeros_like(depth)
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    for down, right in steps:
        top, left = reach + down * reach, reach + right * reach
        hidden += np.maximum(0, far - padded[top : top + height, left : left + width])
    return np.exp(np.float32(-_SHADE / len(steps)) * hidden)
