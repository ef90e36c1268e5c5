export { drainQueueBacklog } from './drain-queue-backlog/drain-queue-backlog';
export { recoverAiWorkers } from './recover-ai-workers/recover-ai-workers';
export { recoverSearchIndexing } from './recover-search-indexing/recover-search-indexing';
