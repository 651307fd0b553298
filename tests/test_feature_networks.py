"""The networks that images are compared by: equal to others' code, the same for any company."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dcgan_cli.analysis.evaluate import efficientnet, feature_networks, inception
from dcgan_cli.errors import DcganError

CPU = torch.device("cpu")


def images(count: int, side: int = 16, channels: int = 3) -> NDArray[np.uint8]:
    shape = (count, side, side, channels)
    return np.random.default_rng(count).integers(0, 256, shape).astype(np.uint8)


def test_efficientnet_is_that_of_another_package() -> None:
    """With the published weights: all thousand logits, by the code of those who published them."""
    other = pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip(feature_networks.PACKAGE)
    network = feature_networks.efficientnet_network()
    theirs = other.EfficientNet.from_name("efficientnet-lite0").eval()
    path = Path(pytest.importorskip(feature_networks.PACKAGE).__file__).parent / "models"
    theirs.load_state_dict(torch.load(next(path.glob("*.pth")), weights_only=True))
    given = torch.randn(2, 3, efficientnet.SIDE, efficientnet.SIDE, generator=seeded())
    with torch.no_grad():
        expected = theirs(given)
        torch.testing.assert_close(network.logits(given), expected, rtol=1e-3, atol=1e-4)
    assert expected.abs().max() > 1


def test_inception_is_that_of_torch_fidelity(tmp_path: Path) -> None:
    """With random weights, as its file cannot be had here: every feature of the same images."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = inception.empty_inception().state_dict()
    weights |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    path = tmp_path / "weights.pth"
    torch.save(weights, path)
    theirs = module.FeatureExtractorInceptionV3("inception", ["2048"], str(path))
    given = images(3, 40)
    (expected,) = theirs(torch.from_numpy(given).permute(0, 3, 1, 2))
    found = feature_networks.inception_features(path, CPU)(given)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)
    assert found.shape == (3, 2048)


def test_a_file_of_other_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content in (b"", b"not a file of weights", None):
        if content is None:
            torch.save({"a": torch.zeros(2)}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(DcganError, match="not the weights of FID's Inception"):
            feature_networks.inception_features(path, CPU)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(tmp_path / "ran").write_text, ("ran",))

    path = tmp_path / "weights.pth"
    torch.save({"a": Trap()}, path)
    with pytest.raises(DcganError):
        feature_networks.inception_features(path, CPU)
    assert not (tmp_path / "ran").exists()


def all_networks() -> list[feature_networks.FeatureNetwork]:
    found = [feature_networks.random_network()]
    if feature_networks.has_efficientnet():
        found.append(feature_networks.efficientnet_features(CPU))
    return found


@pytest.mark.parametrize("channels", [1, 3])
def test_features_do_not_depend_on_the_company(channels: int) -> None:
    given = images(40, channels=channels)
    for network in all_networks():
        whole = network(given)
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(network(given[33:]), whole[33:])


def test_gray_is_gray_in_color() -> None:
    given = images(4, channels=1)
    for network in all_networks():
        np.testing.assert_allclose(network(given), network(given.repeat(3, 3)), atol=1e-5)


def test_without_its_weights_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_networks, "PACKAGE", "a_package_that_is_not_there")
    assert not feature_networks.has_efficientnet()
    with pytest.raises(DcganError, match=r"pip install 'dcgan\[evaluate\]'"):
        feature_networks.efficientnet_features(CPU)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
