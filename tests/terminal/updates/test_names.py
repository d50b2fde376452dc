"""What versions and packages are called: the order of versions, and what is no such name. DESIGN §3."""

import platform

import pytest

from offline_ledger.errors import ReleasePackageUnfit
from offline_ledger.terminal.updates.names import (
    PLATFORMS,
    PackageName,
    Version,
    own_platform,
    package_name_of,
    version_of,
)


def test_versions_order_as_people_expect() -> None:
    said = ["0.0.1", "0.1.0", "0.1.2", "0.1.10", "0.2.0", "0.10.0", "1.0.0", "999999.0.0"]
    assert sorted(map(version_of, reversed(said))) == [version_of(one) for one in said]
    assert [str(version_of(one)) for one in said] == said


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-rc1", "1.2.-3", "1.2.3 ", "๑.๒.๓", "1000000.0.0"]
)
def test_anything_else_is_no_version(text: str) -> None:
    with pytest.raises(ReleasePackageUnfit):
        version_of(text)


@pytest.mark.parametrize("one", PLATFORMS)
def test_a_package_says_version_and_platform_by_its_name(one: str) -> None:
    name = PackageName(Version(0, 2, 10), one)
    assert str(name) == f"kgo-0.2.10-{one}.zip" and package_name_of(str(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "kgo-0.2.0.zip", "kgo-0.2.0-linux_riscv64.zip", "kgo-0.2-linux_x86_64.zip", "KGO-0.2.0-linux_x86_64.zip",
        "kgo-0.2.0-linux_x86_64.zip.zip", "../kgo-0.2.0-linux_x86_64.zip", "kgo-0.2.0-linux_x86_64.zip\n", "",
    ],
)  # fmt: skip
def test_other_names_are_passed_over(name: str) -> None:
    assert package_name_of(name) is None


def test_this_machine_is_one_of_those_that_packages_are_made_for() -> None:
    assert own_platform() == f"linux_{platform.machine()}" and own_platform() in PLATFORMS
