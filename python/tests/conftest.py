"""Says what is left out where PyTorch is missing; with FAIRPRUNE_REQUIRE_TORCH nothing may be."""

import os

import pytest


def pytest_configure(config):
    if os.environ.get("FAIRPRUNE_REQUIRE_TORCH"):
        import torch  # noqa: F401
        import torchvision  # noqa: F401


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("FAIRPRUNE_REQUIRE_TORCH"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
