"""Where the AWS provider is looked for, and what is said when Terraform is not there."""

from pathlib import Path

import pytest

from psm_cloud.__main__ import main
from psm_cloud.errors import CloudError
from psm_cloud.mirror import PROVIDER, find_mirror
from psm_cloud.offline import answer
from psm_cloud.settings import read_settings
from psm_cloud.terraform import Terraform


def mirror(folder: Path) -> Path:
    (folder / PROVIDER / "5.100.0" / "linux_amd64").mkdir(parents=True)
    return folder


def test_the_setting_wins_over_the_configuration_over_home_over_the_roots(tmp_path: Path) -> None:
    """Taken away one after the other."""
    named, configured, root = (mirror(tmp_path / name) for name in ("named", "configured", "roots/a/b"))
    implied = mirror(tmp_path / "home/.terraform.d/plugins")
    config = tmp_path / "terraformrc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{configured}"\n  }}\n}}\n')
    env = {"HOME": str(tmp_path / "home"), "TF_CLI_CONFIG_FILE": str(config), "XDG_DATA_DIRS": str(tmp_path / "none")}
    roots = [tmp_path / "roots"]
    assert find_mirror(read_settings({**env, "PSM_TERRAFORM_MIRROR": str(named)}), roots) == named
    assert find_mirror(read_settings(env), roots) == configured
    config.unlink()
    assert find_mirror(read_settings(env), roots) == implied
    env["HOME"] = str(tmp_path)
    assert find_mirror(read_settings(env), roots) == root
    assert find_mirror(read_settings(env), []) is None


def test_a_setting_that_names_no_mirror_is_refused(tmp_path: Path) -> None:
    """It would be taken for a provider that is not there, much later."""
    with pytest.raises(CloudError, match=r"PSM_TERRAFORM_MIRROR names .* name the folder above it"):
        find_mirror(read_settings({"HOME": str(tmp_path), "PSM_TERRAFORM_MIRROR": str(tmp_path)}))


def test_a_machine_without_terraform_is_told_which_version(tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"terraform is not on PATH; install Terraform 1\.11 or newer"):
        Terraform.found(read_settings({"HOME": str(tmp_path), "PATH": str(tmp_path)}))


def test_an_old_terraform_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.9.8", "platform": "linux_amd64"}\'\n')
    old.chmod(0o755)
    with pytest.raises(CloudError, match=r"is version 1\.9\.8; install Terraform 1\.11 or newer"):
        Terraform.found(read_settings({"HOME": str(tmp_path), "PATH": str(tmp_path)}))


def test_a_plan_without_an_account_is_answered_no_more_than_it_must_ask() -> None:
    assert "123456789012" in (answer("GetCallerIdentity") or "")
    assert "ap-southeast-1c" in (answer("DescribeAvailabilityZones") or "")
    assert answer("DescribeImages") is None


def test_a_readme_that_is_not_up_to_date_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = tmp_path / "modules" / "one"
    module.mkdir(parents=True)
    (module / "main.tf").write_text("# What it is for.\n")
    (module / "variables.tf").write_text('variable "a" {\n  description = "One | two."\n  type = string\n}\n')
    assert main(["module-docs", "--check", "--tree", str(tmp_path)]) == 1
    assert "modules/one/README.md is not what the .tf files say" in capsys.readouterr().err
    assert main(["module-docs", "--tree", str(tmp_path)]) == 0
    text = (module / "README.md").read_text()
    assert "What it is for." in text
    assert "| `a` | `string` | required | One \\| two. |" in text
    assert main(["module-docs", "--check", "--tree", str(tmp_path)]) == 0


def test_what_has_no_description_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = tmp_path / "modules" / "one"
    module.mkdir(parents=True)
    (module / "variables.tf").write_text('variable "a" {\n  type = string\n}\n')
    assert main(["module-docs", "--tree", str(tmp_path)]) == 1
    assert "a has no description; say what it is for" in capsys.readouterr().err
