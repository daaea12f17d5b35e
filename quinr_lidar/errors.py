"""Exceptions a caller of quinr-lidar may catch.

Every error raised on purpose derives from :class:`QuinrError`, so a nightly job can
separate "this frame is bad" from a bug. Messages name what was expected and what was found.
"""

from __future__ import annotations


class QuinrError(Exception):
    """Base class of every error quinr-lidar raises on purpose."""


class GeometryError(QuinrError, ValueError):
    """Points, a range image or a projection whose shape, dtype or values are unusable."""


class CircuitError(QuinrError, ValueError):
    """A circuit or field specification that describes no circuit, or tensors that do not fit it."""


class ProfileError(QuinrError, ValueError):
    """An unknown profile, or a setting outside its allowed range."""


class TrainingError(QuinrError, RuntimeError):
    """Training cannot start, or produced parameters that are not finite."""


class BackendError(QuinrError, RuntimeError):
    """A simulation backend that is not available for what was asked of it."""


class BitstreamError(QuinrError, ValueError):
    """Bytes that are not a valid ``.quinr`` file.

    Attributes:
        section: The part of the file that is wrong ("header", "preview", ...).
        offset: Byte offset from the start of the file at which it was noticed.
    """

    def __init__(self, section: str, offset: int, reason: str) -> None:
        super().__init__(f"{section} at byte {offset}: {reason}")
        self.section = section
        self.offset = offset
        self.reason = reason


class UnknownEntropyModelError(BitstreamError):
    """A file that was coded with an entropy model this decoder does not have.

    Attributes:
        entropy_model: The entropy model's name, hexadecimal digits.
    """

    def __init__(self, offset: int, entropy_model: str, known: str) -> None:
        super().__init__(
            "mask",
            offset,
            f"coded with the entropy model {entropy_model}, which is neither built in ({known}) "
            "nor among those given; give the entropy model that the archive carries",
        )
        self.entropy_model = entropy_model


class EntropyModelError(QuinrError, ValueError):
    """An entropy model that does not exist, or cannot be trained from what was given."""


class ScanError(QuinrError, ValueError):
    """A scan file that cannot be read as points. The message names the file."""


class DatasetError(QuinrError, ValueError):
    """A data set whose layout is not the one expected. The message shows the expected tree."""


class StorageError(QuinrError, OSError):
    """A file or folder that cannot be written or read (full disk, permissions)."""


class ArchiveError(QuinrError, ValueError):
    """A packed sequence that is damaged, disagrees with itself, or is of a newer version.

    The message names the file, the field and what was expected.
    """
