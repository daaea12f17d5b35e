"""A Velodyne HDL-64E: where its rays go, and what comes back from what they hit.

The rings are those of KITTI's scans; noise, dropouts and reflectance are a plain
model whose constants were chosen so that its range images resemble KITTI's (measured
fraction, range quantiles, and the holes that the own car leaves near the lower edge).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datasets.synthetic.mesh import Material, Mesh
from pipeline.libraries.open3d import import_open3d

FloatArray = NDArray[np.float64]

RINGS = 64
AZIMUTH_STEPS = 2083
"""Firings a turn at 10 Hz."""

ELEVATIONS = np.concatenate([2.5 - np.arange(32) / 3, -8.33 - 0.5 * np.arange(32)])
"""Elevation of every ring, degrees: 1/3 degree apart in the upper block, 1/2 in the lower.

The data sheet's fan (+2 to -24.33), half a degree higher, which is where KITTI's rings lie.
"""

MAX_RANGE = 80.0
"""KITTI's scans end here; the data sheet promises 120 m only for bright targets."""

MIN_RANGE = 0.9
RANGE_NOISE = 0.02
"""Standard deviation of a range, metres (data sheet: under 2 cm)."""

FIRING_LOSS = 0.02
"""Share of firings lost whatever they hit."""

FAINTEST = 5.0e-6
"""Returned power (albedo x cosine / range^2) that is detected half of the time."""

REFLECTANCE_NOISE = 0.04

_ALBEDO = {
    Material.ASPHALT: 0.30,
    Material.PAVEMENT: 0.36,
    Material.GRASS: 0.40,
    Material.FACADE: 0.42,
    Material.GLASS: 0.05,
    Material.PAINT: 0.35,
    Material.METAL: 0.60,
    Material.BARK: 0.30,
    Material.LEAF: 0.38,
}

_MIRRORED = {Material.GLASS: 0.4, Material.PAINT: 0.1}
"""Share of rays that a smooth surface sends elsewhere, for materials that have one."""

# The own car hides parts of the lower rings: azimuth and elevation of a middle, half axes.
_OWN_CAR = np.array(
    [
        (158.0, -16.5, 7.0, 2.2),
        (-160.0, -16.5, 6.0, 2.4),
        (-75.0, -20.0, 11.0, 4.2),
        (3.0, -26.0, 17.0, 5.0),
        (180.0, -26.0, 45.0, 5.5),
        (-145.0, -23.0, 7.0, 3.5),
        (127.0, -20.5, 7.0, 1.8),
        (-110.0, -25.5, 22.0, 2.2),
        (90.0, -25.5, 70.0, 1.9),
    ]
)


def ray_angles() -> tuple[FloatArray, FloatArray]:
    """Azimuth (counter-clockwise from straight ahead) and elevation of a turn's rays.

    Returns:
        Two float64 arrays [64, 2083], radians; rings from the top down.
    """
    azimuth = 2 * np.pi * np.arange(AZIMUTH_STEPS) / AZIMUTH_STEPS
    # The lasers of a firing point a little apart, as they do on the real sensor.
    skew = np.radians(0.17) * ((np.arange(RINGS) * 7 % 16) / 16 - 0.5)
    azimuths = azimuth[None, :] + skew[:, None]
    elevations = np.broadcast_to(np.radians(ELEVATIONS)[:, None], azimuths.shape)
    return azimuths, elevations


def scan(
    scene: Mesh, pose: FloatArray, advance: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One turn of the sensor, corrected for its motion as KITTI's odometry scans are.

    The sensor moves straight on while it turns and is at its pose when it looks ahead; the
    points are given in that pose's frame. Its yaw within a turn, and the motion of what it
    sees, are neglected.

    Args:
        scene: What there is, in world coordinates.
        pose: Pose of the sensor in the world (x forward, y left, z up), [4, 4].
        advance: Metres the sensor moves forward during the turn.
        rng: Makes the noise; every call draws the same number of values.

    Returns:
        float32 [N, 4]: x, y, z in metres in the sensor's frame, rounded to millimetres as in
        KITTI, and reflectance in 0..0.99 in steps of 0.01; ring by ring from the top.
    """
    azimuth, elevation = (angle.ravel() for angle in ray_angles())
    directions = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ],
        axis=1,
    )
    origins = np.zeros_like(directions)
    origins[:, 0] = advance * ((azimuth / (2 * np.pi) + 0.5) % 1 - 0.5)
    ranges, cosine, material = _cast(scene, pose, origins, directions)
    chance = rng.uniform(size=(2, len(ranges)))
    noise = rng.normal(size=(2, len(ranges)))
    seen = np.isfinite(ranges) & (ranges >= MIN_RANGE) & (ranges <= MAX_RANGE)
    seen &= ~_hidden_by_own_car(azimuth, elevation)
    power = _table(_ALBEDO, 0.0)[material] * cosine / ranges**2
    seen &= chance[0] < power**2 / (power**2 + FAINTEST**2)
    seen &= chance[1] > FIRING_LOSS + _table(_MIRRORED, 0.0)[material]
    measured = np.where(seen, ranges, 1.0) + RANGE_NOISE * noise[0]
    xyz = np.round(origins + directions * measured[:, None], 3)
    seen &= np.linalg.norm(xyz, axis=1) <= MAX_RANGE
    reflectance = _table(_ALBEDO, 0.0)[material] * (0.6 + 0.4 * cosine)
    reflectance = np.round(reflectance + REFLECTANCE_NOISE * noise[1], 2).clip(0, 0.99)
    points = np.column_stack([xyz, reflectance])
    return points[seen].astype(np.float32)


def _cast(
    scene: Mesh, pose: FloatArray, origins: FloatArray, directions: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.uint8]]:
    """First hits: range in metres (infinite for none), cosine of incidence, material."""
    o3d = import_open3d()
    # The ray caster computes in float32: far down the road only coordinates relative to the
    # sensor keep their millimetres.
    vertices = (scene.vertices - pose[:3, 3]).astype(np.float32)
    caster = o3d.t.geometry.RaycastingScene(nthreads=1)
    caster.add_triangles(
        o3d.core.Tensor(vertices), o3d.core.Tensor(scene.triangles.astype(np.uint32))
    )
    world = directions @ pose[:3, :3].T
    rays = np.concatenate([origins @ pose[:3, :3].T, world], axis=1).astype(np.float32)
    hits = caster.cast_rays(o3d.core.Tensor(rays), nthreads=1)
    ranges = hits["t_hit"].numpy().astype(float)
    normals = hits["primitive_normals"].numpy().astype(float)
    cosine = np.abs(np.einsum("ij,ij->i", normals, world)).clip(0, 1)
    hit = np.isfinite(ranges)
    triangle = np.where(hit, hits["primitive_ids"].numpy(), 0).astype(np.int64)
    return ranges, np.where(hit, cosine, 0.0), scene.materials[triangle]


def _hidden_by_own_car(azimuth: FloatArray, elevation: FloatArray) -> NDArray[np.bool_]:
    """Which rays end on the own car. Every ring's edge lies elsewhere, as it does in KITTI."""
    fray = 0.6 + 0.8 * np.random.default_rng(64).uniform(size=(len(_OWN_CAR), RINGS))
    rings = np.repeat(np.arange(RINGS), AZIMUTH_STEPS)
    hidden = np.zeros(azimuth.shape, bool)
    for (middle, height, half_width, half_height), edge in zip(_OWN_CAR, fray, strict=True):
        across = (np.degrees(azimuth) - middle + 180) % 360 - 180
        up = np.degrees(elevation) - height
        hidden |= (across / half_width) ** 2 + (up / half_height) ** 2 < edge[rings]
    return hidden


def _table(values: dict[Material, float], otherwise: float) -> FloatArray:
    return np.array([values.get(material, otherwise) for material in Material])
