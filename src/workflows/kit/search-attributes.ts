import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** Registered by whoever starts the server or the worker; upserting an unregistered one would block a run. */
export const searchAttributes = {
  service: defineSearchAttributeKey('RunbookService', SearchAttributeType.KEYWORD),
  target: defineSearchAttributeKey('RunbookTarget', SearchAttributeType.KEYWORD),
  mode: defineSearchAttributeKey('RunbookMode', SearchAttributeType.KEYWORD),
  movement: defineSearchAttributeKey('RunbookMovement', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('RunbookOutcome', SearchAttributeType.KEYWORD),
};
