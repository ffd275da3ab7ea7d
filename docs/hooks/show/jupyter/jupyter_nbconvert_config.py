"""Settings of nbconvert, which reads this file: how the build talks to the kernel of a lab."""

import os
import tempfile

c = get_config()  # type: ignore[name-defined]  # noqa: F821

# Files in place of ports, which another process may take between the choice of a number and its use. Without a name of
# their own the files lie in the working folder, under names that all builds there share.
c.KernelManager.transport = "ipc"
c.KernelManager.ip = os.path.join(tempfile.gettempdir(), f"well-initialized-{os.getpid()}")
