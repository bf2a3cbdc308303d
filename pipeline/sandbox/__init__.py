"""A local Outreach to trust the job against: strict where Outreach is, rude where it is."""

from pipeline.sandbox.options import SandboxOptions
from pipeline.sandbox.server import Sandbox, running_sandbox

__all__ = ["Sandbox", "SandboxOptions", "running_sandbox"]
