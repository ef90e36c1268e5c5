export { drainQueueBacklog } from './drain-queue-backlog/drain-queue-backlog';
export { recoverSearchIndexing } from './recover-search-indexing/recover-search-indexing';
