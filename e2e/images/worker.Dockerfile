# The worker image: `weir`, which plans, coordinates and runs jobs. Build it from the repository:
#   docker build -f e2e/images/worker.Dockerfile -t weir:dev .
FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake pkg-config libssl-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --package weir --bin weir \
 && cp target/release/weir /weir
# The libraries that the image below does not have, under their own paths.
RUN mkdir /libraries \
 && ldd /weir | grep -oE '/[^ ]*/lib(ssl|crypto|z)\.so[^ ]*' | xargs -I{} cp --parents -L {} /libraries

# glibc, libgcc, OpenSSL and CA certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /weir /usr/local/bin/weir
COPY --from=build /libraries/ /
USER 65532:65532
ENV WEIR_LOCAL_DIR=/var/lib/weir
ENTRYPOINT ["/usr/local/bin/weir"]
