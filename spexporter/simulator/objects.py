"""The object types of SP-Config and believable objects of each."""

import random
from dataclasses import dataclass

from spexporter.simulator.chance import hex_id
from spexporter.simulator.results import ObjectRef


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One entry of `config-objects`; `names` are for believable objects."""

    name: str
    names: tuple[str, ...]
    importable: bool = False
    exportable: bool = True
    one_per_tenant: bool = False
    references: tuple[str, ...] = ()

    def payload(self) -> dict[str, object]:
        """Write it as `config-objects` lists it."""
        return {
            "objectType": self.name,
            "referenceExtractors": list(self.references) or None,
            "signatureRequired": self.name in {"RULE", "CONNECTOR_RULE"},
            "alwaysResolveById": not self.exportable,
            "legacyObject": False,
            "onePerTenant": self.one_per_tenant,
            "exportable": self.exportable,
            "rules": {"takeFromTargetRules": [], "defaultRules": [], "editable": self.importable},
        }


_STAFF = ("Employees", "Contractors", "Partners")
_AREAS = ("Finance", "Engineering", "Sales", "Support", "Human Resources")

OBJECT_TYPES = {
    kind.name: kind
    for kind in (
        ObjectType("ACCESS_PROFILE", tuple(f"{area} - Read" for area in _AREAS), references=("$.owner", "$.source")),
        ObjectType("ACCESS_REQUEST_CONFIG", ("Access Request Config",), one_per_tenant=True),
        ObjectType("ATTR_SYNC_SOURCE_CONFIG", ("Active Directory", "Workday"), references=("$.source",)),
        ObjectType("AUTH_ORG", ("Auth Org",), one_per_tenant=True),
        ObjectType("CAMPAIGN_FILTER", ("Exclude Birthright", "Privileged Only")),
        ObjectType("CONNECTOR_RULE", ("JDBC Build Map", "Delimited File Merge", "Web Services Retry"), importable=True),
        ObjectType("FORM_DEFINITION", ("New Contractor", "Laptop Request")),
        ObjectType("GOVERNANCE_GROUP", tuple(f"{area} Reviewers" for area in _AREAS), references=("$.owner",)),
        ObjectType("IDENTITY_OBJECT_CONFIG", ("Identity Object Config",), importable=True, one_per_tenant=True),
        ObjectType("IDENTITY_PROFILE", _STAFF, importable=True, references=("$.owner", "$.authoritativeSource")),
        ObjectType("LIFECYCLE_STATE", ("Active", "Leave of Absence", "Terminated")),
        ObjectType("NOTIFICATION_TEMPLATE", ("Access Approved", "Access Denied", "Campaign Due")),
        ObjectType("PASSWORD_POLICY", ("Default Policy", "Administrators")),
        ObjectType("PASSWORD_SYNC_GROUP", ("Directory Accounts",)),
        ObjectType("PUBLIC_IDENTITIES_CONFIG", ("Public Identities Config",), one_per_tenant=True),
        ObjectType("ROLE", tuple(f"{area} Base" for area in _AREAS), references=("$.owner", "$.accessProfiles")),
        ObjectType("RULE", ("Create Unique Username", "Manager Correlation", "Account Filter"), importable=True),
        ObjectType("SEGMENT", ("Europe", "Americas", "Asia Pacific")),
        ObjectType("SERVICE_DESK_INTEGRATION", ("Ticket Desk",), references=("$.ownerRef",)),
        ObjectType("SOD_POLICY", ("Pay and Approve", "Code and Release"), references=("$.ownerRef",)),
        ObjectType(
            "SOURCE",
            ("Active Directory", "Workday", "HR Feed", "Entra ID", "Payroll Database"),
            importable=True,
            references=("$.owner", "$.accountCorrelationRule"),
        ),
        ObjectType("TAG", ("Privileged", "Audited")),
        ObjectType(
            "TRANSFORM",
            ("Normalize Phone", "Lower Case Mail", "Country Lookup", "Cost Center Padding"),
            importable=True,
        ),
        ObjectType("TRIGGER_SUBSCRIPTION", ("Access Request Webhook", "Joiner to Chat"), importable=True),
        ObjectType("WORKFLOW", ("Joiner Welcome", "Leaver Cleanup"), references=("$.owner",)),
        ObjectType("IDENTITY", ("Ada Byron", "Grace Murray", "Alan Mathison"), exportable=False),
    )
}
"""The 25 types that can be exported, and one that is only referred to."""

EXPORTABLE = tuple(kind.name for kind in OBJECT_TYPES.values() if kind.exportable)
IMPORTABLE = tuple(kind.name for kind in OBJECT_TYPES.values() if kind.importable)


def draw_objects(rng: random.Random, type_name: str, count: int) -> tuple[ObjectRef, ...]:
    """Draw `count` objects of one type, or the only one there is; names past the known ones get a number."""
    kind = OBJECT_TYPES[type_name]
    names = kind.names
    return tuple(
        ObjectRef(
            type_name,
            hex_id(rng),
            names[place % len(names)] + (f" {place // len(names) + 1}" if place >= len(names) else ""),
        )
        for place in range(1 if kind.one_per_tenant else count)
    )
