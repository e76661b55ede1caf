# The demo, and everything that `lingraft` does, in a container:
#   docker build -t lingraft . && docker run --rm lingraft demo
# On one's own files: docker run --rm -v "$PWD:/work" lingraft run recipe.yaml
FROM python:3.11-slim
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir --constraint /source/constraints.txt "/source[bundled,serve]"
RUN useradd --create-home lingraft && mkdir /work && chown lingraft /work
USER lingraft
WORKDIR /work
ENTRYPOINT ["lingraft"]
CMD ["--help"]
