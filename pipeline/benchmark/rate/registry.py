"""All baselines by name. Needs the packages of the ``bench`` extra."""

from __future__ import annotations

from pipeline.benchmark.rate.baselines import Baseline
from pipeline.benchmark.rate.code_length import FIELD, MLP
from pipeline.benchmark.rate.context_mixing import CONTEXT_MIXING
from pipeline.benchmark.rate.image_codecs import IMAGE_CODECS
from pipeline.benchmark.rate.jpeg2000 import JPEG_2000
from pipeline.benchmark.rate.ours import QUINR, UNSEEN
from pipeline.benchmark.rate.point_codecs import POINT_CODECS
from pipeline.benchmark.rate.whole_image import WHOLE_IMAGE

_OURS = (QUINR, UNSEEN)
_MODELS = (FIELD, MLP, CONTEXT_MIXING)

BASELINES: dict[str, Baseline] = {
    one.name: one
    for one in (*_OURS, *_MODELS, *IMAGE_CODECS, *POINT_CODECS, *WHOLE_IMAGE, *JPEG_2000)
}
"""In the order of tables and of the plot."""
