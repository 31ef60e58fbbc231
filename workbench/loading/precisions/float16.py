"""Half precision: 2 bytes a weight, the type of the published float16 branch; fast on older GPUs."""

import torch

from workbench.loading.precision import Precision

PRECISION = Precision("float16", dtype=torch.float16)
