# GPT-J Workbench for a Docker Space or any server.
#   docker build -t workbench .                          on the processor; --build-arg TORCH=cu128 for NVIDIA's GPUs
#   docker run -p 127.0.0.1:7860:7860 -e WORKBENCH_PROFILE=local -v workbench:/home/user/data workbench
# Without WORKBENCH_PROFILE=local visitors are taken for strangers, with the limits of a public page.
FROM python:3.12-slim

# For the kernels of 8- and 4-bit layers, which are compiled at their first use; without a compiler PyTorch computes.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

# A container's user on Spaces has the id 1000 and may write to its home only.
RUN useradd --create-home --uid 1000 user && install -d -o user -g user /home/user/app /home/user/data
USER user
# Threads that wait asleep, not spinning, cost little where cores are shared.
ENV HOME=/home/user PATH=/home/user/.local/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_ANALYTICS_ENABLED=False \
    WORKBENCH_RUNS=/home/user/data/runs WORKBENCH_HEADS=/home/user/data/heads HF_HOME=/home/user/data/huggingface \
    OMP_WAIT_POLICY=PASSIVE
WORKDIR /home/user/app

# The packages are a layer of their own: a change of the code builds in seconds. TORCH is a folder of PyTorch's own
# index of wheels (cpu, cu126, cu128, ...); whatever is not there comes from the usual one.
ARG TORCH=cpu
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user --extra-index-url https://download.pytorch.org/whl/$TORCH -r requirements.txt
COPY --chown=user app.py README.md LICENSE ./
COPY --chown=user tasks tasks
COPY --chown=user workbench workbench

# Runs, heads and downloaded checkpoints outlive the container where a volume is mounted here.
VOLUME /home/user/data
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=5)"]
CMD ["python", "app.py"]
