# What the image is built with stays behind in this stage: the runtime gets one folder of it.
FROM python:3.13-slim AS build
# Files of the image are as old as this says, in seconds since 1970: two builds of one commit are one image.
ARG SOURCE_DATE_EPOCH=0
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_COMPILE=1
WORKDIR /src
RUN python -m venv /build && python -m venv --without-pip /opt/spexporter
COPY requirements-build.txt requirements.txt ./
RUN /build/bin/pip install --require-hashes --no-deps --requirement requirements-build.txt \
    && /build/bin/pip --python /opt/spexporter install --require-hashes --no-deps --requirement requirements.txt
COPY LICENSE README.md pyproject.toml ./
COPY spexporter spexporter
# Compiled here, as nothing can be written later, and found by its content, so that no date is in it.
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /build/bin/pip --python /opt/spexporter install --no-deps dist/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/spexporter \
    && find /opt/spexporter -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

FROM python:3.13-slim
LABEL org.opencontainers.image.title="spexporter" \
    org.opencontainers.image.description="Prometheus exporter for SailPoint Identity Security Cloud configuration jobs" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/spexporter /opt/spexporter

# Where the store is: the only place that is written to. A volume keeps it when the container goes.
RUN install --directory --owner=10001 --group=10001 /data
WORKDIR /data
VOLUME /data

ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION
ENV PATH=/opt/spexporter/bin:$PATH SPEXPORTER_REVISION=$REVISION SPEXPORTER_CONFIG_FILE=/etc/spexporter/config.yaml
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 9977
# Elsewhere than on port 9977, or with TLS or a password: SPEXPORTER_URL and SPEXPORTER_HTTP_CONFIG_FILE.
HEALTHCHECK --interval=30s --timeout=20s --start-period=40s CMD ["spexporter", "healthcheck"]
ENTRYPOINT ["spexporter"]
CMD ["run"]
