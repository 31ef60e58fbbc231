"""A twin whose packages are not installed says which ones to install; nothing else of the workbench asks for them."""

import subprocess
import sys

import pytest

IMPORT = """
import sys
for package in {packages}:
    sys.modules[package] = None  # as if it were not installed
from workbench.errors import MissingDependency
try:
    import workbench.twins.{module}
except MissingDependency as error:
    print(error)
"""
NEEDS = {
    "flax_gptj": (("jax", "flax"), "pip install jax flax"),
    "flax_network": (("flax",), "pip install jax flax"),
    "tf_gptj": (("keras",), "pip install tensorflow keras"),
    "tf_pretrained": (("keras",), "pip install tensorflow keras"),
}


@pytest.mark.parametrize("module", NEEDS)
def test_a_twin_without_its_packages_names_them(module: str) -> None:
    packages, install = NEEDS[module]
    source = IMPORT.format(packages=packages, module=module)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.rstrip().endswith(install)
    assert "twins need packages that are not installed" in done.stdout
