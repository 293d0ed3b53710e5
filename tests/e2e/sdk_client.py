"""usage: sdk_client.py IMPORT_ID: start an export and read jobs with SailPoint's SDK, and print what it understood.

It runs in the SDK's own environment. Where to ask and as whom are in the SDK's own environment variables.
"""

import json
import sys

from sailpoint import ApiClient, Configuration, SPConfigApi  # type: ignore[import-not-found]  # see above
from sailpoint.sp_config.models.export_payload import ExportPayload  # type: ignore[import-not-found]

DESCRIPTION = "made by the SDK"


def main(import_id: str) -> None:
    """Get a token, start an export, read its status, and read the import."""
    api = SPConfigApi(ApiClient(Configuration()))
    export = api.export_sp_config_v1(ExportPayload(description=DESCRIPTION, include_types=["RULE", "SOURCE"]))
    seen = {
        "export": export,
        "export_status": api.get_sp_config_export_status_v1(export.job_id),
        "import_status": api.get_sp_config_import_status_v1(import_id),
        "import_result": api.get_sp_config_import_v1(import_id),
    }
    json.dump({name: model.model_dump(mode="json", by_alias=True) for name, model in seen.items()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
