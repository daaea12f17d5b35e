"""All baselines by name, in the order of tables and plots. Needs the extra ``bench``."""

from __future__ import annotations

from pipeline.benchmark.baseline import Baseline
from pipeline.benchmark.baselines.bounded import BOUNDED
from pipeline.benchmark.baselines.code_length import CODE_LENGTHS, ENTROPY_MODELS
from pipeline.benchmark.baselines.context_mixing import CONTEXT_MIXING
from pipeline.benchmark.baselines.fields import FIELDS
from pipeline.benchmark.baselines.inpainted import INPAINTED
from pipeline.benchmark.baselines.lossless_codecs import LOSSLESS_CODECS
from pipeline.benchmark.baselines.lossy_codecs import LOSSY_CODECS
from pipeline.benchmark.baselines.point_codecs import POINT_CODECS
from pipeline.benchmark.baselines.whole_image import WHOLE_IMAGE

_AT_A_RATE = (*WHOLE_IMAGE, *(one for one in LOSSY_CODECS if one.name == "jpeg2000-16"), INPAINTED)

PAPER = (*FIELDS, *LOSSY_CODECS)
"""Those that ``quinr bench paper`` compares at equal bytes."""
RATE = (
    *BOUNDED,
    *CODE_LENGTHS,
    CONTEXT_MIXING,
    *LOSSLESS_CODECS,
    *POINT_CODECS,
    *_AT_A_RATE,
    *ENTROPY_MODELS,
)
"""Those that ``quinr bench rate`` compares, most of them at a guaranteed largest error."""

BASELINES: dict[str, Baseline] = {one.name: one for one in (*PAPER, *RATE)}
