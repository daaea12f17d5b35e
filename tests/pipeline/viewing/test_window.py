"""Windows, where there is a display, and what is done where there is none."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.libraries.open3d import import_open3d
from pipeline.viewing import window
from pipeline.viewing.window import missing_display
from quinr_lidar.errors import BackendError


class FakeViewer:
    """What Open3D's does, without a display."""

    opens = True
    interrupted = False

    def __init__(self):
        self.clouds, self.title, self.size, self.polls, self.destroyed = [], "", (), 0, False
        self.options = SimpleNamespace()
        self.view = {}

    def create_window(self, title, width, height):
        self.title, self.size = title, (width, height)
        return self.opens

    def add_geometry(self, cloud):
        self.clouds.append((np.asarray(cloud.points).copy(), np.asarray(cloud.colors).copy()))

    def get_render_option(self):
        return self.options

    def get_view_control(self):
        def setter(name):
            return lambda value: self.view.__setitem__(name, value)

        return SimpleNamespace(
            **{f"set_{name}": setter(name) for name in ("lookat", "front", "up", "zoom")}
        )

    def poll_events(self):
        self.polls += 1
        if self.interrupted:
            raise KeyboardInterrupt
        return self.polls < 3

    def update_renderer(self):
        pass

    def destroy_window(self):
        self.destroyed = True


@pytest.fixture
def display(monkeypatch):
    """A display that answers, and the windows that were opened on it."""
    opened: list[FakeViewer] = []
    real = import_open3d()

    def viewer():
        opened.append(FakeViewer())
        return opened[-1]

    monkeypatch.setenv("DISPLAY", ":5")
    monkeypatch.setattr(window, "_x11_answers", lambda: True)
    fake = SimpleNamespace(
        geometry=real.geometry,
        utility=real.utility,
        visualization=SimpleNamespace(Visualizer=viewer),
    )
    monkeypatch.setattr(window, "import_open3d", lambda: fake)
    return opened


def test_a_window_shows_both_clouds_side_by_side(quinr, display, folder, scans, here):
    code, out, err = quinr("view", folder, "--originals", scans)
    assert (code, err) == (0, "")
    (shown,) = display
    assert "00 frame 000000: " in shown.title
    assert "max error 0.02 m, largest error 0.0" in shown.title
    assert "height above the sensor" in shown.title
    assert shown.title.split("; ")[0] in out
    (original, _), (decoded, colours) = shown.clouds
    # The decoded cloud is to the right, and y is to the left.
    apart = np.median(original[:, 1]) - np.median(decoded[:, 1])
    assert apart > 20
    assert colours.max() <= 1
    assert (shown.polls, shown.destroyed) == (3, True)
    assert shown.view["lookat"][0] > 0
    assert list(here.iterdir()) == []


def test_an_overlay_is_in_one_place(quinr, display, folder, scans):
    assert quinr("view", folder, "--originals", scans, "--overlay", "--colour", "error")[0] == 0
    (original, _), (decoded, _) = display[0].clouds
    assert np.abs(np.median(original, axis=0) - np.median(decoded, axis=0)).max() < 5


def test_ctrl_c_closes_the_window(quinr, display, folder, monkeypatch):
    monkeypatch.setattr(FakeViewer, "interrupted", True)
    assert quinr("view", folder)[0] == 130
    assert display[0].destroyed


def test_saving_opens_no_window(quinr, display, folder, here):
    code, out, _ = quinr("view", folder, "--save", "a.png", "--save", "sub/a.ply")
    assert (code, display) == (0, [])
    assert out.splitlines()[-1] == "saved a.png, sub/a.ply"
    assert (here / "a.png").is_file()
    assert (here / "sub" / "a.ply").is_file()


def saved(here):
    return sorted(path.name for path in here.iterdir())


def test_a_window_that_does_not_open(quinr, display, folder, scans, here, monkeypatch):
    monkeypatch.setattr(FakeViewer, "opens", False)
    code, out, _ = quinr("view", folder, "--originals", scans)
    assert code == 0
    assert "no window: Open3D cannot open one on this display" in out.splitlines()[-1]
    assert saved(here) == ["view-000000-original.ply", "view-000000.ply", "view-000000.png"]
    assert all(name in out.splitlines()[-1] for name in saved(here))


def test_without_open3d(quinr, display, folder, here, monkeypatch):
    def missing():
        raise BackendError("Open3D needs libGL.so.1; on Debian or Ubuntu: apt-get install libgl1")

    monkeypatch.setattr(window, "import_open3d", missing)
    code, out, _ = quinr("view", folder)
    assert code == 0
    assert "no window: Open3D needs libGL.so.1" in out.splitlines()[-1]
    assert saved(here) == ["view-000000.ply", "view-000000.png"]


def test_without_a_display(quinr, folder, here):
    code, out, err = quinr("view", folder, "--frame", "000003")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == (
        "no window: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); "
        "saved view-000003.png, view-000003.ply"
    )
    assert saved(here) == ["view-000003.ply", "view-000003.png"]


def test_json_without_a_display(quinr, folder, scans):
    code, out, err = quinr("view", folder, "--originals", scans, "--json")
    assert code == 0
    said = json.loads(out)
    assert said["saved"] == ["view-000000.png", "view-000000-original.ply", "view-000000.ply"]
    assert said["original_is_the_archived"] is True
    assert 0 < said["largest_error_m"] <= 0.02
    assert "no window" in err


def test_a_display_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4711")
    assert missing_display() == "the display does not answer (DISPLAY=:4711)"
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-4711")
    assert "WAYLAND_DISPLAY=wayland-4711" in (missing_display() or "")


def test_a_wayland_display_that_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert missing_display() is not None
    with socket.socket(socket.AF_UNIX) as compositor:
        compositor.bind(str(tmp_path / "wayland-0"))
        compositor.listen()
        assert missing_display() is None


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_systems_that_always_have_one(monkeypatch, system):
    monkeypatch.setattr(window.sys, "platform", system)
    assert missing_display() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--colour", "blue"], "expected one of height, range, error"),
        (["--colour", "error"], "error needs the scan: --originals"),
        (["--frames", "0-3"], "goes with --rerun"),
        (["--rerun", "a.rrd", "--frame", "0"], "does not go with --rerun"),
        (["--rerun", "a.rrd", "--save", "a.png"], "does not go with --rerun"),
        (["--save", "a.bin"], "a.bin: expected a name that ends in .png or .ply"),
        (["--frame", "9"], "no frame '9': expected an id, 000000 to 000005"),
        (["--originals", "nowhere"], "nowhere: no such file or folder"),
        (["--entropy-model", "nowhere"], "nowhere: cannot be read"),
    ],
)
def test_bad_input(quinr, folder, here, arguments, message):
    code, _, err = quinr("view", folder, *arguments)
    assert code == 2
    assert message in " ".join(err.replace("│", " ").split())
    assert saved(here) == []


def test_another_scan_is_said_so(quinr, folder, scans):
    other = scans / "00" / "000001.bin"
    code, _, err = quinr("view", folder, "--originals", other, "--save", "a.png")
    assert code == 0
    assert "000001.bin: not the scan that frame 000000 of" in err


def test_help_has_an_example(quinr):
    code, out, _ = quinr("view", "--help")
    assert code == 0
    assert "Example: quinr" in out
