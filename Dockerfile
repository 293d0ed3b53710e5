# The build backend is no run-time requirement: it stays behind in this stage.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-build.txt ./
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement requirements-build.txt
COPY LICENSE README.md pyproject.toml ./
COPY spexporter spexporter
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist .

FROM python:3.13-slim
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --no-deps --requirement /tmp/requirements.txt
COPY --from=build /src/dist /tmp/dist
RUN pip install --no-cache-dir --no-deps /tmp/dist/*.whl

# Where the store is; a volume of its own keeps it when the container goes.
RUN mkdir /var/lib/spexporter && chown 10001:10001 /var/lib/spexporter
WORKDIR /var/lib/spexporter
VOLUME /var/lib/spexporter

# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 9977
ENTRYPOINT ["spexporter"]
CMD ["run", "--config.file", "/etc/spexporter/config.yaml"]
