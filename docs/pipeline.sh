#!/bin/sh
# Import FILE into a SailPoint tenant and wait until it has ended; exits as `spexporter wait` does.
set -eu
file=$1
answer=$(printf %s "$SAIL_CLIENT_SECRET" | curl -sS --fail-with-body -d grant_type=client_credentials \
    -d "client_id=$SAIL_CLIENT_ID" --data-urlencode client_secret@- "$SAIL_BASE_URL/oauth/token") ||
    { echo "$answer" >&2; exit 1; }
token=$(printf %s "$answer" | jq -er .access_token)
answer=$(printf 'Authorization: Bearer %s' "$token" | curl -sS --fail-with-body -H @- \
    -F "data=@$file;type=application/json" "$SAIL_BASE_URL/${SAIL_IMPORT_PATH:-sp-config/v1/import}") ||
    { echo "$answer" >&2; exit 1; }
job=$(printf %s "$answer" | jq -er .jobId)
spexporter track --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --name "${file##*/}"
exec spexporter wait --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --timeout "${TIMEOUT:-30m}"
