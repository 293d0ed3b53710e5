"""What Configuration Hub's lists tell."""

from dataclasses import dataclass

from spexporter.domain.job import Observation


@dataclass(frozen=True, slots=True)
class ListedJob:
    """One entry of a list: a backup, an upload, a draft or a deploy, as the tenant tells it now.

    `object_count` and `synced`, whether cloud storage has it, are None where that is not told. `of_other_tenant` is
    None where it names a tenant and we do not know ours. `pending_since_s` is since when a draft with
    `pending_approval` waits, Unix seconds by the tenant's clock, None where no comment tells it.

    Source: SailPoint API specification, Configuration Hub: schemas of backups, drafts and deploys.
    """

    observation: Observation
    name: str = ""
    object_count: int | None = None
    synced: bool | None = None
    partial: bool = False
    of_other_tenant: bool | None = False
    pending_approval: bool = False
    pending_since_s: float | None = None
