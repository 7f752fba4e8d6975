# One image for every program: `bulk-lookup run ingest`, `... run lookup`, `... migrate`.
# What it adds to its base is the Python environment and nothing else: what builds stays behind.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t bulk-lookup:0.1.0 .
#
# The base is the Python that the tests run on, by digest. Renew tag and digest together.

FROM python:3.11.16-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534 AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# What builds the project, and what it runs on, each with the hashes that were locked.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /build/tools \
    && /build/tools/bin/python -m pip install --require-hashes --only-binary :all: -r requirements/build.txt \
    && python -m venv --without-pip /opt/bulk-lookup \
    && /build/tools/bin/python -m pip --python /opt/bulk-lookup/bin/python install --require-hashes --only-binary :all: -r requirements/runtime.txt

# The project itself, by the builder that is installed above: nothing more is fetched.
COPY pyproject.toml README.md LICENSE ./
COPY services services
RUN /build/tools/bin/python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && /build/tools/bin/python -m pip --python /opt/bulk-lookup/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.11.16-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534

COPY --from=build /opt/bulk-lookup /opt/bulk-lookup

# The version as in pyproject.toml, and the commit: `/version` and lookup_build_info say both.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="bulk-lookup" \
      org.opencontainers.image.description="Looks phone numbers up at Twilio in bulk over Kafka" \
      org.opencontainers.image.source="https://github.com/bulk-lookup/bulk-lookup" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# Logs leave line by line, and nothing is written beside the code: the root may be read-only.
ENV PATH=/opt/bulk-lookup/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/nonexistent \
    REVISION=$REVISION

# A number, so that Kubernetes can see that it is not root; it owns nothing in the image.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# No shell between the program and the signals that stop it.
ENTRYPOINT ["bulk-lookup"]
