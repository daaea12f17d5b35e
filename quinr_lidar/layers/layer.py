"""What a layer of a scan's file is: the protocol that preview, mask and ranges have in common.

A file is a header and one section for each layer. A layer writes its section from a range image
(:class:`Source`), and puts what it reads into the image that is being decoded (:class:`Draft`).
To add a layer, write one module like :mod:`quinr_lidar.layers.mask` and name it in
:mod:`quinr_lidar.layers.registry`: container, encoder, decoder, ``salvage`` and ``inspect`` follow
the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quinr_lidar.entropy.models import EntropyModel
from quinr_lidar.errors import EntropyModelError
from quinr_lidar.geometry import RangeImage, SphericalProjection

if TYPE_CHECKING:
    from quinr_lidar.fields.grid_values import Window
    from quinr_lidar.fields.quinr import Simulator


class FittedField(Protocol):
    """A trained and rounded field of a range image."""

    @property
    def values(self) -> NDArray[np.float64]:
        """What a decoder will see: float64 [H, W, C] in [0, 1]."""
        ...

    @property
    def payload(self) -> Callable[[float | None], bytes]:
        """From the threshold (``None`` for a file with a mask) to the preview's section."""
        ...


@dataclass(frozen=True, eq=False)
class Source:
    """What layers write their sections from.

    Attributes:
        image: The original.
        entropy_model: Codes the layers that need one.
        settings: Values of the settings that the layers name in :attr:`Layer.settings`.
        layers: Names of all layers that the file will hold.
        fit: Trains the preview's field; called once at most.
    """

    image: RangeImage
    entropy_model: EntropyModel | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    fit: Callable[[], FittedField] | None = None

    def model(self) -> EntropyModel:
        """The entropy model.

        Raises:
            EntropyModelError: none was given.
        """
        if self.entropy_model is None:
            raise EntropyModelError("expected an entropy model to encode with, got none")
        return self.entropy_model


@dataclass(eq=False)
class Draft:
    """A range image while it is being decoded, layer by layer.

    Attributes:
        projection: The scan's own grid.
        no_return: What invalid pixels hold, metres.
        layers: Names of all layers that the file holds.
        entropy_models: Models at hand beside the built-in ones.
        grid: The grid that is wanted; the scan's own by default.
        window: The part of it that is wanted; all by default.
        simulate: Runs the preview's circuits instead of the backend.
        entropy_model: The model that the file was coded with, once a layer has named it.
        ranges: float32 [H, W] on the wanted grid, metres; set by layers.
        valid: bool [H, W]; set by layers.
        guessed: Whether it is unknown which pixels were measured; then all count as valid.
        keeps_values: Whether invalid pixels keep what the preview says instead of ``no_return``.
    """

    projection: SphericalProjection
    no_return: float
    layers: tuple[str, ...]
    entropy_models: tuple[EntropyModel, ...] = ()
    grid: SphericalProjection = field(default_factory=SphericalProjection)
    window: Window | None = None
    simulate: Simulator | None = None
    entropy_model: EntropyModel | None = None
    ranges: NDArray[np.float32] | None = None
    valid: NDArray[np.bool_] | None = None
    guessed: bool = False
    keeps_values: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scan's own grid."""
        return self.projection.height, self.projection.width


class Layer(Protocol):
    """One layer of a file. Layers are stateless: one object of each is in the registry."""

    @property
    def name(self) -> str:
        """Name of the layer, and of its model in an entropy model."""
        ...

    @property
    def number(self) -> int:
        """Number of its section, 1..6; sections follow one another by their numbers."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the layers that must be decoded before it."""
        ...

    @property
    def gives(self) -> tuple[str, ...]:
        """Attributes of a :class:`Draft` that it sets.

        Where several layers set the same one, the last of them knows it best, and the others
        are not decoded for it.
        """
        ...

    @property
    def any_grid(self) -> bool:
        """Whether it can be decoded on another grid than the scan's own."""
        ...

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings of a profile that have an effect only in files with this layer."""
        ...

    @property
    def promise(self) -> str:
        """What a decoder can rely on, in one sentence."""
        ...

    def pack(self, source: Source) -> bytes:
        """Write the section.

        Raises:
            EntropyModelError: there is no entropy model, or none for this layer.
            GeometryError: the image cannot be coded with these settings.
        """
        ...

    def unpack(self, payload: bytes, start: int, draft: Draft) -> None:
        """Read the section into an image; the layers of ``needs`` are there already.

        Args:
            payload: The section's bytes.
            start: Their offset in the file, for error messages.
            draft: The image so far; changed in place.

        Raises:
            BitstreamError: the bytes are not sound.
            EntropyModelError: the file's entropy model does not code this layer.
        """
        ...

    def describe(self, payload: bytes, start: int, draft: Draft) -> dict[str, Any]:
        """What the section says about itself without being decoded, for ``inspect``.

        Args:
            payload: The section's bytes.
            start: Their offset in the file, for error messages.
            draft: What the header says; nothing is decoded.

        Raises:
            BitstreamError: the section is too short, or its numbers are impossible.
        """
        ...
