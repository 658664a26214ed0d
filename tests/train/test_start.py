import torch

from model.network import NetworkConfig, UNet
from train.start import member_folder, warm_start


def config(**heads: int):
    return NetworkConfig(dimensions=2, channels=1, filters=2, levels=2, stem=2, heads=tuple(heads.items()))


def test_the_same_network_is_taken_over_whole():
    parent, child = UNet(config(a=3, b=2)), UNet(config(a=3, b=2))
    assert warm_start(child, parent).anew == ()
    for name, value in parent.state_dict().items():
        torch.testing.assert_close(child.state_dict()[name], value)


def test_a_head_with_other_classes_is_taken_anew_and_the_others_are_not():
    parent, child = UNet(config(a=3, b=2)).eval(), UNet(config(b=2, a=4)).eval()
    warmth = warm_start(child, parent)
    assert warmth.anew == ("out.weight (a)", "out.bias (a)")
    image = torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(child.split(child(image))["b"], parent.split(parent(image))["b"])


def test_a_lone_labeller_of_old_is_still_found(tmp_path):
    assert member_folder(tmp_path, 1, 1).name == "fine-1"
    (tmp_path / "fine").mkdir()
    assert member_folder(tmp_path, 1, 1).name == "fine"
    assert member_folder(tmp_path, 2, 2).name == "fine-2"
