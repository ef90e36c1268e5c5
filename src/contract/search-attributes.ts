import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** Registered by whoever starts the server or the worker; upserting an unregistered one would block a run. */
export const searchAttributes = {
  service: defineSearchAttributeKey('RunbookService', SearchAttributeType.KEYWORD),
  mode: defineSearchAttributeKey('RunbookMode', SearchAttributeType.KEYWORD),
  /** What a run waits for from a person: approval, decision or task; absent while it waits for nobody. */
  waiting: defineSearchAttributeKey('RunbookWaiting', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('RunbookOutcome', SearchAttributeType.KEYWORD),
};
