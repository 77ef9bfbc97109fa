# One image for every role: docker run -v SITE:/opt/dragoman/config/site:ro dragoman run --role intake|worker.
FROM python:3.11-slim AS packages
RUN python -m venv /opt/venv
COPY requirements/runtime.txt /tmp/runtime.txt
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/runtime.txt

FROM python:3.11-slim
# Language data of the OCR engine; the engine itself is one of the packages.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends tesseract-ocr-eng tesseract-ocr-osd \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/venv /opt/venv
# Code and tables belong to root: the process that runs them cannot change them.
COPY app.py /opt/dragoman/
COPY canonical /opt/dragoman/canonical
COPY connectors /opt/dragoman/connectors
COPY mapper /opt/dragoman/mapper
COPY router /opt/dragoman/router
COPY store /opt/dragoman/store
COPY workflow /opt/dragoman/workflow
COPY console /opt/dragoman/console
COPY simulators /opt/dragoman/simulators
COPY wiring /opt/dragoman/wiring
COPY mappings /opt/dragoman/mappings
COPY config /opt/dragoman/config
RUN printf '#!/bin/sh\nexec python -m app "$@"\n' >/usr/local/bin/dragoman \
    && chmod 755 /usr/local/bin/dragoman \
    && python -m compileall -q /opt/dragoman \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin dragoman \
    && install -d -o dragoman -g dragoman -m 700 /var/lib/dragoman /var/lib/dragoman/out
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/dragoman \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DRAGOMAN_CONFIG=/opt/dragoman/config/site \
    DRAGOMAN_DATABASE=sqlite:////var/lib/dragoman/ledger.sqlite3
USER 10001
WORKDIR /var/lib/dragoman
VOLUME /var/lib/dragoman
ENTRYPOINT ["dragoman"]
CMD ["run"]
