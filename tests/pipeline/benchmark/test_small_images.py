"""QIREN's claims on small pictures: the contest, on tiny ones, and its figures, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipeline.benchmark.small_fields import TOLERANCE, Configuration, Family, families
from pipeline.benchmark.small_images import (
    SLOWER,
    Picture,
    bench_small_images,
    judgement,
    load_pictures,
    most_trainings,
    mse,
    reductions,
)
from pipeline.cli.bench import circuits
from pipeline.cli.main import app
from quinr_lidar.errors import GeometryError, ProfileError, TrainingError
from quinr_lidar.fields import FourierField, QirenField, QuinrField, SirenField, pixel_coordinates
from quinr_lidar.fields.field import parameter_count

SIREN = SirenField(8, 2, frequencies=(3.0, 3.0))


def smooth(side: int, name: str = "smooth") -> Picture:
    """Sampled, not resized: a field that found the function is right at both sizes."""
    images = []
    for size in (side, 2 * side):
        x, y = pixel_coordinates(size, size, torch.float64).numpy().T.reshape(2, size, size)
        images.append(0.5 + 0.3 * np.sin(2 * x) * np.cos(1.5 * y))
    return Picture(name, *images)


def tiny() -> list[Family]:
    fields = {
        ("SIREN", "classical"): SIREN,
        ("Fourier", "classical"): FourierField(4, 6),
        ("QIREN", "qiren"): QirenField(2, 2),
        ("quINR", "quinr"): QuinrField(2, 4, 2),
    }
    return [
        Family(
            name, kind, (Configuration(field, "adamw", 1e-2), Configuration(field, "gn-adam", 1e-2))
        )
        for (name, kind), field in fields.items()
    ]


@pytest.mark.parametrize("target", [400, 680, 1000])
def test_sizes_are_nearly_equal(target):
    rivals = families(target)
    assert len({rival.name for rival in rivals}) == len(rivals) == 6
    for rival in rivals:
        counts = [parameter_count(one.field) for one in rival.configurations]
        assert all(abs(count - target) <= TOLERANCE * target for count in counts)
        assert {one.optimizer for one in rival.configurations} == {"adamw", "gn-adam"}
        assert len(set(rival.configurations)) == len(rival.configurations)


def test_no_field_of_the_size():
    with pytest.raises(ProfileError, match="has 20 to within 5%"):
        families(20)


def test_pictures_agree_with_each_other():
    for picture in load_pictures():
        assert picture.small.shape == (32, 32)
        assert picture.large.shape == (64, 64)
        assert min(picture.small.min(), picture.large.min()) >= 0
        assert max(picture.small.max(), picture.large.max()) <= 1
        halved = picture.large.reshape(32, 2, 32, 2).mean((1, 3))
        assert mse(picture.small, halved) < 0.05 * picture.small.var()


def test_errors_by_hand():
    image = np.array([[0.0, 1.0], [0.5, 0.25]])
    assert mse(image, image.reshape(-1, 1)) == 0
    values = np.array([[-3.0], [0.5], [0.5], [1.25]])  # clipped: 0, 0.5, 0.5, 1
    assert mse(image, values) == pytest.approx((0.5**2 + 0.75**2) / 4)


def test_a_smooth_picture_is_fitted():
    rival = Family("SIREN", "classical", (Configuration(SIREN, "adamw", 1e-2),))
    result = bench_small_images([smooth(8)], [rival], steps=400, seeds=2)
    (image,), (entry,) = result["images"], result["baselines"]
    assert image["variance"] == pytest.approx(smooth(8).small.var())
    assert image["bicubic_super_resolution_mse"] < 1e-2 * image["variance"]
    assert entry["fit"]["smooth"]["mse"] < 1e-3 * image["variance"]
    assert entry["super_resolution"]["smooth"]["mse"] < 1e-2 * image["variance"]
    assert entry["parameters"] == 8 * 3 + 8 * 9 + 9
    assert entry["fit"]["smooth"]["spread"] > 0
    assert entry["seconds"] > 0


def test_the_best_configuration_is_chosen():
    rates = (1e-2, 1e-7, 1e38)
    rival = Family(
        "SIREN", "classical", tuple(Configuration(SIREN, "adamw", rate) for rate in rates)
    )
    said = []
    (entry,) = bench_small_images([smooth(8)], [rival], 100, 1, said.append)["baselines"]
    assert entry["learning_rate"] == 1e-2
    assert [row["steps"] for row in entry["search"]] == [5, 5, 5, 12, 12, 100, 100]
    assert [row["mean_fit_mse"] for row in entry["search"] if row["learning_rate"] == 1e38] == [
        None
    ]
    full, slower = entry["search"][-2:]
    assert slower["learning_rate"] == full["learning_rate"] / SLOWER
    assert full["mean_fit_mse"] == pytest.approx(entry["fit"]["smooth"]["mse"])
    assert "SIREN: diverged" in said
    assert len(said) == most_trainings(rival, 1)
    hopeless = Family("SIREN", "classical", (Configuration(SIREN, "adamw", 1e38),))
    with pytest.raises(TrainingError, match="SIREN: 1 trainings diverged"):
        bench_small_images([smooth(8)], [hopeless], steps=10, seeds=1)


def test_pictures_of_unequal_size():
    wrong = Picture("wrong", smooth(8).small, smooth(8).small)
    for pictures in ([wrong], [smooth(8), smooth(4)]):
        with pytest.raises(GeometryError, match="squares of side 8"):
            bench_small_images(pictures, tiny(), steps=1, seeds=1)


def entry(name: str, kind: str, *errors: float) -> dict:
    own = {image: {"mse": error} for image, error in zip("ab", errors, strict=True)}
    return {"name": name, "kind": kind, "fit": own, "super_resolution": own}


def test_reductions_by_hand():
    entries = [
        entry("one", "classical", 4.0, 2.0),
        entry("other", "classical", 5.0, 1.0),
        entry("QIREN", "qiren", 1.0, 1.5),
        entry("quINR", "quinr", 2.0, 0.5),
    ]
    rows = reductions(entries)
    assert [(row["task"], row["name"]) for row in rows] == [
        (task, name) for task in ("fit", "super_resolution") for name in ("QIREN", "quINR")
    ]
    assert rows[0]["images"] == {
        "a": {"percent": 75.0, "best_classical": "one"},
        "b": {"percent": -50.0, "best_classical": "other"},
    }
    assert rows[0]["mean_percent"] == pytest.approx(12.5)
    assert rows[1]["mean_percent"] == pytest.approx(50)


@pytest.mark.parametrize(
    ("percent", "verdict"),
    [
        (40.0, ": reproduced: error on average 40.0 % lower"),
        (12.5, ": in part: error on average 12.5 % lower"),
        (-50.0, ": not reproduced: error on average 50.0 % higher"),
    ],
)
def test_judgements(percent, verdict):
    row = {
        "task": "fit",
        "name": "QIREN",
        "kind": "qiren",
        "images": {"a": {"percent": percent, "best_classical": "SIREN"}},
        "mean_percent": percent,
    }
    said = judgement(row)
    assert verdict in said
    assert "(SIREN)" in said
    assert "claimed 34.8 % lower" in said
    assert "claimed" not in judgement(row | {"kind": "quinr"})


def test_the_command(tmp_path, monkeypatch):
    pictures = [smooth(4, name) for name in ("first", "second")]
    monkeypatch.setattr(circuits, "load_pictures", lambda: pictures)
    monkeypatch.setattr(circuits, "families", lambda target: tiny())
    out = tmp_path / "small-images.json"
    result = CliRunner().invoke(
        app, ["bench", "small-images", "--steps", "20", "--seeds", "2", "--json", "-o", str(out)]
    )
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown == json.loads(out.read_text())
    assert (shown["steps"], shown["seeds"], shown["target_parameters"]) == (20, 2, 680)
    assert [one["name"] for one in shown["baselines"]] == ["SIREN", "Fourier", "QIREN", "quINR"]
    assert len(shown["judgement"]) == len(shown["reductions"]) == 4
    assert set(shown["baselines"][0]["fit"]) == {"first", "second"}
    table = CliRunner().invoke(app, ["bench", "small-images", "--seeds", "1", "--steps", "5"])
    assert table.exit_code == 0, table.output
    assert "super_resolution: mean squared error" in table.stdout
    assert "QIREN, fit: " in table.stdout
