# The image has the program, the libraries that it is linked with, and the certificates
# that the world trusts; no shell, and nobody but its user. docs/DEPLOY.md.

# As rust-toolchain.toml says. To build the same for ever, a digest is put behind the tag:
# --build-arg RUST=rust:1.95.0-slim-bookworm@sha256:...
ARG RUST=rust:1.95.0-slim-bookworm
# For the page alone: nothing of it is in the image.
ARG NODE=node:24.11.1-bookworm-slim

FROM ${NODE} AS page
WORKDIR /src
COPY .ci/page .ci/page
COPY proto proto
COPY src/http/page src/http/page
RUN --mount=type=cache,target=/root/.npm .ci/page

FROM ${RUST} AS build
WORKDIR /src
COPY . .
COPY --from=page /src/src/http/page/dist src/http/page/dist
# What was fetched and compiled stays in caches of the builder: after a change, only
# what it touches is built anew. Names of functions stay for backtraces; lines, which
# are three quarters of the file, do not.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo cargo build --release --locked --bin holdfast \
    && deploy/image-root target/release/holdfast /image

FROM scratch
COPY --from=build /image /
USER 65532:65532
EXPOSE 50051 8080
# No HEALTHCHECK: whoever runs it asks /livez and /readyz, at no cost of a process.
ENTRYPOINT ["/usr/local/bin/holdfast"]
CMD ["serve"]
