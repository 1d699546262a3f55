# Any part of the program: the page by default, the model server with `--build-arg EXTRAS=vllm`.
FROM python:3.12

ARG EXTRAS=page,postgresql,remote
# One more package index, such as PyTorch's for machines without a GPU.
ARG PIP_EXTRA_INDEX_URL

WORKDIR /src
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

# Volumes mounted here belong to the user that the program runs as.
RUN useradd --create-home assistant && mkdir /cache /pictures && chown assistant /cache /pictures
USER assistant
WORKDIR /home/assistant
ENV ASSISTANT_CACHE=/cache ASSISTANT_IMAGES=/pictures ASSISTANT_LOG=json
ENTRYPOINT ["assistant"]
