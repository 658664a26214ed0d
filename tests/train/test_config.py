import json

import pytest

from train.config import CohortConfig, ConfigError, ExperimentConfig, Optimisation


def load(tmp_path, text):
    path = tmp_path / "experiment.toml"
    path.write_text(text)
    return ExperimentConfig.load(path)


def test_what_the_file_leaves_out_keeps_its_default(tmp_path):
    experiment = load(tmp_path, 'name = "x"\n[fine]\nsteps = 7\n[fine_network]\nfilters = 4\n')
    assert experiment.name == "x"
    assert experiment.fine == Optimisation(steps=7, batch=ExperimentConfig().fine.batch)
    assert experiment.fine_network.filters == 4
    assert experiment.coarse == ExperimentConfig().coarse


def test_an_experiment_survives_json():
    experiment = ExperimentConfig(name="y", cohort=CohortConfig(cases=3))
    assert ExperimentConfig.from_dict(json.loads(json.dumps(experiment.as_dict()))) == experiment


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not TOML"),
        ("colour = 1", "colour"),
        ("[fine]\nstep = 1", "fine has no setting step"),
        ("fine = 3", "fine is a table"),
        ('[fine]\nsteps = "many"', "fine.steps is int"),
        ("[fine]\nsteps = true", "fine.steps is int"),
        ("[fine]\nsteps = 0", "at least 1"),
        ("[fine]\nrate = -1.0", "positive"),
        ("[augmentation]\nscale = [1.2, 0.8]", "range"),
        ("[augmentation]\nscale = 1.0", "range"),
        ("[fine_network]\nlevels = 0", "fine_network"),
        ("[fine_network]\ncolour = 1", "fine_network"),
        ("[cohort]\ncases = 0", "at least one"),
        ("[cohort]\nfirst_seed = 899990\ncases = 100", "held-out"),
    ],
)
def test_mistakes_are_named(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


def test_held_out_seeds_are_never_trained_on():
    cohort = ExperimentConfig().cohort
    assert not set(cohort.seeds()) & set(cohort.held_out_seeds())
