"""Which models may be asked for: any on a machine of one's own, those on the list in public."""

from pathlib import Path

import pytest

from workbench.errors import BadRequest
from workbench.loading.offer import Offer, named_specs, offer_of
from workbench.loading.spec import DEMO, ModelSpec
from workbench.manager import ModelManager
from workbench.settings import Settings

PUBLIC = Settings(model="me/mine", precision="int8", models=("me/other", "demo:nf4"), profile_name="public")


@pytest.mark.parametrize("spec", [
    ModelSpec("me/mine", precision="int8"), ModelSpec("me/other"), ModelSpec("demo"),
    ModelSpec("demo", precision="int4"),
])  # fmt: skip
def test_what_is_on_the_list_is_offered(spec: ModelSpec) -> None:
    offer_of(PUBLIC).check(spec)


@pytest.mark.parametrize("spec", [
    ModelSpec("me/mine"), ModelSpec("me/mine", precision="float32"), ModelSpec("me/mine", "main", "int8"),
    ModelSpec("EleutherAI/gpt-j-6b"), ModelSpec("/etc"), ModelSpec("."), ModelSpec("demo", device_map="auto"),
    ModelSpec("demo", max_memory={"cpu": 1}), ModelSpec("demo", "other"), ModelSpec("./demo"),
])  # fmt: skip
def test_nothing_else_is(spec: ModelSpec) -> None:
    with pytest.raises(BadRequest, match=r"is not offered.*There are: me/mine:int8, me/other, demo:nf4, demo"):
        offer_of(PUBLIC).check(spec)


@pytest.mark.parametrize("way", ["plan", "load", "heads"])
def test_the_manager_looks_for_nothing_that_is_not_offered(way: str, tmp_path: Path) -> None:
    manager = ModelManager(offer=offer_of(PUBLIC))
    with pytest.raises(BadRequest, match="is not offered"):
        getattr(manager, way)(ModelSpec(str(tmp_path)))


def test_without_an_offer_the_same_model_is_looked_for(tmp_path: Path) -> None:
    """The mutant: the folder is opened, and found to hold nothing."""
    with pytest.raises(Exception, match=r"config\.json"):
        ModelManager().plan(ModelSpec(str(tmp_path)))


def test_a_machine_of_ones_own_offers_anything() -> None:
    offer = offer_of(Settings())
    assert offer.is_open
    offer.check(ModelSpec("anyone/anything", "main", "int8", "auto"))


def test_checkpoints_may_be_kept_to_one_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "models" / "mine", tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    (tmp_path / "models" / "link").symlink_to(outside)
    offer = Offer(root=tmp_path / "models")
    for name in (str(inside), DEMO, "me/on-the-hub"):
        offer.check(ModelSpec(name))
    for name in (str(outside), str(tmp_path / "models" / "link"), str(inside / ".." / ".." / "elsewhere")):
        with pytest.raises(BadRequest, match="where checkpoints are kept"):
            offer.check(ModelSpec(name))


def test_a_precision_stands_behind_a_colon() -> None:
    assert named_specs(("a/b:int8", "c:/models/x", "demo")) == (
        ModelSpec("a/b", precision="int8"), ModelSpec("c:/models/x"), ModelSpec("demo"),
    )  # fmt: skip
