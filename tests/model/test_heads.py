import pytest
import torch
import torch.nn.functional as F

from model.heads import CellHead, PixelHead
from model.network import NetworkConfig, UNet

HEADS = (("first", 3), ("second", 2), ("third", 1))


@pytest.mark.parametrize("stem", [1, 2, 3, 4])
def test_both_heads_are_means_of_the_networks_own_logits(stem):
    torch.manual_seed(stem)
    network = UNet(NetworkConfig(dimensions=2, channels=2, filters=3, levels=2, stem=stem, heads=HEADS)).eval()
    images = torch.randn((2, 2, stem * 6, stem * 4))
    height, width = images.shape[2:]
    which, row, column = (
        axis.flatten()
        for axis in torch.meshgrid(torch.arange(2), torch.arange(height), torch.arange(width), indexing="ij")
    )
    with torch.inference_mode():
        heads = network.split(network(images))
        features = network.features(F.pixel_unshuffle(images, stem))
        best = CellHead.of(network, "first").likeliest(features)
        near = PixelHead.of(network, ("second", "third")).at(features, which, row, column)
    torch.testing.assert_close(best.long(), F.avg_pool2d(heads["first"], stem).argmax(1))
    expected = F.avg_pool2d(torch.cat([heads["second"], heads["third"]], 1), 3, stride=1, padding=1)
    found = near.reshape(2, height, width, 3).permute(0, 3, 1, 2)
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], expected[:, :, 1:-1, 1:-1])
    # nothing wild at the edge
    assert found.abs().max() <= 2 * expected.abs().max() + 1
