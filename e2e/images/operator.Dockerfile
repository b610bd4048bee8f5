# The operator image: `weir-operator`, which needs the Kubernetes API and nothing else.
#   docker build -f e2e/images/operator.Dockerfile -t weir-operator:dev .
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --package weir-operator --bin weir-operator \
 && cp target/release/weir-operator /weir-operator

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /weir-operator /usr/local/bin/weir-operator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/weir-operator"]
