"""Work by an engine: datatrove's tasks on this machine, a Slurm cluster, Ray, or Hugging Face Jobs.

A task is one share of the files, made by `generate`, or of the rows that `certify` makes again. Ours is what surrounds
the tasks: which are still to be done, how far all of them are, the merge at the end; on this machine also the processes
that do them. Logs, what is noted as done, and where tasks run elsewhere are the engine's. Whatever dies, the same call
goes on: what is finished lies where the dataset is, what was found with the user, and a task that lacks some of it is
done again, whatever the engine has noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.dataset.engine.generating import generate_by_engine
    from mmmi_hf.dataset.engine.verifying import certify_by_engine

__all__ = ["certify_by_engine", "generate_by_engine"]

__getattr__, __dir__ = lazy_names(__name__, __file__)
