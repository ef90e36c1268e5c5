# The worker: every runbook, the client tools and the server programs of PostgreSQL for drills and rehearsals.
FROM node:22.21.1-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY examples ./examples
COPY bench ./bench
RUN npm run build && npm prune --omit=dev --no-audit --no-fund

FROM node:22.21.1-bookworm-slim
# At least as new as the newest server it backs up; disposable clusters need the server's own major version.
ARG POSTGRES_MAJOR=17
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates postgresql-common tini \
  && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
  && echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf \
  && apt-get install -y --no-install-recommends "postgresql-${POSTGRES_MAJOR}" \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY deploy/compose/worker-health.cjs ./deploy/compose/
# Packs in /config find the one copy of the package that there is.
RUN mkdir -p /node_modules && ln -s /app /node_modules/durable-runbooks
RUN mkdir -p /config /backups /var/cache/durable-runbooks && chown node:node /backups /var/cache/durable-runbooks
ENV NODE_ENV=production \
    RUNBOOKS_CONFIG=/config/runbooks.yaml \
    RUNBOOKS_CACHE=/var/cache/durable-runbooks
USER node
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["node", "deploy/compose/worker-health.cjs"]
# Disposable clusters are daemons: when they end, somebody has to collect them.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "dist/src/worker/main.js"]
