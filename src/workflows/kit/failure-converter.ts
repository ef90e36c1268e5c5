import { DefaultFailureConverter } from '@temporalio/common';

/** A global that a worker with a codec sets in front of the bundle. */
export const ENCODED_FLAG = 'runbooksFailuresAreEncoded';

/** Put into every bundle: with a codec, messages of failures are encrypted too, and without one they stay readable. */
export const failureConverter = new DefaultFailureConverter({
  encodeCommonAttributes: ENCODED_FLAG in globalThis,
});
