"""docs/conditional-layers.md, followed to the letter: a second decoder reads the first one's bytes.

Fields and elementary functions are the kernel's, which other tests check; all between them, and the
coder, is written here from the document, in Python.
"""

from __future__ import annotations

import numpy as np
import pytest

from quinr_lidar import _native
from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.layers.ranges import linear_of

F = np.float32
MASK_NEIGHBOURS = (
    *((0, -1), (0, -2), (0, -3), (0, -4), (0, -6), (-1, -3), (-1, -2), (-1, -1)),
    *((-1, 0), (-1, 1), (-1, 2), (-1, 3), (-1, 5), (-2, -2), (-2, -1), (-2, 0)),
    *((-2, 1), (-2, 2), (-3, -1), (-3, 0), (-3, 1), (-4, 0), (-5, 0), (-6, 0)),
)
NEAR = ((0, -1), (-1, 0), (-1, -1), (-1, 1))
FURTHER = ((0, -2), (-2, 0), (-1, 2), (-1, -2), (0, -3), (-3, 0), (-2, 1), (-2, -1))
COLUMN, ROW = [(-k, 0) for k in range(1, 7)], [(0, -k) for k in range(1, 7)]


def strict(name: str, x) -> np.ndarray:
    x = np.atleast_1d(np.asarray(x, F))
    out = np.empty_like(x)
    _native.strict_function(name, x, out, "baseline")
    return out


def nearest(x) -> int:
    return int(np.rint(min(max(float(x), -(2.0**21)), 2.0**21)))


def cut(x, most):
    return min(max(x, -most), most)


def divide(a: int, b: int) -> int:
    """Integer division that truncates."""
    return a // b if a >= 0 else -(-a // b)


def step_order(shape: tuple[int, int], lag: int):
    pixels = [(v, u) for v in range(shape[0]) for u in range(shape[1])]
    return sorted(pixels, key=lambda p: (p[1] + lag * p[0], p[0]))


SQUASH = [
    min(max(nearest(p), 1), 65535)
    for p in strict("sigmoid", np.arange(-3071, 3072) * F(1 / 256)) * F(65536)
]
_P = (np.arange(4096).astype(F) + F(0.5)) * F(1 / 4096)
STRETCH = [nearest(x) for x in F(256) * (strict("log", _P) - strict("log", F(1) - _P))]


class Coder:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 8
        self.code = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        self.range = 2**64 - 1

    def bit(self, p: int) -> int:
        part = (self.range >> 16) * p
        bit = int(self.code < part)
        if bit:
            self.range = part
        else:
            self.code, self.range = self.code - part, self.range - part
        while self.range < 2**56:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.code, self.range, self.at = self.code << 8 | byte, self.range << 8, self.at + 1
        return bit


class Adaptive:
    """A field's logit and four corrections of it, mixed."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], list[int]] = {}
        self.weights: dict[int, list[int]] = {}

    def decode(self, coder: Coder, logit: int, contexts: list[int], weight_set: int) -> int:
        logits, chosen = [cut(logit, 3071)], []
        y = min(max(logits[0], -2304), 2303) + 2304
        j, r = divmod(y, 192)
        for number, context in enumerate(contexts):
            first = [SQUASH[cut(192 * (k - 12), 3071) + 3071] for k in range(25)]
            cells = self.cells.setdefault((number, context), first)
            p = (cells[j] * (192 - r) + cells[j + 1] * r) // 192
            logits.append(STRETCH[p // 16])
            chosen.append((cells, j + (2 * r >= 192)))
        weights = self.weights.setdefault(weight_set, [32768, *[8192] * 4])
        x = cut(divide(sum(w * one for w, one in zip(weights, logits, strict=True)), 65536), 3071)
        probability = SQUASH[x + 3071]
        bit = coder.bit(probability)
        error = (65536 if bit else 0) - probability
        for k, one in enumerate(logits):
            weights[k] = cut(weights[k] + divide(error * one, 131072), 2**20)
        for cells, cell in chosen:
            cells[cell] += divide((65535 if bit else 0) - cells[cell], 28)
        return bit


def evaluate(field, inputs) -> np.ndarray:
    inputs = np.asarray(inputs, F)[None]
    out = np.empty((1, 1 if inputs.shape[1] == 29 else 30), F)
    field.evaluate(inputs, out, "baseline")
    return out[0]


def read_mask(data: bytes, shape: tuple[int, int], entropy_model: EntropyModel) -> np.ndarray:
    height, width = shape
    mask = np.zeros(shape, int)
    coder, model = Coder(data), Adaptive()

    def pixel(v: int, u: int) -> int:
        return -1 if v < 0 or u < 0 else int(mask[v, u % width])

    def pattern(v: int, u: int, offsets) -> int:
        bits = [pixel(v + rows, u + columns) == 1 for rows, columns in offsets]
        return int("".join(str(int(bit)) for bit in bits), 2)

    for v, u in step_order(shape, 6):
        t = F(2 * v + 1) / F(height) - F(1)
        turns = [strict(name, t * F(k))[0] for k in (8, 30) for name in ("sin", "cos")]
        around = [pixel(v + rows, u + columns) for rows, columns in MASK_NEIGHBOURS]
        output = evaluate(entropy_model["mask"].strict, [*around, t, *turns])[0]
        near = pattern(v, u, NEAR)
        contexts = [
            16 * (64 * v // height) + near,
            256 * near + pattern(v, u, FURTHER),
            64 * pattern(v, u, COLUMN) + pattern(v, u, ROW),
            4 * (64 * u // width) + near // 4,
        ]
        mask[v, u] = model.decode(coder, nearest(F(256) * output), contexts, near)
    return mask


class Ranges:
    """The ranges layer of one file."""

    def __init__(
        self, data: bytes, mask: np.ndarray, entropy_model: EntropyModel, step: float
    ) -> None:
        self.mask, self.entropy_model, self.step = mask, entropy_model, F(step)
        self.unit = np.sqrt(self.step * self.step + F(0.03) * F(0.03))
        self.steps, self.errors = np.zeros(mask.shape, int), np.zeros(mask.shape, int)
        self.coder, self.model = Coder(data), Adaptive()

    def read(self) -> np.ndarray:
        for v, u in step_order(self.mask.shape, 4):
            if self.mask[v, u]:
                self.pixel(v, u)
        return self.steps

    def upward(self, v: int, u: int):
        if u < 0:
            return None
        u %= self.mask.shape[1]
        return next(((row, u) for row in range(v, -1, -1) if self.mask[row, u]), None)

    def neighbours(self, v: int, u: int) -> list:
        left = [(v, k) for k in range(u - 1, -1, -1) if self.mask[v, k]][:3]
        above = [self.upward(v - 1, u + d) for d in range(-3, 4)]
        second = [self.upward(v - 2, u + d) for d in range(-1, 2)]
        return [*left, *[None] * (3 - len(left)), *above, *second, self.upward(v - 3, u)]

    def valid(self, v: int, u: int) -> int:
        height, width = self.mask.shape
        return int(self.mask[v, u % width]) if 0 <= v < height else 0

    def pixel(self, v: int, u: int) -> None:
        found = self.neighbours(v, u)
        left, up = found[0], found[6]
        known = [one is not None for one in found]
        q = [0 if one is None else int(self.steps[one]) for one in found]
        guess = min(int(10 / float(self.step)), 2**30)
        base = q[0] if left else q[6] if up else guess
        scale = self.step / self.unit
        x = np.array([F(a - base) * scale if b else F(0) for a, b in zip(q, known, strict=True)], F)
        place = 32768 * (2 * v + 1) // len(self.mask)
        inputs = self.inputs(x, known, base, place)
        gaps = (u - left[1] if left else 0, v - up[0] if up else 0)
        inputs += [strict("log", F(gap) + F(1))[0] * F(0.5) for gap in gaps]
        inputs += [
            self.valid(v + rows, u + columns) for rows, columns in ((0, 1), (0, 2), (1, 0), (-1, 0))
        ]
        mean, sharp, weight = self.mixture(
            x, evaluate(self.entropy_model["ranges"].strict, inputs), scale
        )
        a, b = (0 if one is None else int(self.errors[one]) for one in (left, up))
        contexts = (place // 1024, a, b)
        error, middle = self.error(mean, sharp, weight, contexts)
        self.steps[v, u] = min(max(base + middle + error, 0), 2**30)
        self.errors[v, u] = cut(error, 2**30)

    def inputs(self, x, known, base: int, place: int) -> list:
        size = np.abs(x)
        logs = strict("log", F(1) + size) * F(0.25)
        signed = np.where(x < 0, -logs, logs)
        each = np.stack((signed, x / (F(8) + size), np.array(known, F)), 1)
        return [
            *each.reshape(-1),
            F(place) * F(1 / 32768) - F(1),
            strict("log", F(base) * self.step + F(1))[0] - F(2),
            strict("log", self.unit)[0] + F(2),
        ]

    def mixture(self, x, outputs, scale):
        o, spread, w = np.clip(outputs.reshape(10, 3), F(-1e6), F(1e6)).T
        slope, along = F(cut(x[6] - x[5], F(50))), F(cut(-x[1], F(50)))
        centre = [F(0), slope, along, x[6], x[7], F(0.5) * (slope + along), x[11], *[F(0)] * 3]
        near, mean = np.clip(x, F(-20), F(20)), []
        for k in range(10):
            total = centre[k] + F(2) * o[k]
            for j in range(14):
                total = total + near[j] * linear_of(self.entropy_model)[k, j]
            mean.append(total / scale)
        weight = strict("exp", w - w.max())
        total = F(0)
        for one in weight:
            total = total + one
        return np.array(mean, F), strict("exp", -np.clip(spread, -6, 8)) * scale, weight / total

    def error(self, mean, sharp, weight, place) -> tuple[int, int]:
        peak = int(np.argmax(sharp * weight))
        m = nearest(mean[peak])
        row, a, b = place
        activity = min(15, 2 * int(abs(a)).bit_length() + int(abs(b)).bit_length())
        signs = 5 * (cut(a, 2) + 2) + cut(b, 2) + 2
        bucket = min(max((int(sharp[peak : peak + 1].view(np.int32)[0]) >> 22) - 234, 0), 31)

        def decide(node: int, one, zero) -> int:
            logs = strict("log", [one, zero])
            contexts = [
                64 * node + row,
                16 * node + activity,
                25 * node + signs,
                32 * node + bucket,
            ]
            logit = nearest(F(256) * (logs[0] - logs[1]))
            return self.model.decode(self.coder, logit, contexts, 4 * node + activity // 4)

        def tail(at, direction: int):
            parts = weight * strict("sigmoid", (mean - at) * (sharp * F(direction)))
            lanes = [F(0)] * 4
            for k, part in enumerate(parts):
                lanes[k % 4] = lanes[k % 4] + part
            total = F(0)
            for lane in lanes:
                total = total + lane
            return total

        up, down = tail(F(m) + F(0.5), 1), tail(F(m) - F(0.5), -1)
        if not decide(0, up + down, max(F(1) - (up + down), F(1e-7))):
            return 0, m
        d = 1 if decide(1, up, down) else -1

        def t(size: int):
            return tail(F(m) + F(d) * (F(size) + F(0.5)), d)

        before = up if d > 0 else down
        first, width, i = 1, 1, 0
        while width < 2**20 and F(width) * sharp[peak] < F(0.5):
            width *= 2
        while True:
            last = first + width - 1
            after = t(last)
            if last >= 2**32 or not decide(2 + min(i, 13), after, before - after):
                break
            first, before = last + 1, after
            width, i = width * 2 if i >= 2 else width, i + 1
        while first < last:
            middle = first + (last - first) // 2
            between = t(middle)
            if decide(16 + min(i, 7), between - after, before - between):
                first, before = middle + 1, between
            else:
                last, after = middle, between
        return d * first, m


@pytest.mark.parametrize(("shape", "step"), [((7, 23), 0.0390625), ((20, 3), 2.0), ((1, 40), 1e-3)])
def test_a_second_decoder_reads_the_same(small_model, shape, step):
    random = np.random.default_rng(shape[0])
    mask = (random.random(shape) < 0.75).astype(np.uint8)
    steps = (300 + np.cumsum(random.integers(-4, 5, shape), 1)).astype(np.int32)
    steps[random.random(shape) < 0.1] *= 30
    steps[-1, -1], mask[-1, -1] = 2**30, 1
    field = small_model["ranges"].strict
    data = _native.encode_mask(small_model["mask"].strict, mask, "baseline")
    np.testing.assert_array_equal(read_mask(data, shape, small_model), mask)
    coded = _native.encode_ranges(field, linear_of(small_model), mask, step, steps, "baseline")
    found = Ranges(coded, mask, small_model, step).read()
    np.testing.assert_array_equal(found[mask == 1], steps[mask == 1])
