"""Colours, rendering, and what is saved."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from pipeline.archive.originals import open_originals
from pipeline.libraries.open3d import import_open3d
from pipeline.viewing.colours import EXTRA, Cloud, Scale, clouds_of, scale_of
from pipeline.viewing.frame import view_frame, with_scan
from pipeline.viewing.rendering import BACKGROUND, Camera, camera_for, render
from pipeline.viewing.saving import save_clouds
from pipeline.viewing.screenshot import screenshot_png
from pipeline.viewing.sources import open_frames
from quinr_lidar.errors import DatasetError, StorageError

RED, GREEN = (255, 0, 0), (0, 255, 0)
SCALE = Scale("height", -1.0, 1.0)


def cloud(points, colour=RED, title="decoded"):
    points = np.asarray(points, np.float32).reshape(-1, 3)
    return Cloud(title, points, np.tile(np.array(colour, np.uint8), (len(points), 1)))


def drawn(points, colours, width=60, height=40, camera=None):
    points, colours = np.asarray(points, float), np.asarray(colours, np.uint8)
    return render(points, colours, camera or Camera(), width, height)


@pytest.fixture
def frame(folder, scans):
    frames = open_frames(str(folder))
    return with_scan(
        view_frame(frames, frames.rows[0]), open_originals(scans, None, frames.sequence)
    )


def test_a_scale_is_matplotlibs_between_its_ends():
    colours = SCALE.colours(np.array([-5, -1, 0, 1, 7, np.nan]))
    turbo = colormaps["turbo"]
    first, middle, last = (turbo(share, bytes=True)[:3] for share in (0.0, 0.5, 1.0))
    assert [tuple(one) for one in colours] == [first, first, middle, last, last, EXTRA]


def test_scales_fit_the_frame(frame):
    height, ranges, error = (scale_of(frame, kind) for kind in ("height", "range", "error"))
    z = np.concatenate([frame.points[:, 2], frame.scan.points[:, 2]])
    assert height.low == pytest.approx(np.percentile(z, 1), rel=1e-5)
    assert height.beyond == (True, True)
    clouds = (frame.points, frame.scan.points)
    every = np.concatenate([np.linalg.norm(points, axis=1) for points in clouds])
    assert ranges.high == pytest.approx(np.percentile(every, 98), rel=1e-5)
    # The max error's, whatever the errors are, so that frames can be compared.
    assert (error.high, error.beyond[1]) == (frame.promise.max_error, False)
    assert "0.02 m" in error.text


def test_errors_need_an_original(folder):
    frames = open_frames(str(folder))
    with pytest.raises(DatasetError, match="give it with --originals"):
        scale_of(view_frame(frames, frames.rows[0]), "error")


def test_the_original_is_grey_where_colours_are_of_the_decoded_cloud(frame):
    def greys(kind, **options):
        clouds = clouds_of(frame, scale_of(frame, kind), **options)
        assert [one.title for one in clouds] == ["original", "decoded"]
        return [bool((np.ptp(one.colours.astype(int), axis=1) == 0).all()) for one in clouds]

    assert greys("height") == [False, False]
    assert greys("error") == [True, False]
    assert greys("height", overlay=True) == [True, False]


def test_equal_values_still_have_a_scale():
    flat = Scale("error", 0.0, 1e-6)
    assert np.isfinite(flat.colours(np.zeros(3))).all()


def test_a_point_appears_where_a_pinhole_camera_sees_it():
    camera = Camera()
    point = np.array([[12.0, 3.0, -1.0]])
    picture = drawn(point, [RED], 300, 200, camera)
    # By angles instead of matrices.
    forward = (camera.target - camera.eye) / np.linalg.norm(camera.target - camera.eye)
    right = np.array([0.0, -1.0, 0.0])  # The camera looks along x, and y is to the left.
    ray = point[0] - camera.eye
    focal = 150 / np.tan(np.radians(camera.field_of_view / 2))
    column = 150 + focal * (ray @ right) / (ray @ forward)
    row = 100 - focal * (ray @ np.cross(right, forward)) / (ray @ forward)
    seen = np.argwhere((picture != BACKGROUND).any(axis=2))
    assert np.abs(seen.mean(axis=0) - (row, column)).max() < 1.5


def test_the_nearer_point_hides_the_farther_one_in_any_order():
    camera = Camera()
    near = camera.eye + 0.5 * (camera.target - camera.eye)
    for order in ((0, 1), (1, 0)):
        points, colours = np.array([near, camera.target]), np.array([RED, GREEN], np.uint8)
        picture = drawn(points[list(order)], colours[list(order)], camera=camera)
        # The nearer one is the larger one too.
        assert tuple(picture[20, 30]) == RED
        assert not (picture[..., 1] > picture[..., 0] + 30).any()


def test_what_cannot_be_seen_is_not_drawn():
    behind = 2 * Camera().eye
    outside = [0, 1e4, 0]
    empty = np.zeros((0, 3))
    for points in ([behind], [outside], [behind, outside], empty):
        picture = drawn(points, np.zeros((len(points), 3)) + 255)
        assert (picture == BACKGROUND).all()
    assert camera_for(empty) == Camera()


def test_edges_are_darkened_where_something_is_behind():
    wall = [[40, y / 5, z / 5] for y in range(-60, 60) for z in range(-60, 60)]
    post = [[10, y / 20, z / 20] for y in range(-5, 5) for z in range(-60, 60)]
    picture = drawn(wall + post, [GREEN] * len(wall) + [RED] * len(post), 120, 80)
    green = picture[..., 1][(picture[..., 0] == 0) & (picture[..., 2] == 0)]
    assert green.max() == 255
    assert (green < 200).any()


def test_rooms_are_seen_from_nearer_than_streets():
    room = np.random.default_rng(0).uniform(-3, 3, (500, 3))
    assert camera_for(room).scale < 0.3 < camera_for(10 * room).scale


@pytest.mark.parametrize(
    ("count", "overlay", "width"), [(1, False, 960), (2, False, 1920), (2, True, 960)]
)
def test_screenshots(frame, count, overlay, width):
    scale = scale_of(frame, "height")
    clouds = clouds_of(frame, scale, overlay=overlay)[-count:]
    data = screenshot_png(clouds, scale, frame.headline, overlay=overlay)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (width, 790)
        pixels = np.asarray(picture.convert("RGB"))
    # In every panel something is to be seen.
    for left in range(0, width, 960):
        panel = pixels[75:-75, left : left + 960]
        assert (panel != BACKGROUND).any(axis=2).mean() > 1e-3
    # The same clouds give the same picture.
    assert screenshot_png(clouds, scale, frame.headline, overlay=overlay) == data


def test_an_empty_cloud_has_a_screenshot():
    assert screenshot_png([cloud(np.zeros((0, 3)))], SCALE, "nothing").startswith(b"\x89PNG")


def test_open3d_reads_clouds_with_their_colours(frame, tmp_path):
    open3d = import_open3d()
    scale = scale_of(frame, "error")
    clouds = clouds_of(frame, scale)
    written = save_clouds([tmp_path / "a.ply"], clouds, scale, "title")
    assert [path.name for path in written] == ["a-original.ply", "a.ply"]
    for path, expected in zip(written, clouds, strict=True):
        read = open3d.io.read_point_cloud(str(path))
        assert np.array_equal(np.asarray(read.points).astype(np.float32), expected.points)
        assert np.array_equal(np.round(np.asarray(read.colors) * 255), expected.colours)


def test_an_overlay_is_one_file(tmp_path):
    clouds = [cloud([[1, 2, 3]], RED, "original"), cloud([[4, 5, 6], [7, 8, 9]], GREEN)]
    (path,) = save_clouds([tmp_path / "o.ply"], clouds, SCALE, "", overlay=True)
    read = import_open3d().io.read_point_cloud(str(path))
    assert np.asarray(read.points).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert np.asarray(read.colors).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_files_that_cannot_be_saved(tmp_path):
    with pytest.raises(StorageError, match=r"a\.bin: expected a name that ends in \.png or \.ply"):
        save_clouds([tmp_path / "a.bin"], [cloud([[0, 0, 0]])], SCALE, "")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        save_clouds([tmp_path / "file" / "a.png"], [cloud([[0, 0, 0]])], SCALE, "")


@pytest.mark.realdata
def test_a_real_scan(quinr, data_root, here):
    scan = data_root / "kitti/odometry/sequences/00/velodyne/000000.bin"
    quick = ("--set", "steps=2", "--set", "restarts=1", "--set", "refit_groups=1")
    assert quinr("encode", scan, "-o", "a.quinr", "--max-error", "0.05", *quick)[0] == 0
    code, out, _ = quinr("view", "a.quinr", "--originals", scan, "--colour", "error")
    assert code == 0
    assert "max error 0.05 m, largest error 0.04" in out
    clouds = [import_open3d().io.read_point_cloud(f"view-a{n}.ply") for n in ("-original", "")]
    assert [len(one.points) for one in clouds] == [124_668, 51_770]
    with Image.open(here / "view-a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))[75:-75]
    # The street fills a good part of both panels.
    for left in (0, 960):
        assert (pixels[:, left : left + 960] != BACKGROUND).any(axis=2).mean() > 0.2
