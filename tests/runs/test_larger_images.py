"""The pictures of a run on images larger than a screen shows: thumbnails, here and in its folder."""

import numpy as np
import pytest

from cifar_tui.runs.nearest import NearestFinder, NearestSearch
from tests.engine.data.photos import expected_photo, write_photos
from tests.engine.models.own.nets import write_net

SIZE, SHOWN = 112, 64
SOURCE = """
    from torch import nn


    def make_net(num_classes):
        return nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                             nn.Linear(32, num_classes))
"""


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", train=12, test=5)


@pytest.fixture
def trained(make_run, photos, tmp_path):
    """A run on the photos that has ended."""
    model = f"{write_net(tmp_path, SOURCE)}:make_net"
    run = make_run(data=str(photos), model=model, image_size=SIZE, epochs=1, normalization="dataset")
    run.start_training()
    assert run.wait(60)
    return run


def test_pictures_are_thumbnails_here_and_in_the_folder_of_the_run(trained, attach, photos):
    attached = attach(trained.folder)
    live, stored = trained.results(), attached.results()
    assert len(live.images) == len(stored.images) == 10
    assert (trained.folder / "samples.bin").stat().st_size < 10 * 3 * SHOWN**2 + 1000
    for number, file in enumerate(live.files):
        picture = live.images[number]
        assert picture.shape == (SHOWN, SHOWN, 3)
        assert np.array_equal(picture, stored.images[number])
        expected = expected_photo(photos / file, SHOWN).astype(int)
        assert np.abs(picture - expected).mean() < 3
    for run in (trained, attached):
        first, second = run.sample_batch(0).samples[:2]
        assert np.array_equal(first.image, live.images[0])
        assert np.array_equal(second.image, live.images[1])


async def test_the_nearest_images_of_a_stored_run_are_those_of_its_whole_images(trained, attach):
    live = NearestSearch(NearestFinder(), trained, lambda: False)
    attached = attach(trained.folder)
    stored = NearestSearch(NearestFinder(), attached, lambda: False)
    for place in (0, 7):
        here, there = await live.find(trained.results(), place), await stored.find(attached.results(), place)
        assert [near.file for near in here.images] == [near.file for near in there.images]
        assert [near.similarity for near in here.images] == [near.similarity for near in there.images]
        assert here.images[0].image.shape == (SHOWN, SHOWN, 3)
        assert there.notes == ()


def test_pictures_whose_cache_is_damaged_are_missing_and_no_error(trained, photos):
    (pixels,) = (photos.parent / "data" / "cache").glob("*.pixels")
    pixels.write_bytes(b"")
    assert trained.sample_batch(0) is None
    with pytest.raises(OSError, match="has become shorter"):
        trained.results().images[0]
