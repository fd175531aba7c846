# syntax=docker/dockerfile:1
# One image for every role; the command picks it:  docker run manyhands work --join HOST
# Nothing here is built for one processor: npm picks the prebuilt SQLite of the platform, so linux/amd64 and linux/arm64 come
# from `docker buildx build --platform linux/amd64,linux/arm64 .`

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build
RUN npm prune --omit=dev

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="manyhands" \
      org.opencontainers.image.description="Volunteer computing without a server" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    MANYHANDS_DATA=/data
WORKDIR /app
COPY --from=build /app/package.json /app/LICENSE /app/README.md ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/proto ./proto
COPY --from=build /app/dist ./dist
RUN ln -s /app/dist/cli/main.js /usr/local/bin/manyhands && install -d -o node -g node -m 0700 /data
USER node
# The key is made in here at the first start. The image has none: two containers of one image are two nodes.
VOLUME /data
EXPOSE 4747
# Ctrl-C, as on a terminal: the first lets a worker hand back what it holds. Give it time: docker stop --time 60.
STOPSIGNAL SIGINT
# Asks the process of this container, or for a worker the peers it joined through, as anybody would.
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s \
  CMD node /app/dist/cli/main.js status --quiet > /dev/null || exit 1
# Node handles both signals itself and has one child, which it reaps: no init process is needed.
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["--help"]
