{{- define "spexporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "spexporter.fullname" -}}
{{- $name := include "spexporter.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "spexporter.selector" -}}
app.kubernetes.io/name: {{ include "spexporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "spexporter.labels" -}}
{{ include "spexporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "spexporter.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "spexporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "spexporter.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "spexporter.storeUrl" -}}
{{- if eq .Values.store.kind "postgresql" -}}
${SPEXPORTER_CHART_STORE_URL}
{{- else if eq .Values.store.kind "sqlite" -}}
sqlite:////data/spexporter.db
{{- else -}}
sqlite://
{{- end -}}
{{- end -}}

{{- define "spexporter.scheme" -}}
{{- if .Values.web.tls.secretName }}HTTPS{{ else }}HTTP{{ end -}}
{{- end -}}

{{- define "spexporter.claim" -}}
{{- default (include "spexporter.fullname" .) .Values.store.persistence.existingClaim -}}
{{- end -}}

{{- define "spexporter.persistent" -}}
{{- if and (eq .Values.store.kind "sqlite") .Values.store.persistence.enabled }}true{{ end -}}
{{- end -}}
