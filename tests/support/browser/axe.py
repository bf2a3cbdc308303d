"""axe-core in a browser's page: what keeps people from reading or using it.

https://github.com/dequelabs/axe-core has the rules. The package of it brings the script only; it is
run by the browser's driver, which a page's own security policy does not concern.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from tests.support.browser.chromium import Browser


@cache
def _script() -> str:
    return (files("axe_core_python") / "axe.min.js").read_text("utf-8")


def violations(window: Browser) -> list[str]:
    """What is wrong with the page that is shown: how grave, the rule, and where it is broken."""
    window.run(_script())
    found = window.run("return axe.run().then((all) => all.violations)")
    return [
        f"{each['impact']}: {each['id']} at {node['target'][0]}: {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]
