# GPT-J Workbench for a Docker Space or any server:  docker build -t workbench . && docker run -p 7860:7860 workbench
FROM python:3.12-slim

# For the kernels of 8- and 4-bit layers, which are compiled at their first use; without a compiler PyTorch computes.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

# A container's user on Spaces has the id 1000 and may write to its home only.
RUN useradd --create-home --uid 1000 user
USER user
# Threads that wait asleep, not spinning, cost little where cores are shared.
ENV HOME=/home/user PATH=/home/user/.local/bin:$PATH PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_ANALYTICS_ENABLED=False \
    OMP_WAIT_POLICY=PASSIVE
WORKDIR /home/user/app

# PIP_ARGS chooses another build of PyTorch, for example a smaller one for the CPU alone:
# --build-arg PIP_ARGS="--extra-index-url <PyTorch's index of CPU wheels>"
ARG PIP_ARGS=""
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user $PIP_ARGS -r requirements.txt
COPY --chown=user . .

EXPOSE 7860
HEALTHCHECK --start-period=120s CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/', timeout=5)"
CMD ["python", "app.py"]
