"""What the tests of the bench share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.flash.head_files import HeadFiles, compile_head_files
from tests.flash.card_packages import made_package
from tests.flash.heads import NEWER, HeadBench, board_at, firmware_with, image_of


@pytest.fixture(scope="session")
def head_files(tmp_path_factory: pytest.TempPathFactory) -> HeadFiles:
    """The firmware as it is."""
    return compile_head_files(tmp_path_factory.mktemp("head-files"))


@pytest.fixture(scope="session")
def newer_files(tmp_path_factory: pytest.TempPathFactory) -> HeadFiles:
    """The next release: one file is another."""
    return firmware_with(tmp_path_factory.mktemp("newer-files"), NEWER)


@pytest.fixture(scope="session")
def head_image(tmp_path_factory: pytest.TempPathFactory, head_files: HeadFiles) -> bytes:
    """The flash of a board that runs the firmware as it is, put there by the bench."""
    bench = HeadBench(tmp_path_factory.mktemp("head-image"), head_files)
    with board_at(bench.link):
        bench.flash()
    return image_of(bench.link).read_bytes()


@pytest.fixture
def head_bench(tmp_path: Path, head_files: HeadFiles) -> Iterator[HeadBench]:
    """A bench for one board."""
    bench = HeadBench(tmp_path, head_files)
    yield bench
    bench.record.close()


@pytest.fixture(scope="session")
def card_package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a terminal, made from this checkout."""
    return made_package(tmp_path_factory, is_shared=hasattr(request.config, "workerinput"))
