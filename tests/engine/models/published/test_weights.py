"""Published weights: from torch's cache, or downloaded into it from a loopback server."""

import hashlib
import io
from urllib.parse import urlsplit

import pytest
import torch
import torchvision

from cifar_tui.engine.data.normalization import IMAGENET
from cifar_tui.engine.data.registry import Progress
from cifar_tui.engine.errors import DataUnavailableError
from cifar_tui.engine.models.published.weights import fetch_published_weights, published_normalization
from tests.engine.data.conftest import serving
from tests.engine.data.loopback import Plan

MODEL = "torchvision:shufflenet_v2_x0_5"
DEFAULT = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT


def published_file():
    """What torchvision might publish for `MODEL`, and the beginning of its SHA-256."""
    torch.manual_seed(1)
    net, content = torchvision.models.shufflenet_v2_x0_5(), io.BytesIO()
    net(torch.randn(4, 3, 32, 32))  # for the statistics of batch normalization
    torch.save(net.state_dict(), content)
    return content.getvalue(), hashlib.sha256(content.getvalue()).hexdigest()[:8]


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Serves the weights of `MODEL`, under a name with their hash; torch's cache is in `tmp_path`."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    content, sha256 = published_file()
    with serving(content) as state:
        host = urlsplit(state.url).netloc
        state.url = f"http://{host}/models/shufflenet-{sha256}.pth"
        monkeypatch.setattr(DEFAULT.value, "url", state.url)
        yield state


@pytest.fixture
def cached(server, tmp_path):
    """Where the file belongs."""
    return tmp_path / "torch" / "hub" / "checkpoints" / server.url.rpartition("/")[2]


def fetch(seen=None):
    report = (lambda loading: None) if seen is None else seen.append
    return fetch_published_weights(MODEL, Progress(report, lambda: False))


def test_they_are_downloaded_once_into_torchs_cache_with_progress(server, cached):
    seen = []
    weights = fetch(seen)
    assert weights.path == cached
    assert cached.read_bytes() == server.payload
    assert (len(weights.class_names), weights.class_names[0]) == (1000, "tench")
    assert f"checking {cached.name}.part" in {loading.stage for loading in seen}
    assert seen[-1].done == seen[-1].total == len(server.payload)
    fetch()
    assert len(server.ranges) == 1


def test_torch_loads_the_downloaded_file_without_a_network(server, cached):
    fetch()
    state = torch.hub.load_state_dict_from_url(server.url, check_hash=True, weights_only=True)
    assert "fc.weight" in state
    assert len(server.ranges) == 1


def test_a_download_that_breaks_is_resumed(server, cached):
    server.plans = [Plan(cut_after=100_000)]
    fetch()
    assert server.ranges == [None, "bytes=100000-"]
    assert cached.read_bytes() == server.payload


def test_a_wrong_file_on_the_server_is_refused_and_not_kept(server, cached):
    server.payload = b"x" * len(server.payload)
    with pytest.raises(DataUnavailableError, match=r"SHA-256 [0-9a-f]{8}, expected [0-9a-f]{8}"):
        fetch()
    assert not cached.exists()


def test_a_wrong_file_in_the_cache_is_refused_and_kept(server, cached):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cut")
    with pytest.raises(DataUnavailableError, match=rf"'{cached}' is not the published file \(SHA-256"):
        fetch()
    assert cached.read_bytes() == b"cut"
    assert server.ranges == []


def test_without_a_network_the_sentence_says_where_to_put_the_file(monkeypatch, server, cached):
    monkeypatch.setattr(DEFAULT.value, "url", f"http://127.0.0.1:9/{cached.name}")
    with pytest.raises(DataUnavailableError) as refused:
        fetch()
    assert str(refused.value) == (
        f"cannot download {cached.name} to '{cached.parent}': Connection refused; try again, or put the file "
        "there yourself, or set weights to a file and pretrained to no"
    )


def test_the_normalization_is_that_of_the_training_and_for_inception_without_its_own_conversion():
    assert published_normalization("torchvision:resnet18") == IMAGENET
    net = torchvision.models.inception_v3(aux_logits=False, init_weights=False, transform_input=True)
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    ours = published_normalization("torchvision:inception_v3").apply(images)
    assert torch.allclose(net._transform_input(IMAGENET.apply(images)), ours, atol=1e-6)
