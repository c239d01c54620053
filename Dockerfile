# A worker.  KAFKA_BROKERS says where Kafka is; all other settings as in docs/reference/settings.md.
FROM python:3.12.11-slim-bookworm AS build
# Some packages come as source.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/build && python -m venv /opt/tradeflow
WORKDIR /src
COPY requirements-build.lock requirements-image.lock ./
RUN /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
# What a worker needs, each package held against its hash.
RUN PATH=/opt/build/bin:$PATH pip wheel --no-deps --require-hashes --no-build-isolation -r requirements-image.lock -w /wheels
COPY pyproject.toml README.md LICENSE ./
COPY partition_maps partition_maps
COPY tables tables
COPY tradeflow tradeflow
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation . -w /wheels
# From what was built here, and from nowhere else.
RUN /opt/tradeflow/bin/pip install --no-deps /wheels/*.whl \
    && /opt/tradeflow/bin/pip check && /opt/tradeflow/bin/pip uninstall -y pip

FROM python:3.12.11-slim-bookworm
RUN useradd --create-home --uid 10001 tradeflow && install -d -o tradeflow -g tradeflow /data
COPY --from=build /opt/tradeflow /opt/tradeflow
ENV PATH=/opt/tradeflow/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    TRADEFLOW_DATA_DIR=/data \
    TRADEFLOW_WEB_HOST=0.0.0.0
USER 10001:10001
# Strategies of your own: mount them here.
WORKDIR /home/tradeflow
VOLUME /data
EXPOSE 6066
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/ready', timeout=3)"]
# The other workers reach this one by its container's name.
CMD ["sh", "-c", "export TRADEFLOW_WEB_ADVERTISED_HOST=${TRADEFLOW_WEB_ADVERTISED_HOST:-$(hostname)}; exec faust -A tradeflow worker -l info"]
