"""Brain float: 2 bytes a weight, float32's range with fewer digits; fast on current CPUs and GPUs."""

import torch

from workbench.loading.precision import Precision

PRECISION = Precision("bfloat16", dtype=torch.bfloat16)
