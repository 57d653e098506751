from pathlib import Path

import pytest
import yaml

from helpers.paths import ROOT
from poseact._utils.errors import PoseActError
from poseact.recipe import ScheduleSpec, differences, load_recipe, load_stages
from poseact.training.optimisation import rate_factor

PEOPLE = {"adapter": "lsp-extended", "root": "${PEOPLE:-somewhere}"}
CONTENT = {
    "name": "test",
    "licence": "none",
    "network": {"preset": "tiny"},
    "data": {"train": {"people": PEOPLE}},
    "steps": 100,
}


def write(tmp_path, **changes):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**CONTENT, **changes}))
    return path


def test_a_recipe_is_read_with_its_defaults(tmp_path, monkeypatch):
    monkeypatch.setenv("PEOPLE", "/data/people")
    recipe = load_recipe(write(tmp_path, sizes=[[0, 96], [0.5, 128]]))
    assert recipe.train["people"].folder == Path("/data/people")
    assert [recipe.size_at(step) for step in (0, 49, 50, 99)] == [96, 96, 128, 128]
    assert recipe.skeleton.name == "pa16"
    assert recipe.augment.rotation_deg == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: Input should be greater than 0"),
        ({"stepz": 3}, "stepz: Extra inputs"),
        ({"seed": 2**32}, "seed: Input should be less than or equal to 4294967295"),
        ({"network": {"preset": "huge"}}, "no preset 'huge'"),
        ({"network": {"preset": "tiny", "changes": {"depth": 3}}}, "no field 'depth'"),
        ({"loss": {"weights": {"joint": 1}}}, "joint=1"),
        ({"augment": {"scale": [2, 1]}}, r"scale=\(2.0, 1.0\)"),
        ({"sizes": [[0.5, 96]]}, "increasing shares, the first 0"),
        ({"sizes": [[0, 8]]}, "at least 16 px"),
        ({"name": "../up"}, "name: String should match"),
        ({"augment": {"rotation_deg": -1}}, "rotation_deg=-1"),
        ({"augment": {"occlusion_side": [0.5, 1.5]}}, "at most 1"),
        ({"data": {"train": {"a": {**PEOPLE, "ratio": 0}}}}, "ratio: Input should be greater"),
        ({"data": {"train": {}}}, "train"),
        ({"optimiser": {"name": "lion"}}, "'muon', 'adamw', 'rmsprop' or 'sgd'"),
    ],
)
def test_wrong_fields_are_named(tmp_path, changes, message):
    with pytest.raises(PoseActError, match=message):
        load_recipe(write(tmp_path, **changes))


def test_a_file_that_is_no_recipe_is_refused(tmp_path):
    path = tmp_path / "recipe.yaml"
    with pytest.raises(PoseActError, match="cannot be read"):
        load_recipe(path)
    path.write_text("a: [1")
    with pytest.raises(PoseActError, match="cannot be read"):
        load_recipe(path)
    path.write_text("just words")
    with pytest.raises(PoseActError, match="has no fields"):
        load_recipe(path)


def test_differences_name_the_fields():
    old = {"steps": 3, "augment": {"flip": 0.5, "wide": 0}, "same": [1]}
    new = {"steps": 4, "augment": {"flip": 0.5, "wide": 1}, "same": [1]}
    assert differences(old, new) == ["augment.wide: 0 -> 1", "steps: 3 -> 4"]


def test_schedules():
    steps = ScheduleSpec(name="steps", warm_up=0)
    factors = [rate_factor(step, 120, steps) for step in (0, 79, 80, 99, 100, 119)]
    assert factors == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])
    cosine = ScheduleSpec(warm_up=10, floor=0.1)
    assert rate_factor(0, 100, cosine) == pytest.approx(0.1)
    assert rate_factor(50, 100, cosine) == pytest.approx(0.55)
    assert rate_factor(100, 100, cosine) == pytest.approx(0.1)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda p: p.stem)
def test_the_recipes_that_are_shipped_can_be_read(path):
    for recipe in load_stages(path):
        assert recipe.name.startswith(path.stem)
        assert recipe.validation
