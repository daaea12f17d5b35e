"""``quinr bench small-images``: the command, and what its figures say of QIREN's claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from tqdm import tqdm

from pipeline.benchmark.small_images import (
    Baseline,
    Configuration,
    SmallImagesBench,
    load_pictures,
)
from pipeline.cli.console import Json, print_json, print_table
from pipeline.storage.files import write_json_atomically
from quinr_lidar.errors import ProfileError
from quinr_lidar.fields import Field, FourierField, QirenField, QuinrField, SirenField
from quinr_lidar.fields.baselines.fourier import Activation
from quinr_lidar.fields.field import parameter_count
from quinr_lidar.training import Optimizer

QUICK_STEPS = 100

TOLERANCE = 0.05
"""Share of the wanted number of parameters by which a baseline's may differ from it."""

CLAIMS = {"fit": 34.8, "super_resolution": 24.0}
"""QIREN's reductions of the best classical network's error, percent (Zhao et al. 2024)."""

TASKS = {"fit": "fit", "super_resolution": "super-resolution"}

Rates = dict[Optimizer, tuple[float, ...]]


def small_images(
    parameters: Annotated[int, typer.Option(min=100, help="Of a picture, to within 5 %.")] = 680,
    steps: Annotated[int, typer.Option(min=1, help="Of the final trainings.")] = 4000,
    seeds: Annotated[int, typer.Option(min=1, help="Final trainings of a baseline.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="Short trainings, one seed.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the JSON document here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Test whether QIREN beats classical fields of its size on 32 x 32 pictures, and quINR too.

    Takes hours of one core: QIREN trains on circuits of its own. Example:
    `quinr bench small-images --out small-images.json`
    """
    bench = SmallImagesBench(
        load_pictures(),
        baselines(parameters),
        steps=min(steps, QUICK_STEPS) if quick else steps,
        seeds=1 if quick else seeds,
    )
    with tqdm(total=bench.trainings, desc="bench small-images", disable=as_json) as bar:

        def advance(line: str) -> None:
            bar.set_postfix_str(line)
            bar.update()

        result = bench.run(advance)
    result["target_parameters"] = parameters
    result["claims_percent"] = CLAIMS
    result["reductions"] = reductions(result["baselines"])
    result["judgement"] = [judgement(row) for row in result["reductions"]]
    if out:
        write_json_atomically(out, result)
    if as_json:
        print_json(result)
    else:
        _print(result)


def baselines(target: int) -> list[Baseline]:
    """All of them with about so many parameters.

    Raises:
        ProfileError: one of them comes in no size within :data:`TOLERANCE` of it.
    """
    adam_or_axes: Rates = {"adamw": (1e-2, 3e-2), "gn-adam": (2e-2, 5e-2)}
    sines: Rates = {"adamw": (3e-3, 1e-2), "gn-adam": (5e-3, 1e-2)}
    siren = [
        [SirenField(width, layers, frequencies=(start, start)) for width in range(2, 65)]
        for layers, start in itertools.product((2, 3, 4), (6.0, 12.0, 24.0))
    ]
    published = [
        _published(target, n, share, start)
        for (n, share), start in itertools.product(
            ((5, 0.88), (5, 0.7), (4, 0.82)), (4.0, 8.0, 16.0)
        )
    ]
    deep = [
        [
            QuinrField(5, m, blocks, sine_layers=layers, frequencies=(start, start))
            for m, blocks in itertools.product(range(4, 41), (3, 4, 5, 6))
        ]
        for layers, start in itertools.product((3, 4), (4.0, 8.0, 16.0))
    ]
    qiren = [[QirenField(n, blocks) for blocks in range(1, 41)] for n in (4, 5, 6)]
    quantum: Rates = {"adamw": (5e-2, 1e-1, 2e-1)}
    # Second-order looks through autograd are slow, and gained nothing at four qubits.
    with_axes: Rates = {"gn-adam": (3e-2, 1e-1)}
    return [
        Baseline("SIREN", "classical", _grid(target, siren, sines)),
        Baseline("Fourier relu", "classical", _grid(target, _fourier("relu"), adam_or_axes)),
        Baseline("Fourier tanh", "classical", _grid(target, _fourier("tanh"), adam_or_axes)),
        Baseline(
            "QIREN", "qiren", _grid(target, qiren, quantum) + _grid(target, qiren[1:2], with_axes)
        ),
        Baseline("quINR, one sine layer", "quinr", _grid(target, published, adam_or_axes)),
        Baseline("quINR, 3-4 sine layers", "quinr", _grid(target, deep, sines)),
    ]


def _published(target: int, qubits: int, share: float, start: float) -> list[QuinrField]:
    """The paper's quINR with about this share of its parameters in the circuit."""
    blocks = max(1, round(share * target / (qubits * (qubits - 1) // 2 + 4 * qubits)))
    return [QuinrField(qubits, m, blocks, frequencies=(start, start)) for m in range(2, 257)]


def _fourier(activation: Activation) -> list[list[FourierField]]:
    """Networks as wide as there are features, nearly."""
    return [
        [
            FourierField(width + more, width, layers, activation, deviations=(start, start))
            for width, more in itertools.product(range(4, 49), range(-2, 5))
        ]
        for layers, start in itertools.product((1, 2), (0.5, 1.0, 2.0))
    ]


def _grid(
    target: int, families: Iterable[Sequence[Field]], rates: Rates
) -> tuple[Configuration, ...]:
    """Of each family the field nearest in size, with every optimiser and rate.

    Families that have none of the size stay out of it.
    """
    nearest = [
        min(family, key=lambda field: abs(parameter_count(field) - target)) for family in families
    ]
    near = [one for one in nearest if abs(parameter_count(one) - target) <= TOLERANCE * target]
    if not near:
        kind = type(nearest[0]).__name__
        raise ProfileError(f"parameters: no {kind} has {target} to within {TOLERANCE:.0%}")
    return tuple(
        Configuration(field, optimizer, rate)
        for field in near
        for optimizer, choices in rates.items()
        for rate in choices
    )


def reductions(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By how much errors lie below those of the best classical baseline.

    Args:
        entries: ``baselines`` of :meth:`~pipeline.benchmark.small_images.SmallImagesBench.run`.

    Returns:
        A row for each task and each baseline that is not classical: for every picture the
        reduction in percent (negative where the error is larger) and who is best, which may be
        another one for each picture and task, as by QIREN's authors; and the mean over pictures.
    """
    classical = [entry for entry in entries if entry["kind"] == "classical"]
    rows = []
    for task in CLAIMS:
        for entry in entries:
            if entry in classical:
                continue
            images = {}
            for image, own in entry[task].items():
                best = min(classical, key=lambda rival: rival[task][image]["mse"])
                percent = 100 * (1 - own["mse"] / best[task][image]["mse"])
                images[image] = {"percent": percent, "best_classical": best["name"]}
            mean = float(np.mean([row["percent"] for row in images.values()]))
            rows.append(
                {"task": task, "name": entry["name"], "kind": entry["kind"]}
                | {"images": images, "mean_percent": mean}
            )
    return rows


def judgement(row: dict[str, Any]) -> str:
    """A sentence on a row of :func:`reductions`; QIREN's are held against its claim."""
    percent, claim = row["mean_percent"], CLAIMS[row["task"]]
    rivals = sorted({own["best_classical"] for own in row["images"].values()})
    figure = (
        f"error on average {abs(percent):.1f} % {'lower' if percent > 0 else 'higher'} than the "
        f"best classical field's ({', '.join(rivals)})"
    )
    if row["kind"] != "qiren":
        return f"{row['name']}, {TASKS[row['task']]}: {figure}"
    verdict = "reproduced" if percent >= claim else "in part" if percent > 0 else "not reproduced"
    return f"{row['name']}, {TASKS[row['task']]}: {verdict}: {figure}; claimed {claim} % lower"


def _print(result: dict[str, Any]) -> None:
    for task, title in TASKS.items():
        print_table(
            [
                {
                    "baseline": entry["name"],
                    "parameters": entry["parameters"],
                    "optimizer": entry["optimizer"],
                    "rate": entry["learning_rate"],
                    **{
                        f"{image} [1e-4]": f"{1e4 * own['mse']:.3f} ± {5e3 * own['spread']:.3f}"
                        for image, own in entry[task].items()
                    },
                    "seconds": round(entry["seconds"], 1),
                }
                for entry in result["baselines"]
            ],
            f"{title}: mean squared error, half the range of {result['seeds']} seeds",
        )
    rows = [
        {"task": row["task"], "baseline": row["name"]}
        | {image: round(own["percent"], 1) for image, own in row["images"].items()}
        | {"mean": round(row["mean_percent"], 1)}
        for row in result["reductions"]
    ]
    print_table(rows, "error below the best classical one's [%]")
    for sentence in result["judgement"]:
        typer.echo(sentence)
