import { DefaultFailureConverter } from '@temporalio/common';

/** With a codec, messages and stack traces of failures are encrypted too. Loaded by its path, by the SDK. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
