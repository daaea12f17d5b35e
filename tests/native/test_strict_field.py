"""The strict conditional field against the state-vector simulator, bit for bit on every machine."""

from __future__ import annotations

import ctypes
import hashlib
import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from quinr_lidar import _native
from quinr_lidar.circuit import statevector
from quinr_lidar.circuit.native import native_spec
from quinr_lidar.circuit.random import split_mix_uniforms
from quinr_lidar.circuit.specification import CircuitSpec
from quinr_lidar.kernel import instruction_sets

Floats = NDArray[np.float32]
UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}


@dataclass(frozen=True)
class Field:
    circuit: CircuitSpec
    weight: Floats  # [M, inputs]
    bias: Floats
    rotations: Floats
    controlled: Floats
    readout: Floats  # [outputs, 2^n + M]
    offset: Floats
    embedding_scale: float = 3.0

    @classmethod
    def draw(cls, circuit: CircuitSpec, inputs: int, outputs: int, seed: int = 0) -> Field:
        random = np.random.default_rng(seed)

        def normal(scale: float, *shape: int) -> Floats:
            return (scale * random.standard_normal(shape)).astype(np.float32)

        read = circuit.states + circuit.features
        return cls(
            circuit,
            normal(0.3, circuit.features, inputs),
            normal(1.0, circuit.features),
            normal(2.0, *circuit.rotation_shape),
            normal(2.0, *circuit.controlled_shape),
            normal(0.1, outputs, read),
            normal(1.0, outputs),
        )

    def prepared(self) -> _native.StrictField:
        outputs, inputs = len(self.offset), self.weight.shape[1]
        return _native.StrictField(
            native_spec(self.circuit),
            inputs,
            outputs,
            [self.circuit.features],
            self.weight,
            self.bias,
            self.embedding_scale,
            self.rotations.reshape(-1),
            self.controlled.reshape(-1),
            self.readout,
            self.offset,
        )

    def evaluate(self, x: Floats, isa: str) -> Floats:
        out = np.empty((len(x), len(self.offset)), np.float32)
        self.prepared().evaluate(x, out, isa)
        return out

    def definition(self, x: Floats) -> NDArray[np.float64]:
        def tensor(array: Floats) -> torch.Tensor:
            return torch.from_numpy(array).double()

        h = torch.sin(tensor(x) @ tensor(self.weight).T + tensor(self.bias))
        p = statevector.probabilities(
            replace(self.circuit, outputs=self.circuit.states),
            (self.embedding_scale * h)[None],
            tensor(self.rotations)[None],
            tensor(self.controlled)[None],
        )[0]
        read = torch.cat([self.circuit.states * p - 1, h], dim=1)
        return (read @ tensor(self.readout).T + tensor(self.offset)).numpy()


def inputs_of(pixels: int, width: int) -> Floats:
    return np.random.default_rng(pixels).standard_normal((pixels, width)).astype(np.float32)


def assert_same_bits(ours: Floats, theirs: Floats) -> None:
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


SPEC = CircuitSpec(5, 24, 3, shuffle_seed=7)


@pytest.mark.parametrize("qubits", range(1, 9))
def test_is_what_the_simulator_defines(qubits):
    for features, blocks, layers in (
        (1, 1, 1),
        (qubits, 2, 1),
        (2 * qubits + 1, 1, 2),
        (3 * qubits - 1, 3, 2),
        (5 * qubits, 2, 1),
    ):
        circuit = CircuitSpec(qubits, features, blocks, layers, shuffle_seed=features)
        field = Field.draw(circuit, inputs=features + 2, outputs=9, seed=qubits)
        x = inputs_of(37, features + 2)
        best, *others = (field.evaluate(x, isa) for isa in instruction_sets())
        np.testing.assert_allclose(best, field.definition(x), rtol=0, atol=3e-5)
        for other in others:
            assert_same_bits(other, best)


def exact(seed: int, scale: float, *shape: int) -> Floats:
    """Numbers in +-scale that are the same everywhere."""
    uniforms = split_mix_uniforms(seed, int(np.prod(shape)))
    return (scale * (2 * uniforms - 1)).astype(np.float32).reshape(shape)


@pytest.mark.parametrize("isa", instruction_sets())
def test_the_bits_that_files_were_written_with(isa):
    field = Field(
        SPEC,
        exact(1, 0.25, 24, 56),
        exact(2, 2, 24),
        exact(3, 4, *SPEC.rotation_shape),
        exact(4, 4, *SPEC.controlled_shape),
        exact(5, 0.25, 32, 56),
        exact(6, 1, 32),
    )
    out = field.evaluate(exact(7, 2, 100, 56), isa)
    assert hashlib.sha256(out.astype("<f4").tobytes()).hexdigest()[:16] == "9c7c50e828be078e"


@pytest.mark.parametrize("isa", instruction_sets())
def test_any_number_of_pixels_and_any_neighbours(isa):
    field = Field.draw(SPEC, inputs=56, outputs=32)
    x = inputs_of(300, 56)
    whole = field.evaluate(x, isa)
    for pixels in (0, 1, 3, 4, 5, 15, 16, 17, 31, 33, 64, 127, 128, 129, 256, 257):
        assert_same_bits(field.evaluate(x[:pixels], isa), whole[:pixels])
    # Wherever in a batch a pixel is.
    assert_same_bits(field.evaluate(np.ascontiguousarray(x[::-1]), isa), whole[::-1])


def test_the_largest_sizes():
    circuit = CircuitSpec(8, 128, 16, 2, shuffle_seed=1)
    field = Field.draw(circuit, inputs=128, outputs=128)
    x = inputs_of(20, 128)
    best, *others = (field.evaluate(x, isa) for isa in instruction_sets())
    np.testing.assert_allclose(best, field.definition(x), rtol=0, atol=1e-3)
    for other in others:
        assert_same_bits(other, best)


def test_inputs_that_mean_nothing_give_finite_numbers_and_the_same():
    field = Field.draw(SPEC, inputs=5, outputs=3)
    x = inputs_of(24, 5)
    x[::4] = np.array([np.nan, np.inf, -np.inf, 3e38, -1e-45], np.float32)
    x[1::4, 2] = -np.nan
    best, *others = (field.evaluate(x, isa) for isa in instruction_sets())
    assert np.isfinite(best).all()
    for other in others:
        assert_same_bits(other, best)


def test_extreme_parameters_give_finite_numbers_and_the_same():
    field = Field.draw(SPEC, inputs=5, outputs=3)
    largest = np.float32(2**20)
    field = replace(
        field,
        weight=np.full_like(field.weight, largest),
        readout=np.full_like(field.readout, -largest),
        embedding_scale=float(largest),
        rotations=np.full_like(field.rotations, 8192),
        controlled=np.full_like(field.controlled, -8192),
    )
    x = np.full((9, 5), 3e38, np.float32)
    best, *others = (field.evaluate(x, isa) for isa in instruction_sets())
    assert np.isfinite(best).all()
    for other in others:
        assert_same_bits(other, best)


def test_threads_share_a_field():
    field = Field.draw(SPEC, inputs=12, outputs=7).prepared()
    x = inputs_of(500, 12)

    def evaluate(_: int) -> Floats:
        out = np.empty((500, 7), np.float32)
        field.evaluate(x, out, "baseline")
        return out

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(evaluate, range(12))
    for other in others:
        assert_same_bits(other, first)


@pytest.mark.parametrize("isa", instruction_sets())
def test_a_caller_that_flushes_denormals_changes_nothing(isa):
    field = Field.draw(SPEC, inputs=4, outputs=3)
    tiny = np.float32(1e-40)  # denormal sums decide every bit of h, and of the output
    field = replace(
        field,
        weight=field.weight * tiny,
        bias=field.bias * 0,
        readout=field.readout * tiny,
        offset=field.offset * 0,
    )
    x = inputs_of(40, 4)
    before = field.evaluate(x, isa)
    assert np.count_nonzero(before) > before.size / 2
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        after = field.evaluate(x, isa)
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(before, after)


def test_a_caller_that_rounds_upward_changes_nothing():
    upward = UPWARD.get(platform.machine())
    if upward is None or platform.system() != "Linux":
        pytest.skip("the number of FE_UPWARD is known for x86-64 and arm64 on Linux")
    library = ctypes.CDLL(None)
    field = Field.draw(SPEC, inputs=12, outputs=7)
    x = inputs_of(40, 12)
    before = {isa: field.evaluate(x, isa) for isa in instruction_sets()}
    nearest = library.fegetround()
    try:
        assert library.fesetround(upward) == 0
        after = {isa: field.evaluate(x, isa) for isa in instruction_sets()}
        assert library.fegetround() == upward
    finally:
        library.fesetround(nearest)
    for isa, values in before.items():
        assert_same_bits(after[isa], values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", np.nan),
        ("bias", np.inf),
        ("rotations", 8193.0),
        ("controlled", -np.inf),
        ("readout", 2.0**21),
        ("offset", -np.nan),
    ],
)
def test_parameters_are_finite_and_bounded(name, value):
    field = Field.draw(SPEC, inputs=4, outputs=3)
    array = getattr(field, name).copy()
    array.reshape(-1)[-1] = value
    with pytest.raises(ValueError, match=f"{name}: a value is not finite or too large"):
        replace(field, **{name: array}).prepared()


def test_the_scale_is_finite():
    with pytest.raises(ValueError, match="embedding_scale: a value is not finite"):
        replace(Field.draw(SPEC, inputs=4, outputs=3), embedding_scale=float("nan")).prepared()


@pytest.mark.parametrize(
    ("circuit", "inputs", "outputs", "message"),
    [
        (CircuitSpec(9, 4, 1), 4, 4, "qubits: too many"),
        (CircuitSpec(2, 129, 1), 4, 4, "features: too many"),
        (CircuitSpec(2, 4, 33), 4, 4, "blocks and layers: too many"),
        (CircuitSpec(2, 4, 11, 3), 4, 4, "blocks and layers: too many"),
        (CircuitSpec(2, 4, 1), 129, 4, "inputs: out of range"),
        (CircuitSpec(2, 4, 1), 0, 4, "inputs: out of range"),
        (CircuitSpec(2, 4, 1), 4, 129, "outputs: out of range"),
        (CircuitSpec(2, 4, 1), 4, 0, "outputs: out of range"),
    ],
)
def test_sizes_are_bounded(circuit, inputs, outputs, message):
    with pytest.raises(ValueError, match=message):
        Field.draw(circuit, inputs, outputs).prepared()


def test_shapes_are_checked():
    field = Field.draw(SPEC, inputs=4, outputs=3)
    with pytest.raises(ValueError, match="weight: unexpected size"):
        replace(field, weight=np.zeros((3, 4), np.float32)).prepared()
    prepared = field.prepared()
    with pytest.raises(ValueError, match="x: unexpected shape"):
        prepared.evaluate(np.zeros((2, 5), np.float32), np.zeros((2, 3), np.float32), "baseline")
    with pytest.raises(ValueError, match="out: unexpected shape"):
        prepared.evaluate(np.zeros((2, 4), np.float32), np.zeros((3, 3), np.float32), "baseline")
    with pytest.raises(ValueError, match="has no sse9"):
        prepared.evaluate(np.zeros((2, 4), np.float32), np.zeros((2, 3), np.float32), "sse9")
