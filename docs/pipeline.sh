#!/bin/sh
# Import FILE into a SailPoint tenant and wait until it has ended; exits as `spexporter wait` does.
set -eu
: "${1:?usage: pipeline.sh FILE}" "${SAIL_BASE_URL:?}" "${SAIL_CLIENT_ID:?}" "${SAIL_CLIENT_SECRET:?}"
: "${SPEXPORTER_URL:?}" "${SPEXPORTER_TENANT:?}"
file=$1
# An import cannot be taken back: without its file, or an exporter that knows the tenant, none is begun.
[ -f "$file" ] && [ -r "$file" ] || { echo "$file cannot be read" >&2; exit 1; }
command -v spexporter >/dev/null || { echo "spexporter is not on the PATH" >&2; exit 1; }
answer=$(curl -sS --fail-with-body "$SPEXPORTER_URL/api/v1/jobs?state=UNKNOWN&tenant=$SPEXPORTER_TENANT") ||
    { echo "$answer" >&2; exit 1; }
answer=$(printf %s "$SAIL_CLIENT_SECRET" | curl -sS --fail-with-body -d grant_type=client_credentials \
    -d "client_id=$SAIL_CLIENT_ID" --data-urlencode client_secret@- "$SAIL_BASE_URL/oauth/token") ||
    { echo "$answer" >&2; exit 1; }
token=$(printf %s "$answer" | jq -er .access_token) || { echo "the answer has no access_token" >&2; exit 1; }
answer=$(printf 'Authorization: Bearer %s' "$token" | curl -sS --fail-with-body -H @- \
    -F "data=@$file;type=application/json" "$SAIL_BASE_URL/${SAIL_IMPORT_PATH:-sp-config/v1/import}") ||
    { echo "$answer" >&2; exit 1; }
job=$(printf %s "$answer" | jq -er .jobId) || { echo "the answer has no jobId: $answer" >&2; exit 1; }
spexporter track --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --name "${file##*/}"
exec spexporter wait --url "$SPEXPORTER_URL" "$SPEXPORTER_TENANT" import "$job" --timeout "${TIMEOUT:-30m}"
