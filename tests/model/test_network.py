import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.network import (
    NetworkConfig,
    UNet,
    _from_channels,
    _to_channels,
    coarse_network,
    fine_network,
    folded,
    paper_network,
)

TINY = {"channels": 2, "filters": 2, "levels": 2, "heads": (("a", 3), ("b", 1))}


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("stem", [1, 2])
def test_logits_have_the_size_of_the_input_and_split_by_head(dimensions, stem):
    network = UNet(NetworkConfig(dimensions=dimensions, stem=stem, **TINY)).eval()
    with torch.inference_mode():
        logits = network(torch.zeros((1, 2, *[8] * dimensions)))
    assert logits.shape == (1, 4, *[8] * dimensions)
    heads = network.split(logits)
    assert {name: part.shape[1] for name, part in heads.items()} == {"a": 3, "b": 1}


def test_a_size_the_network_cannot_halve_is_refused():
    network = UNet(NetworkConfig(dimensions=2, stem=2, **TINY))
    with pytest.raises(ValueError, match="multiple of 4"):
        network(torch.zeros((1, 2, 8, 6)))


@settings(max_examples=20, deadline=None)
@given(dimensions=st.sampled_from([2, 3]), stem=st.sampled_from([1, 2, 3]), channels=st.integers(1, 3))
def test_folding_into_channels_and_back_changes_nothing(dimensions, stem, channels):
    images = torch.randn((2, channels, *[stem * 2] * dimensions))
    there = _to_channels(images, stem)
    assert there.shape == (2, channels * stem**dimensions, *[2] * dimensions)
    torch.testing.assert_close(_from_channels(there, stem), images)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_folding_the_batch_norms_changes_no_logit(dimensions):
    torch.manual_seed(3)
    network = UNet(NetworkConfig(dimensions=dimensions, stem=2, **TINY))
    images = torch.randn((2, 2, *[8] * dimensions))
    for _ in range(3):
        network(images * 3 + 1)
    network.eval()
    twin = folded(network)
    with torch.inference_mode():
        torch.testing.assert_close(twin(images), network(images), atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d) for module in twin.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d) for module in network.modules())


def test_the_papers_network_is_as_described():
    config = paper_network()
    network = UNet(config)
    assert (config.filters, config.levels, config.multiple, config.classes) == (16, 5, 16, 8)
    widths = [block[0].out_channels for block in network.down]
    assert widths == [16, 32, 64, 128, 256]


@pytest.mark.parametrize("config", [paper_network(), fine_network(), coarse_network()])
def test_a_config_survives_plain_values(config):
    assert NetworkConfig.from_dict(config.as_dict()) == config


@pytest.mark.parametrize(
    "wrong",
    [{"dimensions": 4}, {"levels": 0}, {"heads": ()}, {"heads": (("a", 1), ("a", 2))}, {"heads": (("a", 0),)}],
)
def test_impossible_networks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"2D|at least|distinct"):
        NetworkConfig(**{"dimensions": 2, **TINY, **wrong})


@pytest.mark.parametrize("stem", [1, 2, 3])
def test_logits_are_what_the_weights_of_a_pixel_make_of_the_features(stem):
    torch.manual_seed(4)
    network = UNet(NetworkConfig(dimensions=2, stem=stem, **TINY)).eval()
    images = torch.randn((2, 2, stem * 4, stem * 6))
    with torch.inference_mode():
        planes = network(images)
        features = network.features(torch.nn.functional.pixel_unshuffle(images, stem))
        weight, bias = network.pixel_weights([name for name, _ in network.config.heads])
    logits = torch.einsum("bfrc,pkf->brcpk", features, weight) + bias
    whole = logits.reshape(2, 4, 6, stem, stem, -1).permute(0, 5, 1, 3, 2, 4).reshape(planes.shape)
    torch.testing.assert_close(whole, planes)
    last, _ = network.pixel_weights([network.config.heads[-1][0]])
    torch.testing.assert_close(last, weight[:, -network.config.heads[-1][1] :])
