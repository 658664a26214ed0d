import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model.labelling import Field, Labeller
from model.labels import Territory
from model.network import CONTEXT_SLICES
from model.preprocess import FIELD, context_slices, fine_input, offsets_mm
from tests.tiny_bundle import tiny_bundle

CPU = torch.device("cpu")


@pytest.fixture
def field():
    rng = np.random.default_rng(2)
    hu = torch.from_numpy(rng.normal(60, 120, (7, FIELD, FIELD)).astype(np.float32))
    return Field(hu=hu, corner=(5, -3), middle=(2.5, 90.0, 101.25), spacing_mm=2.0)


def planes(field, slices):
    """The input as training makes it."""
    seen = torch.stack([field.hu[context_slices(k, len(field.hu), field.spacing_mm)] for k in slices])
    assert seen.shape[1] == 2 * CONTEXT_SLICES + 1
    centre = torch.tensor([[101.25 + 3, 90.0 - 5]]).expand(len(slices), 2)
    heights = torch.tensor([(k - 2.5) * 2.0 for k in slices])
    return fine_input(seen, offsets_mm(centre, heights), 130.0)


@pytest.mark.parametrize("slices", [[0], [2, 5], [6, 3, 1, 0]])
def test_reading_sees_what_training_saw(field, slices):
    torch.testing.assert_close(field.cells(2, 130.0).of(slices), F.pixel_unshuffle(planes(field, slices), 2))


def test_logits_are_the_mean_around_a_pixel_and_the_anatomy_the_likeliest(field):
    torch.manual_seed(1)
    network = tiny_bundle(3).fine
    for part in network.parameters():
        torch.nn.init.normal_(part, std=0.2)
    labeller = Labeller((network,), CPU)
    pixel = np.array([[1, 1, 4, 5], [1, 100, 190, 17], [2, 33, 189, 60]])
    with torch.inference_mode():
        anatomy, logits = labeller.anatomy_and_logits(labeller.cells(field, 130.0), [1, 4], pixel)
        heads = network.eval().split(network(planes(field, [1, 4])))
    cells = F.avg_pool2d(heads["anatomy"], 2).argmax(1).numpy()
    np.testing.assert_array_equal(anatomy, cells.repeat(2, axis=1).repeat(2, axis=2))
    assert np.isnan(logits[3]).all()
    both = torch.cat([heads["territory"], heads["calcium"]], dim=1)
    around = F.avg_pool2d(both, 3, stride=1, padding=1)
    for wanted, batch, row, column in [(0, 0, 1, 2), (1, 0, 100, 33), (2, 1, 190, 189)]:
        np.testing.assert_allclose(logits[wanted], around[batch, :, row, column].numpy(), rtol=1e-4, atol=1e-4)
    assert logits.shape == (4, len(Territory) + 1)
