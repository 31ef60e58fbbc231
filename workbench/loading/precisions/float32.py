"""Single precision: 4 bytes a weight, the reference for every parity check."""

import torch

from workbench.loading.precision import Precision

PRECISION = Precision("float32", dtype=torch.float32)
